"""The policy of plays: which accounts a team acts on, which it holds out, and for how long."""

import dataclasses

import numpy as np

from features.simulator.model.calendar import WEEKS_A_MONTH, World
from features.simulator.model.churn_causes import CAUSES, PART, column_of
from features.simulator.model.hidden_state import State


def policy_step(state: State, world: World, *, week: int, generator: np.random.Generator) -> State:
    """At a month's start a share of the accounts with a cause get a play for their heaviest, some of them held out."""
    if week % WEEKS_A_MONTH:
        return state
    policy = world.company.policy
    chosen, held = generator.random((2, len(state.play)), dtype=np.float32)
    treatable = np.array([[cause.family in policy.effects] for cause in CAUSES], dtype=np.float32)
    weighed = state.severity * column_of("weight") * treatable
    part = np.array([PART[cause.family] for cause in CAUSES], dtype=np.int8)[weighed.argmax(axis=0)]
    begins = (state.play < 0) & (weighed.max(axis=0) > 0) & (chosen < policy.treated_share)
    return dataclasses.replace(
        state,
        play=np.where(begins, part, state.play),
        treated=np.where(begins, held >= policy.holdout_share, state.treated),
        play_weeks=np.where(begins, policy.weeks, state.play_weeks).astype(np.int8),
    )
