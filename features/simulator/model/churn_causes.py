"""The causes of churn: how often each begins, how long it lasts, how slowly it acts, and its family."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cause:
    """Episodes that begin and end at random. Rates are per week; `weight` is the logit at severity 1.

    The hazard depends on the `pressure`, which closes the share `speed` of its gap to the episode's severity each week:
    a mean delay of `1 / speed` weeks.
    """

    name: str
    family: str
    onset: float
    ending: float
    speed: float
    weight: float


CAUSES = (
    # One person in five changes jobs in a year; a new champion takes half a year to find.
    Cause("champion_left", "relationship", onset=0.004, ending=0.035, speed=0.12, weight=1.6),
    # A new executive reviews all vendors in the first months.
    Cause("new_executive", "relationship", onset=0.003, ending=0.05, speed=0.08, weight=1.2),
    # One account in twenty is merged or taken over in a year; overlapping tools are removed slowly.
    Cause("merger", "relationship", onset=0.001, ending=0.015, speed=0.05, weight=1.9),
    # Begins only with the account itself (see `hidden_state.reset_new_accounts`).
    Cause("stalled_implementation", "onboarding", onset=0.0, ending=0.04, speed=0.15, weight=1.9),
    Cause("adoption_decay", "adoption", onset=0.007, ending=0.045, speed=0.15, weight=1.5),
    # Incidents are short and soon forgiven unless support is slow as well.
    Cause("incident", "support", onset=0.007, ending=0.20, speed=0.30, weight=1.1),
    Cause("slow_support", "support", onset=0.004, ending=0.05, speed=0.15, weight=1.4),
    Cause("payment_trouble", "billing", onset=0.0025, ending=0.06, speed=0.20, weight=1.9),
    # The slowest: nobody can say what the product is worth, which matters at the renewal.
    Cause("value_gap", "value", onset=0.004, ending=0.025, speed=0.10, weight=1.6),
    Cause("neglect", "engagement", onset=0.006, ending=0.05, speed=0.08, weight=1.1),
    # A budget cut or a change of strategy: not in any table.
    Cause("unseen_shock", "unseen", onset=0.004, ending=0.06, speed=0.50, weight=2.0),
)
PARTS = (
    "base", "adoption", "value", "support", "relationship", "billing", "onboarding", "engagement", "fit", "contract",
    "unseen",
)  # fmt: skip
CAUSE_INDEX = {cause.name: index for index, cause in enumerate(CAUSES)}
PART_INDEX = {name: index for index, name in enumerate(PARTS)}


def cause_column(attribute: str) -> np.ndarray:
    """One attribute of every cause as a column, (causes, 1), which broadcasts over (causes, accounts)."""
    return np.array([[getattr(cause, attribute)] for cause in CAUSES], dtype=np.float32)


def stationary_share() -> np.ndarray:
    """The long-run share of time in which each cause is open, (causes, 1)."""
    onset, ending = cause_column("onset"), cause_column("ending")
    return onset / (onset + ending)
