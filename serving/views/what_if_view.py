"""The view of a what-if: an account's risk beside the one the model computes with some signals changed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.store.account_table import AccountDetails
from serving.accounts.portfolio import Portfolio
from serving.explanations.counterfactuals import CounterfactualCase, SuggestedChange, find_single_changes
from serving.explanations.peer_percentiles import ALL_SEGMENTS
from serving.handlers.context import ServiceContext
from serving.handlers.what_if import WhatIf, change_account, decode_value
from serving.schemas.responses import Score
from serving.scoring.scorer import ScoredAccounts
from training.model.churn_model import ModelInput, SignalValue

RANGE_DIGITS = 3


@dataclass(frozen=True)
class ChangeableSignal:
    """An actionable signal: its value, the values it may be changed to, and the one it is changed to, if any.

    `points` are those of the risk as it is. A number may be from `low` to `high`, the 1st and the 99th percentile of
    `peer_count` peers; a category one of `categories`.
    """

    name: str
    label: str
    unit: str
    family: str
    sentence: str
    points: float
    value: SignalValue
    changed_to: SignalValue
    low: float | None = None
    high: float | None = None
    peer_count: int = 0
    categories: tuple[str, ...] = ()

    @property
    def can_change(self) -> bool:
        """Whether it is a category, has been changed, or peers have another value of it."""
        differs = self.low is not None and (self.low != self.high or self.value not in (None, self.low))
        return bool(self.categories) or self.changed_to is not None or differs


@dataclass(frozen=True)
class WhatIfView:
    """What a page of a what-if shows; `after` is None if nothing is changed. `segment` is that of the peers."""

    account_id: str
    details: AccountDetails | None
    horizon_days: int
    segment: str | None
    before: Score
    after: Score | None
    signals: Sequence[ChangeableSignal]
    suggestions: Sequence[SuggestedChange]

    @property
    def changed(self) -> list[ChangeableSignal]:
        return [signal for signal in self.signals if signal.changed_to is not None]

    def signal(self, name: str) -> ChangeableSignal:
        """The signal of this name, which must be there."""
        return next(signal for signal in self.signals if signal.name == name)


def view_what_if(
    context: ServiceContext, portfolio: Portfolio, account_id: str, texts: Mapping[str, str]
) -> WhatIfView:
    """An account as it is and with the signals changed to the values in `texts`.

    Raises RequestError: 404 for an account without a risk, 422 for a change that is not plausible.
    """
    inputs = {signal.name: signal for signal in context.champions.champion().model.inputs}
    changes = {name: _parse_value(inputs.get(name), text) for name, text in texts.items()}
    what_if = change_account(context, portfolio, account_id, changes)
    case, model = what_if.case, what_if.scored.champion.model
    group = case.segment if case.segment in case.peers.segments else ALL_SEGMENTS
    return WhatIfView(
        account_id=account_id,
        details=context.account_table.details([account_id]).get(account_id),
        horizon_days=model.horizon_days,
        segment=None if group == ALL_SEGMENTS else group,
        before=_score(context, what_if.scored),
        after=_score(context, what_if.changed) if what_if.changed else None,
        signals=_changeable_signals(what_if),
        suggestions=find_single_changes(case, model.predict_risks),
    )


def tidy_range(low: float, high: float) -> tuple[float, float]:
    """A range with few digits inside another one; the other one if there is none.

    >>> tidy_range(0.99, 98.013)
    (1.0, 98.0)
    >>> tidy_range(2.0, 2.0)
    (2.0, 2.0)
    """
    if high <= low:
        return low, high
    digits = RANGE_DIGITS - 1 - math.floor(math.log10(high - low))
    scale = 10.0**digits
    inner = round(math.ceil(low * scale) / scale, digits), round(math.floor(high * scale) / scale, digits)
    return inner if low <= inner[0] <= inner[1] <= high else (low, high)


def _parse_value(signal: ModelInput | None, text: str) -> float | str:
    """A number for a signal that is one; a text that is none is left to be refused."""
    if signal is None or signal.kind == "category":
        return text
    try:
        return float(text)
    except ValueError:
        return text


def _score(context: ServiceContext, scored: ScoredAccounts) -> Score:
    (score,) = context.scorer.to_response(scored, None)["scores"]
    return score


def _changeable_signals(what_if: WhatIf) -> list[ChangeableSignal]:
    """The actionable signals that can be another than they are, those with the most points first."""
    case, points = what_if.case, what_if.scored.scores.points[0].tolist()
    signals = [
        _changeable_signal(case, column, what_if.columns.get(column), points[column])
        for column, signal in enumerate(case.inputs)
        if signal.actionable
    ]
    return sorted((signal for signal in signals if signal.can_change), key=lambda signal: -abs(signal.points))


def _changeable_signal(
    case: CounterfactualCase, column: int, changed_to: float | None, points: float
) -> ChangeableSignal:
    signal = case.inputs[column]
    plausible = None if signal.kind == "category" else case.peers.plausible_range(case.segment, signal.name)
    low, high = tidy_range(*plausible) if plausible else (None, None)
    return ChangeableSignal(
        name=signal.name,
        label=signal.label,
        unit=signal.unit,
        family=signal.family,
        sentence=signal.sentence,
        points=points,
        value=decode_value(signal, case.row[column]),
        changed_to=None if changed_to is None else decode_value(signal, changed_to),
        low=low,
        high=high,
        peer_count=case.peers.count(case.segment, signal.name),
        categories=tuple(signal.categories) if signal.kind == "category" else (),
    )
