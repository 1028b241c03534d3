"""The contacts table: who joined and left, as far as somebody recorded it."""

import numpy as np

from features.simulator.model.population import Population, account_ids, start_week
from features.simulator.model.trajectories import Trajectories
from features.simulator.tables.table_builder import TableColumns, TextColumn, row_ids

ROLES = ("champion", "sponsor", "exec", "admin", "user")
RECORDED_SHARE = 0.8  # of arrivals and departures
RECORDING_DELAY_DAYS = 14.0  # on average
TURNOVER_PER_WEEK = 0.004  # of people whose departure means nothing: one in five a year
MEAN_DAYS_OPEN = 120.0  # on average, of an episode that is open on day 0

ContactArrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # role, account, joined, left


def contacts(trajectories: Trajectories, generator: np.random.Generator) -> TableColumns:
    """The first contacts and their successors; a departure is recorded late or not at all."""
    groups = [group(trajectories, generator) for group in (_champions, _sponsors, _executives, _others)]
    role, account, joined, left = (np.concatenate(column) for column in zip(*groups, strict=True))
    is_listed = trajectories.is_active(account, day=np.floor(joined))
    left = np.where(left < trajectories.outcomes.leaves_day[account], left, np.nan)
    return {
        "account_id": TextColumn(account[is_listed], account_ids(trajectories.population)),
        "contact_id": row_ids("P", account[is_listed]),
        "role": TextColumn(role[is_listed], np.array(ROLES)),
        "joined_at": joined[is_listed],
        "left_at": left[is_listed],
    }


def _champions(trajectories: Trajectories, generator: np.random.Generator) -> ContactArrays:
    """One champion after another; each leaves when the next episode begins."""
    departed, departure_day = _episode_starts(trajectories, "champion_left", generator=generator)
    replaced, replacement_day = _episode_ends(trajectories, "champion_left")
    account = np.append(_all_accounts(trajectories.population), replaced)
    joined = np.append(_first_day(trajectories.population), replacement_day + 0.5)
    left = _next_departure_day(account, joined, departed=departed, departure_day=departure_day)
    return _role_codes("champion", account), account, joined, _recorded_day(left, generator)


def _sponsors(trajectories: Trajectories, generator: np.random.Generator) -> ContactArrays:
    """One sponsor per account, who leaves in a merger."""
    population = trajectories.population
    departed, departure_day = _episode_starts(trajectories, "merger", generator=generator)
    account, joined = _all_accounts(population), _first_day(population)
    left = _next_departure_day(account, joined, departed=departed, departure_day=departure_day)
    return _role_codes("sponsor", account), account, joined, _recorded_day(left, generator)


def _executives(trajectories: Trajectories, generator: np.random.Generator) -> ContactArrays:
    """The first executive, new executives who review the vendor, and new ones without any effect."""
    world, population = trajectories.world, trajectories.population
    reviewer, review_day = _episode_starts(trajectories, "new_executive", generator=generator)
    week, harmless = np.nonzero(generator.random((world.week_count, len(population))) < TURNOVER_PER_WEEK / 2)
    account = np.concatenate([_all_accounts(population), reviewer, harmless])
    arrival = _recorded_day(np.append(review_day, world.week_starts[week].astype(np.float64)), generator)
    joined = np.append(_first_day(population), arrival)
    account, joined = account[~np.isnan(joined)], joined[~np.isnan(joined)]
    return _role_codes("exec", account), account, joined, np.full(len(joined), np.nan)


def _others(trajectories: Trajectories, generator: np.random.Generator) -> ContactArrays:
    """An admin and some users, who join and leave without any effect."""
    population = trajectories.population
    all_accounts = _all_accounts(population)
    users = np.repeat(all_accounts, 1 + population.segment * 2)
    account = np.append(all_accounts, users)
    joined = _first_day(population)[account] + generator.exponential(20.0, len(account))
    role = np.append(_role_codes("admin", all_accounts), _role_codes("user", users))
    return role, account, joined, joined + generator.exponential(7 / TURNOVER_PER_WEEK, len(account))


def _episode_starts(
    trajectories: Trajectories, cause: str, *, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """When the episodes of a cause begin, including those open on day 0: (account, day)."""
    is_open, was_open = _open_episodes(trajectories, cause)
    week, account = np.nonzero(is_open & ~was_open)
    earlier = (week == 0) * generator.exponential(MEAN_DAYS_OPEN, len(week))
    return account, trajectories.world.week_starts[week] - earlier


def _episode_ends(trajectories: Trajectories, cause: str) -> tuple[np.ndarray, np.ndarray]:
    """When the episodes of a cause end: (account, day)."""
    is_open, was_open = _open_episodes(trajectories, cause)
    week, account = np.nonzero(was_open & ~is_open)
    return account, trajectories.world.week_starts[week].astype(np.float64)


def _open_episodes(trajectories: Trajectories, cause: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether an episode is open in each week since the account's start, and in the week before."""
    has_started = np.arange(trajectories.world.week_count)[:, None] >= start_week(trajectories.population)
    is_open = (trajectories.severity(cause) > 0) & has_started
    return is_open, np.vstack([np.zeros_like(is_open[:1]), is_open[:-1]])


def _next_departure_day(
    account: np.ndarray, joined: np.ndarray, *, departed: np.ndarray, departure_day: np.ndarray
) -> np.ndarray:
    """The first departure from the same account after each arrival, NaN if there is none."""
    spacing = 1e6  # days between the accounts, so that one sorted array serves them all
    departures = np.append(np.sort(departed * spacing + departure_day + spacing / 2), 1e18)
    following = departures[np.searchsorted(departures, account * spacing + joined + spacing / 2)]
    return np.where(following // spacing == account, following - account * spacing - spacing / 2, np.nan)


def _recorded_day(day: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The day on which it was recorded, NaN if it never was."""
    is_recorded = generator.random(len(day)) < RECORDED_SHARE
    return np.where(is_recorded, day + 1 + generator.exponential(RECORDING_DELAY_DAYS, len(day)), np.nan)


def _all_accounts(population: Population) -> np.ndarray:
    return np.arange(len(population))


def _first_day(population: Population) -> np.ndarray:
    return population.start_day + population.time_of_day


def _role_codes(role: str, account: np.ndarray) -> np.ndarray:
    return np.full(len(account), ROLES.index(role))
