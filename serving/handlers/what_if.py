"""What-if: an account's risk with some of its signals changed, beside the risk it has."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from configs.errors import RequestError
from serving.accounts.portfolio import Portfolio
from serving.explanations.counterfactuals import (
    CounterfactualCase,
    apply_changes,
    encode_changes,
    find_cheapest_changes,
)
from serving.handlers.context import ServiceContext
from serving.schemas.requests import WhatIfRequest
from serving.schemas.responses import FamilyChange, SignalChange, WhatIfResponse
from serving.scoring.champion import describe_model
from serving.scoring.model_bundle import ModelBundle
from serving.scoring.scorer import ScoredAccounts
from serving.scoring.scores import Scores, risks_by_days, score_matrix
from training.model.churn_model import ModelInput, SignalValue

NOTE = "Not causal: this is the risk the model gives to such an account, not what would happen to this one."


@dataclass(frozen=True)
class WhatIf:
    """An account as it is scored now, and with some columns of its row changed; `changed` is None without changes."""

    scored: ScoredAccounts
    case: CounterfactualCase
    columns: Mapping[int, float]
    changed: ScoredAccounts | None


def evaluate_what_if(context: ServiceContext, portfolio: Portfolio, request: WhatIfRequest) -> WhatIfResponse:
    """The risk with the requested changes, and the cheapest changes that lower the risk.

    Raises RequestError: 404 for an account without a risk, 422 for a change that is not plausible.
    """
    what_if = change_account(context, portfolio, request.account_id, request.changes)
    scored, case = what_if.scored, what_if.case
    changed = what_if.changed.scores if what_if.changed else None
    return {
        "account_id": request.account_id,
        "model": describe_model(scored.champion),
        "risk": float(scored.scores.risks[0]),
        "risks": risks_by_days(scored.scores)[0],
        "changed": [_requested_change(case, column, value) for column, value in what_if.columns.items()],
        "counterfactual_risk": float(changed.risks[0]) if changed else None,
        "counterfactual_risks": risks_by_days(changed)[0] if changed else None,
        "family_changes": _family_changes(scored.scores, changed) if changed else [],
        "suggestions": _suggest_changes(scored.champion.model, case, request.suggest),
        "causal": False,
        "note": NOTE,
    }


def change_account(
    context: ServiceContext, portfolio: Portfolio, account_id: str, changes: Mapping[str, float | str]
) -> WhatIf:
    """Score an account as it is and with some signals changed. Nothing of it is recorded: it was not served.

    Raises RequestError: 404 for an account without a risk, 422 for a change that is not plausible.
    """
    scored = _score_account(context, account_id)
    case = _open_case(context, portfolio, scored)
    columns = encode_changes(changes, case)
    changed = _score_changed(scored, case, columns) if columns else None
    return WhatIf(scored, case, columns, changed)


def _score_account(context: ServiceContext, account_id: str) -> ScoredAccounts:
    scored = context.scorer.score_accounts([account_id])
    if scored.unscored_reasons:
        message = f"{account_id!r} has no risk: {scored.unscored_reasons[account_id]}."
        raise RequestError(message, "Ask about an account that has one.", code="not_scored", status=404)
    return scored


def _open_case(context: ServiceContext, portfolio: Portfolio, scored: ScoredAccounts) -> CounterfactualCase:
    (account_id,) = scored.signals.account_ids
    account = context.account_table.details([account_id]).get(account_id)
    row, inputs = scored.scores.matrix[0], scored.champion.model.inputs
    return CounterfactualCase(row, inputs, portfolio.peers, account.segment if account else None)


def _score_changed(scored: ScoredAccounts, case: CounterfactualCase, columns: Mapping[int, float]) -> ScoredAccounts:
    """The account with these columns changed; categories also in the values, which texts show."""
    values, categories = scored.signals.values, list(scored.signals.values.categories[0])
    for column, code in columns.items():
        if case.inputs[column].kind == "category":
            name = case.inputs[column].name
            categories[values.columns.categories[name]] = case.inputs[column].categories[int(code)]
    signals = replace(scored.signals, values=replace(values, categories=[categories]))
    matrix = apply_changes(case.row, columns)[None, :]
    return replace(scored, signals=signals, scores=score_matrix(scored.champion.model, signals.values, matrix))


def _family_changes(before: Scores, after: Scores) -> list[FamilyChange]:
    """What the changed row does to each family's points, the largest first."""
    differences = after.family_points[0] - before.family_points[0]
    order = np.argsort(-np.abs(differences), kind="stable")
    return [{"family": after.families[i], "points": float(differences[i])} for i in order if differences[i]]


def _suggest_changes(model: ModelBundle, case: CounterfactualCase, max_changes: int) -> list[SignalChange]:
    suggestions = find_cheapest_changes(case, model.predict_risks, max_changes) if max_changes else []
    labels = {signal.name: signal.label for signal in case.inputs}
    return [
        {
            "signal": suggestion.signal,
            "label": labels[suggestion.signal],
            "value": suggestion.value,
            "to": suggestion.target,
            "percentiles_moved": suggestion.percentiles_moved,
            "risk": suggestion.risk,
        }
        for suggestion in suggestions
    ]


def _requested_change(case: CounterfactualCase, column: int, value: float) -> SignalChange:
    signal = case.inputs[column]
    return {
        "signal": signal.name,
        "label": signal.label,
        "value": decode_value(signal, case.row[column]),
        "to": decode_value(signal, value),
        "percentiles_moved": None,
        "risk": None,
    }


def decode_value(signal: ModelInput, value: float) -> SignalValue:
    """A value of the model's matrix as a signal's value; None for missing."""
    if np.isnan(value):
        return None
    return signal.categories[int(value)] if signal.kind == "category" else float(value)
