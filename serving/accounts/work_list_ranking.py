"""The work list: whom to call first by what the call is worth, within what each owner can do, and who was left out.

A call to an account that would leave keeps it with the odds of `evaluation.profit`; it is worth the months of revenue
that are kept, less the offer, less the call. Ranking by that instead of by risk is expected maximum profit applied to
one account (Verbraken, Verbeke & Baesens, 2013).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from configs.settings import ProfitSettings
from serving.schemas.enums import SuppressedReason


@dataclass(frozen=True)
class CallCandidate:
    """An account that may be called: what that is worth, who would do it, and why it should not be, if so."""

    account_id: str
    owner: str | None
    expected_value: float
    why_not: SuppressedReason | None = None
    because: str = ""
    row: Any = None


@dataclass(frozen=True)
class WorkList:
    """Whom to call, dearest first, and who was left out in the same order with the reason."""

    calls: tuple[CallCandidate, ...]
    excluded: tuple[CallCandidate, ...]

    @property
    def reason_counts(self) -> dict[str, int]:
        """How many were left out for each reason."""
        return dict(Counter(one.why_not for one in self.excluded if one.why_not))


def expected_values(risks: np.ndarray, mrr: np.ndarray, profit: ProfitSettings, months: float) -> np.ndarray:
    """What calling each account is worth; an account whose revenue is not known is worth nothing more than it costs."""
    saved = profit.alpha / (profit.alpha + profit.beta)
    kept = np.nan_to_num(mrr) * months - profit.offer_cost
    return risks * saved * kept - profit.contact_cost


def select_calls(candidates: Iterable[CallCandidate], per_owner: int, most: int) -> WorkList:
    """Take candidates, dearest first, until `most` are chosen; each owner gets at most `per_owner`.

    Candidates after the last one chosen are not looked at, so they may be made as they are needed.
    """
    chosen: list[CallCandidate] = []
    left_out: list[CallCandidate] = []
    taken: dict[str | None, int] = defaultdict(int)
    for one in candidates:
        judged = one if one.why_not or taken[one.owner] < per_owner else _over_capacity(one, per_owner)
        if judged.why_not:
            left_out.append(judged)
            continue
        chosen.append(judged)
        taken[one.owner] += 1
        if len(chosen) == most:
            break
    return WorkList(tuple(chosen), tuple(left_out))


def _over_capacity(one: CallCandidate, per_owner: int) -> CallCandidate:
    calls = "1 call that is" if per_owner == 1 else f"{per_owner} calls that are"
    because = f"{one.owner} has {calls} worth more" if one.owner else f"nobody owns it; {calls} worth more"
    return CallCandidate(one.account_id, one.owner, one.expected_value, "over_capacity", because, one.row)
