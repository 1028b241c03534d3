"""Why revenue was lost: involuntary, controllable or not, by the reasons of notices and how the settings sort them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from configs.sections.accounts import RetentionSettings
from features.store.revenue_table import INSTANT, RevenueHistory

LossKind = Literal["involuntary", "controllable", "not_controllable", "unknown"]
KINDS: tuple[LossKind, ...] = ("involuntary", "controllable", "not_controllable", "unknown")


@dataclass(frozen=True)
class RevenueLoss:
    """Accounts that left for one reason, with the revenue of the start, in hundredths.

    `reason` is None if their notice gives none, or if they have none that took effect in the period.
    """

    kind: LossKind
    has_notice: bool
    reason: str | None
    accounts: int
    churned: int


def measure_losses(
    history: RevenueHistory, start: np.ndarray, since: datetime, settings: RetentionSettings
) -> Sequence[RevenueLoss]:
    """The losses of accounts that paid at the start and not at the end, the kinds in order, the largest first."""
    left = (start > 0) & (history.cents[:, -1] == 0)
    effective = np.where(np.isnat(history.effective_at), history.notified_at, history.effective_at)
    first, last = (np.datetime64(instant).astype(INSTANT) for instant in (since, history.as_of))
    has_notice = (effective >= first) & (effective <= last)  # false for NaT
    by_reason: dict[tuple[LossKind, bool, str | None], list[int]] = {}
    for row in np.flatnonzero(left):
        reason = history.reasons[row] if has_notice[row] else None
        is_failed_payment = has_notice[row] and history.voluntary[row] == 0
        kind = "involuntary" if is_failed_payment else classify_reason(reason, settings)
        by_reason.setdefault((kind, bool(has_notice[row]), reason), []).append(int(start[row]))
    losses = [RevenueLoss(*key, len(amounts), sum(amounts)) for key, amounts in by_reason.items()]
    return sorted(losses, key=lambda loss: (KINDS.index(loss.kind), -loss.churned, loss.reason or ""))


def classify_reason(reason: str | None, settings: RetentionSettings) -> LossKind:
    """Whether the settings call a reason controllable or not; unknown if they do not name it.

    >>> classify_reason("Budget", RetentionSettings(not_controllable=("budget",)))
    'not_controllable'
    """
    if reason is None:
        return "unknown"
    if _is_among(reason, settings.controllable):
        return "controllable"
    return "not_controllable" if _is_among(reason, settings.not_controllable) else "unknown"


def _is_among(reason: str, reasons: Collection[str]) -> bool:
    return reason.strip().casefold() in {text.strip().casefold() for text in reasons}
