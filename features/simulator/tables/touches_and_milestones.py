"""What the vendor does: touches, which show engagement, milestones, which show onboarding, and plays."""

import numpy as np

from features.simulator.model.calendar import WEEKS_A_MONTH
from features.simulator.model.churn_causes import PARTS
from features.simulator.model.population import account_ids, start_week
from features.simulator.model.trajectories import Life, course, in_service, pressures, severities
from features.simulator.tables.table_builder import Columns, Text, recorded, spread

TOUCH_KINDS = {"qbr": 0.08, "call": 0.22, "email": 0.38, "meeting": 0.14, "training": 0.08, "in_app": 0.10}
TOUCHES_A_WEEK = np.array([0.15, 0.30, 0.70])  # by segment
LATE_SHARE = 0.03
MILESTONES = {"kickoff": 7, "integration": 45, "first_value": 60, "live": 90}  # days after the start
FORGOTTEN_SHARE = 0.05  # of the milestones reached, nobody ticks them off
PLAYS = {
    "adoption": "adoption_workshop",
    "value": "value_review",
    "support": "escalation_desk",
    "relationship": "new_sponsor",
    "billing": "payment_plan",
    "onboarding": "implementation_rescue",
    "engagement": "regular_calls",
}


def touches(life: Life, generator: np.random.Generator) -> Columns:
    """How often the vendor is in contact: less where the account is neglected, more where a play is worked."""
    population = life.setting.population
    week, account, at = spread(generator.poisson(_touch_rate(life)), life.setting.world, generator=generator)
    serving = in_service(life, account, day=np.floor(at))
    week, account, at = week[serving], account[serving], at[serving]
    cold = pressures(life, "champion_left")[week, account] + 0.7 * population.quiet[account]
    months_left = course(life, "renews")[week, account] - week // WEEKS_A_MONTH
    selling = np.where((months_left <= 2) & (population.term[account] > 1), 0.45, 0.15)
    return {
        "account_id": Text(account, account_ids(population)),
        "at": at,
        "kind": Text(generator.choice(6, len(at), p=list(TOUCH_KINDS.values())), np.array(list(TOUCH_KINDS))),
        "by": Text(generator.integers(0, 12, len(at)), np.char.add("csm-", np.arange(1, 13).astype(str))),
        "responded": generator.random(len(at)) < 0.65 * np.exp(-0.4 * cold),
        "commercial": generator.random(len(at)) < selling,
        "recorded_at": recorded(at, LATE_SHARE, generator=generator),
    }


def milestones(life: Life, generator: np.random.Generator) -> Columns:
    """The steps of an implementation; those after the kickoff wait until a stall is over."""
    population = life.setting.population
    planned = np.array(list(MILESTONES.values()))[:, None]
    began = population.start_day + population.hour
    reached = began + planned * generator.lognormal(0.0, 0.35, (len(planned), len(began)))
    reached[1:] = np.maximum(reached[1:], _stall_ends(life) + 0.3 * planned[1:])
    reached[(generator.random(reached.shape) < FORGOTTEN_SHARE) | (reached >= life.fate.leaves_day)] = np.nan
    step, account = np.nonzero(np.ones(reached.shape))
    return {
        "account_id": Text(account, account_ids(population)),
        "milestone": Text(step, np.array(list(MILESTONES))),
        "due_at": (began + planned)[step, account],
        "reached_at": np.where(np.isfinite(reached), reached, np.nan)[step, account],
        "recorded_at": began[account],
    }


def plays(life: Life, generator: np.random.Generator) -> Columns:
    """What the policy assigned on the first morning of a month, begun within days where it was not held out."""
    world = life.setting.world
    new = course(life, "play_weeks")[:-1] == world.company.policy.weeks
    weeks = np.arange(world.weeks)[:, None]
    runs = (start_week(life.setting.population) < weeks) & (life.fate.decided_day >= world.starts[weeks])
    week, account = np.nonzero(new & runs & (weeks % WEEKS_A_MONTH == 0))
    treated = course(life, "treated")[week, account]
    assigned = world.starts[week] + 9 / 24
    return {
        "account_id": Text(account, account_ids(life.setting.population)),
        "play": Text(course(life, "play")[week, account], np.array([PLAYS.get(part, part) for part in PARTS])),
        "assigned_at": assigned,
        "holdout": ~treated,
        "started_at": np.where(treated, assigned + generator.exponential(3.0, len(week)), np.nan),
    }


def _touch_rate(life: Life) -> np.ndarray:
    """Touches a week, (weeks, accounts)."""
    population = life.setting.population
    neglected = np.where(severities(life, "neglect") > 0, 0.35, 1.0)
    worked = np.where(course(life, "treated")[:-1], 1.5, 1.0)
    return TOUCHES_A_WEEK[population.segment] * np.where(population.quiet, 0.6, 1.0) * neglected * worked


def _stall_ends(life: Life) -> np.ndarray:
    """The day the stalled implementation moves again, -inf where it never stalled, inf where it still does."""
    stalled = severities(life, "stalled_implementation") > 0
    after_last = len(stalled) - stalled[::-1].argmax(axis=0)
    ends = np.where(after_last < len(stalled), life.setting.world.starts[after_last], np.inf)
    return np.where(stalled.any(axis=0), ends, -np.inf)
