"""Why risks changed: two risks of an account, from the ledger or computed now, and the parts of their difference.

The signals of both days come from the history. If source rows were corrected after a risk was served, the model no
longer gives that risk to the signals. That difference is a part of its own, so the parts sum to what was served.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import numpy as np

from configs.clock import format_instant
from configs.errors import NotReady
from features.store.history_reader import HistoryRows, read_history_rows
from features.store.publication import published_as_of, published_history_folder
from serving.explanations.change_attribution import ChangeInputs, RiskChange, attribute_change
from serving.handlers.checks import require_horizon, require_past_day
from serving.handlers.context import ServiceContext
from serving.schemas.enums import UnscoredReason
from serving.schemas.requests import ChangeRequest
from serving.schemas.responses import AccountChange, ChangeResponse, FamilyPart, RiskEndpoint, SignalPart
from serving.scoring.model_bundle import ModelBundle
from serving.scoring.scores import encode_matrix
from serving.scoring.signal_lookup import values_from_columns
from training.model.churn_model import SignalValue

MAX_SIGNALS = 5
MIN_POINTS = 1e-12
SignalColumns = Mapping[str, list[SignalValue]]


@dataclass(frozen=True)
class EndpointRisk:
    """One end of a change: its day and model version, and the risk if one was served."""

    as_of: datetime
    version: int
    risk: float | None = None
    scored_at: datetime | None = None


Endpoints = tuple[EndpointRisk, EndpointRisk]


@dataclass(frozen=True)
class ComparedAccounts:
    """Accounts whose changes have the same days and versions, with the signals of both days."""

    account_ids: list[str]
    models: tuple[ModelBundle, ModelBundle]
    rows: tuple[SignalColumns, SignalColumns]

    @cached_property
    def signal_names(self) -> list[str]:
        """The signals of either model."""
        return list(dict.fromkeys(name for model in self.models for name in model.signal_names))


def explain_changes(context: ServiceContext, request: ChangeRequest) -> ChangeResponse:
    """Why the risks of these accounts changed; raises RequestError if the champion does not have the horizon."""
    for day in (request.since, request.until):
        if day:
            require_past_day(context, day)
    model = context.champions.champion().model
    horizon_days = request.horizon_days or model.horizon_days
    require_horizon(model, horizon_days)
    endpoints = _find_endpoints(context, request)
    changes: dict[str, AccountChange] = {}
    reasons: dict[str, UnscoredReason] = dict.fromkeys(request.account_ids, "never_scored")
    for account_ids in _group_by_versions(endpoints):
        compared = _load_compared(context, account_ids, endpoints[account_ids[0]])
        if isinstance(compared, str):
            reasons |= dict.fromkeys(account_ids, compared)
            continue
        reasons |= dict.fromkeys(account_ids, "no_running_subscription")
        changes |= _explain_group(compared, endpoints, horizon_days)
    return {
        "horizon_days": horizon_days,
        "changed": [changes[account_id] for account_id in reasons if account_id in changes],
        "not_scored": [
            {"account_id": account_id, "reason": reason}
            for account_id, reason in reasons.items()
            if account_id not in changes
        ],
    }


def _find_endpoints(context: ServiceContext, request: ChangeRequest) -> dict[str, Endpoints]:
    """The two ends of each account that has both."""
    before = _served_risks(context, request.account_ids, request.since)
    if request.until:
        after = _served_risks(context, request.account_ids, request.until)
    else:
        version = context.champions.champion().version.number
        after = dict.fromkeys(request.account_ids, EndpointRisk(published_as_of(context.state), version))
    ids = [account_id for account_id in request.account_ids if account_id in before and account_id in after]
    return {account_id: (before[account_id], after[account_id]) for account_id in ids}


def _served_risks(context: ServiceContext, account_ids: Sequence[str], day: date) -> dict[str, EndpointRisk]:
    entries = context.ledger_reader.served_by(list(dict.fromkeys(account_ids)), day)
    return {
        account_id: EndpointRisk(entry.as_of, entry.version, entry.risk, entry.scored_at)
        for account_id, entry in entries.items()
    }


def _group_by_versions(endpoints: Mapping[str, Endpoints]) -> list[list[str]]:
    """The accounts whose ends have the same days and versions, together."""
    groups: dict[tuple[datetime, int, datetime, int], list[str]] = defaultdict(list)
    for account_id, (before, after) in endpoints.items():
        groups[before.as_of, before.version, after.as_of, after.version].append(account_id)
    return list(groups.values())


def _load_compared(
    context: ServiceContext, account_ids: list[str], endpoints: Endpoints
) -> ComparedAccounts | UnscoredReason:
    """The models and the signals of both ends; why they cannot be compared if one of them is missing."""
    before, after = endpoints
    try:
        models = context.champions.load_version(before.version), context.champions.load_version(after.version)
    except NotReady:
        return "version_gone"
    history = published_history_folder(context.state)
    try:
        rows = [read_history_rows(history, end.as_of, account_ids) for end in endpoints]
    except NotReady:
        return "history_gone"
    needed = {name for model in models for name in model.signal_names}
    if not all(needed <= day.columns.keys() for day in rows):
        return "history_gone"
    on_both_days = sorted(set(rows[0].account_ids) & set(rows[1].account_ids))
    return ComparedAccounts(
        on_both_days, models, (_select_rows(rows[0], on_both_days), _select_rows(rows[1], on_both_days))
    )


@dataclass(frozen=True)
class _GroupChange:
    """The changes of compared accounts within one horizon."""

    compared: ComparedAccounts
    change: RiskChange
    horizon_days: int
    families: Mapping[str, list[int]]


def _explain_group(
    compared: ComparedAccounts, endpoints: Mapping[str, Endpoints], horizon_days: int
) -> dict[str, AccountChange]:
    for model in compared.models:
        require_horizon(model, horizon_days)
    group = _GroupChange(compared, _attribute(compared, horizon_days), horizon_days, _columns_by_family(compared))
    return {
        account_id: _account_change(group, row, endpoints[account_id])
        for row, account_id in enumerate(compared.account_ids)
    }


def _attribute(compared: ComparedAccounts, horizon_days: int) -> RiskChange:
    models, names = compared.models, compared.signal_names
    return attribute_change(
        ChangeInputs(
            shares=[[_contributions(model, rows, names) for rows in compared.rows] for model in models],
            base_margins=[model.base_margin for model in models],
            calibrators=[model.calibrator for model in models],
            segments=[rows.get("segment", [None] * len(compared.account_ids)) for rows in compared.rows],
            horizon_days=horizon_days,
        )
    )


def _columns_by_family(compared: ComparedAccounts) -> Mapping[str, list[int]]:
    families = {signal.name: signal.family for model in compared.models for signal in model.inputs}
    columns: dict[str, list[int]] = defaultdict(list)
    for column, name in enumerate(compared.signal_names):
        columns[families[name]].append(column)
    return columns


def _account_change(group: _GroupChange, row: int, endpoints: Endpoints) -> AccountChange:
    change = group.change
    recomputed = float(change.before[row]), float(change.after[row])
    before, after = (
        # The ledger holds the risk within the main horizon only.
        end.risk if end.risk is not None and model.horizon_days == group.horizon_days else risk
        for end, risk, model in zip(endpoints, recomputed, group.compared.models, strict=True)
    )
    base = float(change.base[row])
    return {
        "account_id": group.compared.account_ids[row],
        "before": _endpoint(endpoints[0], before),
        "after": _endpoint(endpoints[1], after),
        "change": after - before,
        "signals": float(change.signals[row].sum()) + base,
        "families": _family_parts(group, row),
        "base": base,
        "model": float(change.trees[row]),
        "calibration": float(change.calibration[row]),
        "data_corrections": (after - recomputed[1]) - (before - recomputed[0]),
        "causal": False,
    }


def _family_parts(group: _GroupChange, row: int) -> list[FamilyPart]:
    """Every family's part, the largest first, with the signals of the largest parts."""
    points = group.change.signals[row]
    totals = {family: float(points[columns].sum()) for family, columns in group.families.items()}
    parts: list[FamilyPart] = []
    for family in sorted(totals, key=lambda family: -abs(totals[family])):
        largest = sorted(group.families[family], key=lambda column: -abs(points[column]))[:MAX_SIGNALS]
        signals = [_signal_part(group, row, column) for column in largest if abs(points[column]) > MIN_POINTS]
        parts.append({"family": family, "points": totals[family], "signals": signals})
    return parts


def _signal_part(group: _GroupChange, row: int, column: int) -> SignalPart:
    name = group.compared.signal_names[column]
    before, after = (rows[name][row] for rows in group.compared.rows)
    return {"name": name, "before": before, "after": after, "points": float(group.change.signals[row, column])}


def _endpoint(end: EndpointRisk, risk: float) -> RiskEndpoint:
    scored_at = format_instant(end.scored_at) if end.scored_at else None
    return {"risk": risk, "as_of": format_instant(end.as_of), "scored_at": scored_at, "version": end.version}


def _select_rows(rows: HistoryRows, account_ids: Sequence[str]) -> SignalColumns:
    row_of = {account_id: row for row, account_id in enumerate(rows.account_ids)}
    selected = [row_of[account_id] for account_id in account_ids]
    return {name: [column[row] for row in selected] for name, column in rows.columns.items()}


def _contributions(model: ModelBundle, rows: SignalColumns, names: Sequence[str]) -> np.ndarray:
    """Each signal's contribution to the margin that a model gives to rows, in the columns of `names`."""
    matrix = encode_matrix(model, values_from_columns(model, rows))
    column_of = {name: column for column, name in enumerate(names)}
    contributions = np.zeros((len(matrix), len(names)))
    contributions[:, [column_of[name] for name in model.signal_names]] = model.predict_contributions(matrix)
    return contributions
