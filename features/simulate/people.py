"""Who knows whom: contacts, which show relationship, touches, which show engagement, milestones and plays."""

import numpy as np

from features.simulate.causes import CAUSE, PARTS
from features.simulate.life import Life, in_service, pressures, severities
from features.simulate.population import Population, account_ids, start_week
from features.simulate.rows import Columns, Text, identifiers, recorded, spread
from features.simulate.world import WEEKS_A_MONTH, World

ROLES = ("champion", "sponsor", "exec", "admin", "user")
TOUCH_KINDS = ("qbr", "call", "email", "meeting", "training", "in_app")
TOUCHES_A_WEEK = np.array([0.15, 0.30, 0.70])  # by segment
NOTICED_SHARE = 0.7  # of the departures and arrivals of people
TURNOVER_A_WEEK = 0.004  # of users, admins and harmless executives: one in five a year
MILESTONES = {"kickoff": 7, "integration": 45, "first_value": 60, "live": 90}  # days after the start
PLAYS = {
    "adoption": "adoption_workshop",
    "value": "value_review",
    "support": "escalation_desk",
    "relationship": "new_sponsor",
    "billing": "payment_plan",
    "onboarding": "implementation_rescue",
    "engagement": "regular_calls",
}


def contacts(world: World, population: Population, life: Life, generator: np.random.Generator) -> Columns:
    """The people first known and those who follow; a departure is noticed late or not at all."""
    champions = _champions(world, population, life, generator)
    executives = _executives(world, population, life, generator)
    others = _others(population, generator)
    role, account, joined, left = (np.concatenate(column) for column in zip(champions, executives, others, strict=True))
    known = in_service(population, life, day=np.floor(joined), account=account)
    left = np.where(left < life.fate.leaves_day[account], left, np.nan)
    return {
        "account_id": Text(account[known], account_ids(population)),
        "contact_id": identifiers("P", account[known]),
        "role": Text(role[known], np.array(ROLES)),
        "joined_at": joined[known],
        "left_at": left[known],
    }


def touches(world: World, population: Population, life: Life, generator: np.random.Generator) -> Columns:
    """How often the vendor is in contact: less where the account is neglected, more where a play is worked."""
    neglect = severities(life, CAUSE["neglect"]) > 0
    worked = np.stack([state.treated for state in life.states[:-1]])
    rate = TOUCHES_A_WEEK[population.segment] * np.where(population.quiet, 0.6, 1.0)
    rate = rate * np.where(neglect, 0.35, 1.0) * np.where(worked, 1.5, 1.0)
    week, account, at = spread(generator.poisson(rate), world, generator)
    serving = in_service(population, life, day=np.floor(at), account=account)
    week, account, at = week[serving], account[serving], at[serving]
    cold = pressures(life, CAUSE["champion_left"])[week, account] + 0.7 * population.quiet[account]
    renewing = np.stack([state.renews for state in life.states])[week, account] - week // WEEKS_A_MONTH <= 2
    selling = np.where(renewing & (population.term[account] > 1), 0.45, 0.15)
    return {
        "account_id": Text(account, account_ids(population)),
        "at": at,
        "kind": Text(generator.choice(6, len(at), p=(0.08, 0.22, 0.38, 0.14, 0.08, 0.10)), np.array(TOUCH_KINDS)),
        "by": Text(generator.integers(0, 12, len(at)), np.char.add("csm-", np.arange(1, 13).astype(str))),
        "responded": generator.random(len(at)) < 0.65 * np.exp(-0.4 * cold),
        "commercial": generator.random(len(at)) < selling,
        "recorded_at": recorded(at, 0.03, generator),
    }


def milestones(world: World, population: Population, life: Life, generator: np.random.Generator) -> Columns:
    """The steps of an implementation; those after the kickoff wait until a stall is over, and some are never ticked off."""
    planned = np.array(list(MILESTONES.values()))[:, None]
    began = population.start_day + population.hour
    reached = began + planned * generator.lognormal(0.0, 0.35, (len(planned), len(began)))
    reached[1:] = np.maximum(reached[1:], _stall_ends(world, population, life) + 0.3 * planned[1:])
    reached[(generator.random(reached.shape) < 0.05) | (reached >= life.fate.leaves_day)] = np.nan
    step, account = np.nonzero(np.ones(reached.shape))
    return {
        "account_id": Text(account, account_ids(population)),
        "milestone": Text(step, np.array(list(MILESTONES))),
        "due_at": (began + planned)[step, account],
        "reached_at": reached[step, account],
        "recorded_at": began[account],
    }


def plays(world: World, population: Population, life: Life, generator: np.random.Generator) -> Columns:
    """What the policy assigned on the first morning of a month, begun within days where it was not held out."""
    weeks = world.company.policy.weeks
    week, account = np.nonzero([state.play_weeks == weeks for state in life.states[:-1]])
    runs = (start_week(population)[account] < week) & (life.fate.decided_day[account] >= world.starts[week])
    first = week % WEEKS_A_MONTH == 0
    week, account = week[runs & first], account[runs & first]
    part = np.stack([state.play for state in life.states])[week, account]
    treated = np.stack([state.treated for state in life.states])[week, account]
    assigned = world.starts[week] + 9 / 24
    return {
        "account_id": Text(account, account_ids(population)),
        "play": Text(part, np.array([PLAYS.get(name, "") for name in PARTS])),
        "assigned_at": assigned,
        "holdout": ~treated,
        "started_at": np.where(treated, assigned + generator.exponential(3.0, len(week)), np.nan),
        "outcome": Text(np.where(treated, 0, -1), np.array(["worked"])),
    }


def _turns(
    world: World, population: Population, life: Life, *, cause: int, generator: np.random.Generator
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """When the episodes of a cause begin and when they are over, each as (account, day)."""
    weeks = np.arange(world.weeks)[:, None]
    is_open = (severities(life, cause) > 0) & (weeks >= start_week(population))
    before = np.vstack([np.zeros((1, is_open.shape[1]), dtype=bool), is_open[:-1]])
    week, account = np.nonzero(is_open & ~before)
    open_before_day_0 = (week == 0) * generator.exponential(120.0, len(week))
    over, over_account = np.nonzero(before & ~is_open)
    return (account, world.starts[week] - open_before_day_0), (over_account, world.starts[over].astype(np.float64))


def _champions(world: World, population: Population, life: Life, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """One after the other; each leaves when the next episode begins, if anybody notices."""
    turns = _turns(world, population, life, cause=CAUSE["champion_left"], generator=generator)
    (left_account, left_day), (won_account, won_day) = turns
    account = np.append(np.arange(len(population.number)), won_account)
    joined = np.append(population.start_day + population.hour, won_day + 0.5)
    left = _next_event(account, joined, left_account, left_day=left_day) + generator.exponential(14.0, len(joined)) + 1
    left[generator.random(len(left)) > NOTICED_SHARE] = np.nan
    return np.full(len(account), ROLES.index("champion")), account, joined, left


def _next_event(account: np.ndarray, day: np.ndarray, left_account: np.ndarray, *, left_day: np.ndarray) -> np.ndarray:
    """The first departure from the same account after each day, NaN if none."""
    far = 1e6
    departures = np.sort(left_account * far + left_day)
    following = np.append(departures, 1e18)[np.searchsorted(departures, account * far + day)]
    same = following // far == account
    return np.where(same, following - account * far, np.nan)


def _executives(world: World, population: Population, life: Life, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """The executive at the start, and new ones: those who review the vendor, those of a merger, and harmless ones."""
    arrivals = [
        _turns(world, population, life, cause=CAUSE[name], generator=generator)[0] for name in ("new_executive", "merger")
    ]
    harmless = generator.random((world.weeks, len(population.number))) < TURNOVER_A_WEEK / 2
    week, account = np.nonzero(harmless)
    arrivals.append((account, world.starts[week].astype(np.float64)))
    account, day = (np.concatenate(column) for column in zip(*arrivals, strict=True))
    noticed = generator.random(len(account)) < NOTICED_SHARE
    account, day = account[noticed], day[noticed] + generator.exponential(14.0, noticed.sum())
    account = np.append(np.arange(len(population.number)), account)
    joined = np.append(population.start_day + population.hour, day)
    return np.full(len(account), ROLES.index("exec")), account, joined, np.full(len(account), np.nan)


def _others(population: Population, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """A sponsor, an admin and some users, who come and go without meaning."""
    everyone = np.arange(len(population.number))
    users = np.repeat(everyone, 1 + population.segment * 2)
    account = np.concatenate([everyone, everyone, users])
    role = np.repeat([ROLES.index("sponsor"), ROLES.index("admin"), ROLES.index("user")], [len(everyone)] * 2 + [len(users)])
    joined = population.start_day[account] + population.hour[account] + generator.exponential(20.0, len(account))
    return role, account, joined, joined + generator.exponential(7 / TURNOVER_A_WEEK, len(account))


def _stall_ends(world: World, population: Population, life: Life) -> np.ndarray:
    """The day the stalled implementation moves again, -inf where it never stalled, inf where it still does."""
    stalled = severities(life, CAUSE["stalled_implementation"]) > 0
    week = stalled.shape[0] - stalled[::-1].argmax(axis=0)
    still = life.states[-1].severity[CAUSE["stalled_implementation"]] > 0
    ends = np.where(still, np.inf, world.starts[np.minimum(week, world.weeks)])
    return np.where(stalled.any(axis=0), ends, -np.inf)
