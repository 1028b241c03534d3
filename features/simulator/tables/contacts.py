"""Who is there: the contacts, which show relationship, as far as anybody notices who came and went."""

import numpy as np

from features.simulator.model.population import Population, account_ids, start_week
from features.simulator.model.trajectories import Life, in_service, severities
from features.simulator.tables.table_builder import Columns, Text, identifiers

ROLES = ("champion", "sponsor", "exec", "admin", "user")
NOTICED_SHARE = 0.8  # of the comings and goings
NOTICED_DAYS = 14.0  # after which somebody writes them down, on average
TURNOVER_A_WEEK = 0.004  # of people whose going means nothing: one in five a year
ONGOING_DAYS = 120.0  # since when an episode was open that was open on day 0, on average

People = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # role, account, joined, left


def contacts(life: Life, generator: np.random.Generator) -> Columns:
    """The people first known and those who follow; a departure is noticed late or not at all."""
    groups = [group(life, generator) for group in (_champions, _sponsors, _executives, _others)]
    role, account, joined, left = (np.concatenate(column) for column in zip(*groups, strict=True))
    known = in_service(life, account, day=np.floor(joined))
    left = np.where(left < life.fate.leaves_day[account], left, np.nan)
    return {
        "account_id": Text(account[known], account_ids(life.setting.population)),
        "contact_id": identifiers("P", account[known]),
        "role": Text(role[known], np.array(ROLES)),
        "joined_at": joined[known],
        "left_at": left[known],
    }


def _champions(life: Life, generator: np.random.Generator) -> People:
    """One after the other; each leaves when the next episode begins."""
    gone, gone_day = _beginnings(life, "champion_left", generator=generator)
    won, won_day = _endings(life, "champion_left")
    account = np.append(_everyone(life.setting.population), won)
    joined = np.append(_first_day(life.setting.population), won_day + 0.5)
    left = _next_departure(account, joined, gone=gone, gone_day=gone_day)
    return _as("champion", account), account, joined, _noticed(left, generator)


def _sponsors(life: Life, generator: np.random.Generator) -> People:
    """One each; a merger takes it away."""
    population = life.setting.population
    gone, gone_day = _beginnings(life, "merger", generator=generator)
    account, joined = _everyone(population), _first_day(population)
    left = _next_departure(account, joined, gone=gone, gone_day=gone_day)
    return _as("sponsor", account), account, joined, _noticed(left, generator)


def _executives(life: Life, generator: np.random.Generator) -> People:
    """The executive at the start, new ones who review the vendor, and harmless ones."""
    world, population = life.setting.world, life.setting.population
    reviewer, review_day = _beginnings(life, "new_executive", generator=generator)
    week, harmless = np.nonzero(generator.random((world.weeks, len(population.number))) < TURNOVER_A_WEEK / 2)
    account = np.concatenate([_everyone(population), reviewer, harmless])
    arrival = _noticed(np.append(review_day, world.starts[week].astype(np.float64)), generator)
    joined = np.append(_first_day(population), arrival)
    seen = ~np.isnan(joined)
    return _as("exec", account[seen]), account[seen], joined[seen], np.full(seen.sum(), np.nan)


def _others(life: Life, generator: np.random.Generator) -> People:
    """An admin and some users, who come and go without meaning."""
    population = life.setting.population
    everyone = _everyone(population)
    users = np.repeat(everyone, 1 + population.segment * 2)
    account = np.append(everyone, users)
    joined = _first_day(population)[account] + generator.exponential(20.0, len(account))
    role = np.append(_as("admin", everyone), _as("user", users))
    return role, account, joined, joined + generator.exponential(7 / TURNOVER_A_WEEK, len(account))


def _beginnings(life: Life, cause: str, *, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """When the episodes of a cause begin, also those open on day 0: (account, day)."""
    is_open, was_open = _open(life, cause)
    week, account = np.nonzero(is_open & ~was_open)
    earlier = (week == 0) * generator.exponential(ONGOING_DAYS, len(week))
    return account, life.setting.world.starts[week] - earlier


def _endings(life: Life, cause: str) -> tuple[np.ndarray, np.ndarray]:
    """When the episodes of a cause are over: (account, day)."""
    is_open, was_open = _open(life, cause)
    week, account = np.nonzero(was_open & ~is_open)
    return account, life.setting.world.starts[week].astype(np.float64)


def _open(life: Life, cause: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether an episode is open in each week of the account's own time, and in the week before."""
    begun = np.arange(life.setting.world.weeks)[:, None] >= start_week(life.setting.population)
    is_open = (severities(life, cause) > 0) & begun
    return is_open, np.vstack([np.zeros_like(is_open[:1]), is_open[:-1]])


def _next_departure(account: np.ndarray, joined: np.ndarray, *, gone: np.ndarray, gone_day: np.ndarray) -> np.ndarray:
    """The first departure from the same account after each joining, NaN if none."""
    far = 1e6  # days, so that accounts cannot overlap on one line
    departures = np.append(np.sort(gone * far + gone_day + far / 2), 1e18)
    following = departures[np.searchsorted(departures, account * far + joined + far / 2)]
    return np.where(following // far == account, following - account * far - far / 2, np.nan)


def _noticed(day: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The day somebody wrote it down, NaN where nobody did."""
    seen = generator.random(len(day)) < NOTICED_SHARE
    return np.where(seen, day + 1 + generator.exponential(NOTICED_DAYS, len(day)), np.nan)


def _everyone(population: Population) -> np.ndarray:
    return np.arange(len(population.number))


def _first_day(population: Population) -> np.ndarray:
    return population.start_day + population.hour


def _as(role: str, account: np.ndarray) -> np.ndarray:
    return np.full(len(account), ROLES.index(role))
