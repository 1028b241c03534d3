"""The treatment policy: which accounts get a play, which are held out, and for how long."""

import dataclasses

import numpy as np

from features.simulator.model.calendar import WEEKS_PER_MONTH, World
from features.simulator.model.churn_causes import CAUSES, PART_INDEX, cause_column
from features.simulator.model.hidden_state import HiddenState


def assign_plays(state: HiddenState, world: World, *, week: int, generator: np.random.Generator) -> HiddenState:
    """Assign plays at a month's start: a share of the accounts with an open cause, for their heaviest cause."""
    if week % WEEKS_PER_MONTH:
        return state
    policy = world.company.policy
    treatment_draw, holdout_draw = generator.random((2, len(state.play)), dtype=np.float32)
    treatable = np.array([[cause.family in policy.effects] for cause in CAUSES], dtype=np.float32)
    weighted_severity = state.severity * cause_column("weight") * treatable
    part = np.array([PART_INDEX[cause.family] for cause in CAUSES], dtype=np.int8)[weighted_severity.argmax(axis=0)]
    begins = (state.play < 0) & (weighted_severity.max(axis=0) > 0) & (treatment_draw < policy.treated_share)
    return dataclasses.replace(
        state,
        play=np.where(begins, part, state.play),
        treated=np.where(begins, holdout_draw >= policy.holdout_share, state.treated),
        play_weeks_left=np.where(begins, policy.weeks, state.play_weeks_left).astype(np.int8),
    )
