"""The work list: accounts ranked by what a call is worth, within what each owner can do.

A call keeps an account that would leave with the odds of `evaluation.profit`. It is worth the revenue of the months
that are gained, less the cost of the offer and of the call. This is expected maximum profit applied to one account
(Verbraken, Verbeke & Baesens, 2013).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from configs.sections.evaluation import ProfitSettings
from serving.schemas.enums import SuppressedReason


@dataclass(frozen=True)
class CallCandidate:
    """An account that may be called: what the call is worth, who would make it, and why not, if so."""

    account_id: str
    owner: str | None
    expected_value: float
    suppressed_reason: SuppressedReason | None = None
    rationale: str = ""
    row: Any = None


@dataclass(frozen=True)
class WorkList:
    """The accounts to call and the excluded ones with their reasons, both by what the call is worth."""

    calls: tuple[CallCandidate, ...]
    excluded: tuple[CallCandidate, ...]

    @property
    def reason_counts(self) -> dict[str, int]:
        """The number of excluded accounts for each reason."""
        return dict(Counter(account.suppressed_reason for account in self.excluded if account.suppressed_reason))


def expected_values(risks: np.ndarray, mrr: np.ndarray, profit: ProfitSettings, months: float) -> np.ndarray:
    """What calling each account is worth. If its revenue is unknown, the call only costs."""
    save_rate = profit.alpha / (profit.alpha + profit.beta)
    gain = np.nan_to_num(mrr) * months - profit.offer_cost
    return risks * save_rate * gain - profit.contact_cost


def select_calls(candidates: Iterable[CallCandidate], per_owner: int, limit: int) -> WorkList:
    """Take candidates in their order until there are `limit` calls, with at most `per_owner` for each owner.

    Candidates after the last call are not read, so they may be made lazily.
    """
    calls: list[CallCandidate] = []
    excluded: list[CallCandidate] = []
    calls_by_owner: dict[str | None, int] = defaultdict(int)
    for candidate in candidates:
        if candidate.suppressed_reason:
            excluded.append(candidate)
        elif calls_by_owner[candidate.owner] >= per_owner:
            excluded.append(_over_capacity(candidate, per_owner))
        else:
            calls.append(candidate)
            calls_by_owner[candidate.owner] += 1
            if len(calls) == limit:
                break
    return WorkList(tuple(calls), tuple(excluded))


def _over_capacity(candidate: CallCandidate, per_owner: int) -> CallCandidate:
    count = "1 call" if per_owner == 1 else f"{per_owner} calls"
    owner = candidate.owner or "accounts without an owner"
    verb = "have" if candidate.owner is None else "has"
    rationale = f"{owner} already {verb} {count} of higher value"
    return replace(candidate, suppressed_reason="over_capacity", rationale=rationale)
