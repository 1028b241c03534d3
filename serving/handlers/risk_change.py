"""Causes: two risks of an account fetched from the ledger or given now, and their difference split by `change.py`.

The signals of either day come from the history. Where they were corrected after a risk was given, the model no longer
gives that risk to them: that difference is a part of its own, so that the parts always sum to what was served.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from configs.errors import NotReady, RequestError
from features.store.history_reader import PastRows, read_past_rows
from features.store.online_reader import Columns, Values
from features.store.publication import edition_folder, published_as_of
from serving.explanations.change_attribution import ChangeInputs, RiskChange, attribute_change
from serving.handlers.context import ServiceContext
from serving.schemas.requests import ChangeRequest
from serving.scoring.model_bundle import ModelBundle
from serving.scoring.scores import encode_matrix

MAX_SIGNALS = 5
MIN_POINTS = 1e-12


@dataclass(frozen=True)
class ServedRisk:
    """One end of a change: the risk that was served, if it was, of which day and by which version."""

    as_of: datetime
    version: int
    risk: float | None = None
    given_at: datetime | None = None


@dataclass(frozen=True)
class ComparedAccounts:
    """Some accounts whose changes run between the same days and versions, with the signals of both days."""

    ids: list[str]
    models: tuple[Any, Any]
    rows: tuple[Mapping[str, list[Any]], Mapping[str, list[Any]]]


def explain_changes(desk: ServiceContext, asked: ChangeRequest) -> dict[str, Any]:
    """Why the risks of these accounts moved; raises RequestError where the champion never learned the horizon."""
    for day in (asked.since, asked.until):
        if day:
            desk.require_past_day(day)
    champion = desk.scorer.champion()
    horizon = asked.horizon_days or champion.model.horizon_days
    _require_horizon(champion.model, horizon)
    ids = list(dict.fromkeys(asked.account_ids))
    served = [desk.ledger_reader.last(ids, day) for day in (asked.since, asked.until) if day]
    befores = {one.account_id: ServedRisk(one.as_of, one.version, one.risk, one.given_at) for one in served[0].values()}
    if asked.until:
        afters = {
            one.account_id: ServedRisk(one.as_of, one.version, one.risk, one.given_at) for one in served[1].values()
        }
    else:
        published = published_as_of(desk.state)
        afters = dict.fromkeys(ids, ServedRisk(published, champion.version.number))
    told, reasons = _explain_groups(desk, ids, (befores, afters), horizon)
    return {
        "horizon_days": horizon,
        "changed": [told[one] for one in ids if one in told],
        "not_scored": [{"account_id": one, "reason": reasons[one]} for one in ids if one not in told],
    }


def _explain_groups(
    desk: ServiceContext, ids: list[str], ends: tuple[Mapping[str, ServedRisk], Mapping[str, ServedRisk]], horizon: int
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The changes of the accounts that have two risks, and why the others have none."""
    groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    reasons = dict.fromkeys(ids, "never_scored")
    for one in ids:
        if one in ends[0] and one in ends[1]:
            groups[tuple((side[one].as_of, side[one].version) for side in ends)].append(one)
    told: dict[str, dict[str, Any]] = {}
    for ((day, version), (later, newer)), members in groups.items():
        found = _load_compared(desk, members, (day, later), (version, newer))
        if isinstance(found, str):
            reasons |= dict.fromkeys(members, found)
            continue
        reasons |= dict.fromkeys(members, "no_running_subscription")
        told |= _attribute(found, ends, horizon)
    return told, reasons


def _load_compared(
    desk: ServiceContext, ids: list[str], days: tuple[datetime, datetime], versions: tuple[int, int]
) -> ComparedAccounts | str:  # fmt: skip
    edition = edition_folder(desk.state)
    try:
        models = tuple(desk.scorer.load_version(version) for version in versions)
    except NotReady:
        return "version_gone"
    try:
        rows = [read_past_rows(edition, day, ids) for day in days]
    except NotReady:
        return "history_gone"
    there = sorted(set(rows[0].account_ids) & set(rows[1].account_ids))
    needed = {name for model in models for name in model.names}
    if not all(needed <= one.columns.keys() for one in rows):
        return "history_gone"
    return ComparedAccounts(there, (models[0], models[1]), (_select_rows(rows[0], there), _select_rows(rows[1], there)))


def _attribute(
    pair: ComparedAccounts, ends: tuple[Mapping[str, ServedRisk], Mapping[str, ServedRisk]], horizon: int
) -> dict[str, dict[str, Any]]:
    for model in pair.models:
        _require_horizon(model, horizon)
    names = list(dict.fromkeys(name for model in pair.models for name in model.names))
    families = {one.name: one.family for model in pair.models for one in model.inputs}
    shares = [[_margin_shares(model, rows, names) for rows in pair.rows] for model in pair.models]
    segments = [rows.get("segment", [None] * len(pair.ids)) for rows in pair.rows]
    calibrators = [model.calibrator for model in pair.models]
    found = attribute_change(
        ChangeInputs(shares, [model.base_margin for model in pair.models], calibrators, segments, horizon)
    )
    is_main = [model.horizon_days == horizon for model in pair.models]
    return {
        one: _to_change(_ChangeRow(found, place, names, families), pair, (ends[0][one], ends[1][one]), is_main)
        for place, one in enumerate(pair.ids)
    }


@dataclass(frozen=True)
class _ChangeRow:
    """One account's place in the changes of some."""

    found: RiskChange
    place: int
    names: Sequence[str]
    families: Mapping[str, str]


def _to_change(
    row: _ChangeRow, pair: ComparedAccounts, ends: tuple[ServedRisk, ServedRisk], is_main: Sequence[bool]
) -> dict[str, Any]:
    found, at = row.found, row.place
    recomputed = float(found.before[at]), float(found.after[at])
    served = [
        float(end.risk) if end.risk is not None and main else now
        for end, now, main in zip(ends, recomputed, is_main, strict=True)
    ]
    corrected = (served[1] - recomputed[1]) - (served[0] - recomputed[0])
    points, base = found.signals[at], float(found.base[at])
    return {
        "account_id": pair.ids[at],
        "before": _endpoint(ends[0], served[0]),
        "after": _endpoint(ends[1], served[1]),
        "change": served[1] - served[0],
        "signals": float(points.sum()) + base,
        "families": _family_changes(row, pair),
        "base": base,
        "model": float(found.trees[at]),
        "calibration": float(found.calibration[at]),
        "corrected": corrected,
        "causal": False,
    }


def _family_changes(row: _ChangeRow, pair: ComparedAccounts) -> list[dict[str, Any]]:
    """Every family's part, the heaviest first, with the signals that moved it most."""
    points = row.found.signals[row.place]
    members: dict[str, list[int]] = defaultdict(list)
    for column, name in enumerate(row.names):
        members[row.families[name]].append(column)
    parts = {family: float(points[columns].sum()) for family, columns in members.items()}
    told = []
    for family in sorted(parts, key=lambda one: -abs(parts[one])):
        heaviest = sorted(members[family], key=lambda column: -abs(points[column]))[:MAX_SIGNALS]
        signals = [_signal_change(row, pair, column) for column in heaviest if abs(points[column]) > MIN_POINTS]
        told.append({"family": family, "points": parts[family], "signals": signals})
    return told


def _signal_change(row: _ChangeRow, pair: ComparedAccounts, column: int) -> dict[str, Any]:
    name = row.names[column]
    before, after = (rows[name][row.place] for rows in pair.rows)
    return {"name": name, "before": before, "after": after, "points": float(row.found.signals[row.place, column])}


def _endpoint(end: ServedRisk, risk: float) -> dict[str, Any]:
    given_at = end.given_at.isoformat() if end.given_at else None
    return {"risk": risk, "as_of": end.as_of.isoformat(), "given_at": given_at, "version": end.version}


def _select_rows(rows: PastRows, ids: Sequence[str]) -> dict[str, list[Any]]:
    place = {one: at for at, one in enumerate(rows.account_ids)}
    chosen = [place[one] for one in ids]
    return {name: [column[at] for at in chosen] for name, column in rows.columns.items()}


def _margin_shares(model: ModelBundle, rows: Mapping[str, list[Any]], names: Sequence[str]) -> np.ndarray:
    """Each signal's share of the margin that a model gives to rows, in the columns of `names`."""
    matrix = encode_matrix(model, _to_values(model, rows))
    column = {name: at for at, name in enumerate(names)}
    shares = np.zeros((len(matrix), len(names)))
    shares[:, [column[name] for name in model.names]] = model.contributions(matrix)
    return shares


def _to_values(model: ModelBundle, rows: Mapping[str, list[Any]]) -> Values:
    """The signals that a model reads, from a list per signal."""
    words = [name for name in model.names if name in model.categories]
    numbers = [name for name in model.names if name not in model.categories]
    columns = Columns({name: at for at, name in enumerate(numbers)}, {name: at for at, name in enumerate(words)})
    matrix = np.array([rows[name] for name in numbers], dtype="float64").T
    return Values(columns, matrix, list(zip(*(rows[name] for name in words), strict=True)) or [()] * len(matrix))


def _require_horizon(model: Any, horizon: int) -> None:
    if horizon not in model.calibrator.horizons:
        known = ", ".join(map(str, model.calibrator.horizons))
        message = f"No risk within {horizon} days is given by every version asked about."
        raise RequestError(message, f"Ask for one of {known}.", code="unknown_horizon", status=422)
