"""The touches, milestones and plays tables: what the vendor does."""

import numpy as np

from features.simulator.model.calendar import WEEKS_PER_MONTH
from features.simulator.model.churn_causes import PARTS
from features.simulator.model.population import account_ids, start_week
from features.simulator.model.trajectories import (
    Trajectories,
)
from features.simulator.tables.company_names import OWNERS
from features.simulator.tables.table_builder import TableColumns, TextColumn, recording_times, spread_over_weeks

TOUCH_KINDS = {"qbr": 0.08, "call": 0.22, "email": 0.38, "meeting": 0.14, "training": 0.08, "in_app": 0.10}
TOUCHES_PER_WEEK = np.array([0.15, 0.30, 0.70])  # by segment
LATE_SHARE = 0.03
MILESTONES = {"kickoff": 7, "integration": 45, "first_value": 60, "live": 90}  # days after the start
UNRECORDED_SHARE = 0.05  # of the milestones reached
PLAYS = {
    "adoption": "adoption_workshop",
    "value": "value_review",
    "support": "escalation_desk",
    "relationship": "new_sponsor",
    "billing": "payment_plan",
    "onboarding": "implementation_rescue",
    "engagement": "regular_calls",
}


def touches(trajectories: Trajectories, generator: np.random.Generator) -> TableColumns:
    """Contacts by the vendor: fewer for a neglected account, more while a play is carried out."""
    population = trajectories.population
    counts = generator.poisson(_touch_rates(trajectories))
    week, account, at = spread_over_weeks(counts, trajectories.world, generator=generator)
    is_active = trajectories.is_active(account, day=np.floor(at))
    week, account, at = week[is_active], account[is_active], at[is_active]
    cold = trajectories.pressure("champion_left")[week, account] + 0.7 * population.quiet[account]
    months_left = trajectories.state("renewal_month")[week, account] - week // WEEKS_PER_MONTH
    selling = np.where((months_left <= 2) & (population.term[account] > 1), 0.45, 0.15)
    return {
        "account_id": TextColumn(account, account_ids(population)),
        "at": at,
        "kind": TextColumn(generator.choice(6, len(at), p=list(TOUCH_KINDS.values())), np.array(list(TOUCH_KINDS))),
        "by": TextColumn(generator.integers(0, len(OWNERS), len(at)), OWNERS),
        "responded": generator.random(len(at)) < 0.65 * np.exp(-0.4 * cold),
        "commercial": generator.random(len(at)) < selling,
        "recorded_at": recording_times(at, LATE_SHARE, generator=generator),
    }


def milestones(trajectories: Trajectories, generator: np.random.Generator) -> TableColumns:
    """The steps of an implementation; those after the kickoff wait until a stall has ended."""
    population = trajectories.population
    planned = np.array(list(MILESTONES.values()))[:, None]
    began = population.start_day + population.time_of_day
    reached = began + planned * generator.lognormal(0.0, 0.35, (len(planned), len(began)))
    reached[1:] = np.maximum(reached[1:], _stall_end_days(trajectories) + 0.3 * planned[1:])
    is_unrecorded = generator.random(reached.shape) < UNRECORDED_SHARE
    reached[is_unrecorded | (reached >= trajectories.outcomes.leaves_day)] = np.nan
    step, account = np.nonzero(np.ones(reached.shape))
    return {
        "account_id": TextColumn(account, account_ids(population)),
        "milestone": TextColumn(step, np.array(list(MILESTONES))),
        "due_at": (began + planned)[step, account],
        "reached_at": np.where(np.isfinite(reached), reached, np.nan)[step, account],
        "recorded_at": began[account],
    }


def plays(trajectories: Trajectories, generator: np.random.Generator) -> TableColumns:
    """What the policy assigned on the first morning of a month; if not held out, it starts within days."""
    world = trajectories.world
    new = trajectories.state("play_weeks_left")[:-1] == world.company.policy.weeks
    weeks = np.arange(world.week_count)[:, None]
    has_begun = start_week(trajectories.population) < weeks
    is_undecided = trajectories.outcomes.decided_day >= world.week_starts[weeks]
    week, account = np.nonzero(new & has_begun & is_undecided & (weeks % WEEKS_PER_MONTH == 0))
    treated, play = trajectories.state("treated")[week, account], trajectories.state("play")[week, account]
    assigned = world.week_starts[week] + 9 / 24
    return {
        "account_id": TextColumn(account, account_ids(trajectories.population)),
        "play": TextColumn(play, np.array([PLAYS.get(part, part) for part in PARTS])),
        "assigned_at": assigned,
        "holdout": ~treated,
        "started_at": np.where(treated, assigned + generator.exponential(3.0, len(week)), np.nan),
    }


def _touch_rates(trajectories: Trajectories) -> np.ndarray:
    """Touches a week, (weeks, accounts)."""
    population = trajectories.population
    neglected = np.where(trajectories.severity("neglect") > 0, 0.35, 1.0)
    worked = np.where(trajectories.state("treated")[:-1], 1.5, 1.0)
    return TOUCHES_PER_WEEK[population.segment] * np.where(population.quiet, 0.6, 1.0) * neglected * worked


def _stall_end_days(trajectories: Trajectories) -> np.ndarray:
    """The day on which a stalled implementation resumes; -inf if it never stalled, inf if it still does."""
    stalled = trajectories.severity("stalled_implementation") > 0
    after_last = len(stalled) - stalled[::-1].argmax(axis=0)
    ends = np.where(after_last < len(stalled), trajectories.world.week_starts[after_last], np.inf)
    return np.where(stalled.any(axis=0), ends, -np.inf)
