"""The policy of plays: which accounts a team acts on, which it holds out, and for how long."""

from typing import Protocol

import numpy as np

from features.simulate.causes import CAUSES, PART, column_of
from features.simulate.company import Policy


class Pressed(Protocol):
    """Accounts with open causes and perhaps a running play."""

    @property
    def severity(self) -> np.ndarray: ...
    @property
    def play(self) -> np.ndarray: ...
    @property
    def treated(self) -> np.ndarray: ...
    @property
    def play_weeks(self) -> np.ndarray: ...


def without_play(size: int) -> dict[str, np.ndarray]:
    """The state of accounts nobody acts on."""
    return {
        "play": np.full(size, -1, dtype=np.int8),
        "treated": np.zeros(size, dtype=bool),
        "play_weeks": np.zeros(size, dtype=np.int8),
    }


def assign(state: Pressed, policy: Policy, *, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Give a share of the accounts with a cause a play for their heaviest one, and hold out some at random."""
    chosen, held = generator.random((2, len(state.play)), dtype=np.float32)
    weighed = state.severity * column_of("weight") * _treatable(policy)
    family = np.array([PART[cause.family] for cause in CAUSES], dtype=np.int8)[weighed.argmax(axis=0)]
    begins = (state.play < 0) & (weighed.max(axis=0) > 0) & (chosen < policy.treated_share)
    return {
        "play": np.where(begins, family, state.play),
        "treated": np.where(begins, held >= policy.holdout_share, state.treated),
        "play_weeks": np.where(begins, policy.weeks, state.play_weeks).astype(np.int8),
    }


def _treatable(policy: Policy) -> np.ndarray:
    return np.array([[cause.family in policy.effects] for cause in CAUSES], dtype=np.float32)
