"""Trying: an account's risk with some of its signals changed, told beside the risk it has."""

from typing import Any

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
from serving.scoring.champion import describe_model
from serving.scoring.scorer import ScoredAccounts
from serving.scoring.scores import score_matrix

NOTE = "Not causal: it asks the model what it says of such an account, not the world what would become of this one."


def evaluate_what_if(desk: ServiceContext, portfolio: Portfolio, asked: WhatIfRequest) -> dict[str, Any]:
    """What the model says with what was asked changed, and the cheapest changes that lower the risk.

    Raises RequestError: 404 for an account without a risk, 422 for what is not plausible.
    """
    found = desk.scorer.score_accounts([asked.account_id])
    if found.unscored_reasons:
        message = f"{asked.account_id!r} has no risk: {found.unscored_reasons[asked.account_id]}."
        raise RequestError(message, "Ask about an account that is scored.", code="not_scored", status=404)
    champion, row = found.champion, found.scores.matrix[0]
    model, about = champion.model, desk.account_table.fetch([asked.account_id]).get(asked.account_id)
    case = CounterfactualCase(row, model.inputs, portfolio.peers, about.segment if about else None)
    columns = encode_changes(asked.changes, case)
    told = {
        "account_id": asked.account_id,
        "model": describe_model(champion),
        "risk": float(found.scores.risks[0]),
        "risks": _risks_by_horizon(model, found.scores.risks_within[0]),
        "changed": [_requested_change(case, column, to) for column, to in columns.items()],
        "suggestions": _suggestions(model, case, asked.suggest),
        "causal": False,
        "note": NOTE,
    }
    return told | _counterfactual(found, apply_changes(row, columns) if columns else None)


def _counterfactual(found: ScoredAccounts, row: np.ndarray | None) -> dict[str, Any]:
    """The risk with the changed row, and what each family does to it."""
    if row is None:
        return {"risk_if": None, "risks_if": None, "moved": []}
    after = score_matrix(found.champion.model, found.signals.values, row[None, :])
    moved = after.family_points[0] - found.scores.family_points[0]
    order = np.argsort(-np.abs(moved), kind="stable")
    return {
        "risk_if": float(after.risks[0]),
        "risks_if": _risks_by_horizon(found.champion.model, after.risks_within[0]),
        "moved": [{"family": after.families[i], "points": float(moved[i])} for i in order if moved[i]],
    }


def _suggestions(model: Any, case: CounterfactualCase, most: int) -> list[dict[str, Any]]:
    steps = find_cheapest_changes(case, model.risks, most) if most else []
    labels = {one.name: one.label for one in case.inputs}
    return [
        {
            "signal": one.signal,
            "label": labels[one.signal],
            "value": one.value,
            "to": one.target,
            "passes": one.percentiles_moved,
            "risk": one.risk,
        }
        for one in steps
    ]


def _requested_change(case: CounterfactualCase, column: int, to: float) -> dict[str, Any]:
    one = case.inputs[column]
    now, then = (_decode_value(one, value) for value in (case.row[column], to))
    return {"signal": one.name, "label": one.label, "value": now, "to": then, "passes": None, "risk": None}


def _decode_value(one: Any, value: float) -> float | str | None:
    if np.isnan(value):
        return None
    return one.categories[int(value)] if one.kind == "category" else float(value)


def _risks_by_horizon(model: Any, risks: np.ndarray) -> dict[str, float]:
    return {str(days): float(risk) for days, risk in zip(model.calibrator.horizons, risks, strict=True)}
