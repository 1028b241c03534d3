"""Recording: what the version in shadow and the champion give for the accounts of the newest published day."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sql

from configs.state_dir import StateDir
from features.online.online_store import open_online_reader
from features.signals.base import Signal
from features.store.history import accounts_on, published_history
from monitoring.shadow.shadow_version import find_shadow, stop_shadow
from serving.ledger.schema import SHADOW_RISKS
from serving.scoring.champion_pointer import bundle_folder, read_pointer
from serving.scoring.model_bundle import ModelBundle, load_bundle
from serving.scoring.scores import score_values
from serving.scoring.signal_lookup import SignalLookup, fetch_signals, find_unscored, require_signals
from serving.treeshap.kernel import Kernel

ACCOUNTS_PER_CHUNK = 2_000


@dataclass(frozen=True)
class RecordedDay:
    """How many accounts of a day were recorded, of which versions; 0 if the day was recorded before."""

    as_of: datetime
    challenger: int
    champion: int
    accounts: int


def record_newest_day(
    state: StateDir, engine: sql.Engine, at: datetime, declared: tuple[Signal, ...] | None = None
) -> RecordedDay | None:
    """Score the newest published day by the version in shadow and by the champion, once, all of it or nothing.

    `declared` are the signals of the company's catalogue. None if no version is in shadow. A version that became
    champion since leaves the shadow. Raises NoChampion or NotReady if there is nothing to score with, PromotionRefused
    if a bundle cannot be loaded.
    """
    shadow = find_shadow(state)
    if shadow is None:
        return None
    champion = read_pointer(state).version.number
    if champion == shadow.version:
        stop_shadow(state)
        return None
    history, as_of = published_history(state, declared)
    pair = shadow.version, champion
    if _is_recorded(engine, pair, as_of):
        return RecordedDay(as_of, *pair, accounts=0)
    models = [load_bundle(bundle_folder(state, number), Kernel(state.compiled_kernels)) for number in pair]
    common = {"recorded_at": at, "challenger": pair[0], "champion": pair[1], "as_of": as_of}
    common |= {"label_hash": models[0].identity["label"]}
    reader, account_ids, count = open_online_reader(state), accounts_on(history, as_of), 0
    with engine.begin() as connection:
        for start in range(0, len(account_ids), ACCOUNTS_PER_CHUNK):
            signals = fetch_signals(reader, account_ids[start : start + ACCOUNTS_PER_CHUNK])
            rows = [{**common, **row} for row in _score_by_both(models, signals)]
            count += len(rows)
            if rows:
                connection.execute(SHADOW_RISKS.insert(), rows)
    return RecordedDay(as_of, *pair, accounts=count)


def _is_recorded(engine: sql.Engine, pair: tuple[int, int], as_of: datetime) -> bool:
    of_day = SHADOW_RISKS.c.challenger == pair[0], SHADOW_RISKS.c.champion == pair[1], SHADOW_RISKS.c.as_of == as_of
    with engine.connect() as connection:
        return connection.execute(sql.select(SHADOW_RISKS.c.id).where(*of_day).limit(1)).first() is not None


def _score_by_both(models: Sequence[ModelBundle], signals: SignalLookup) -> list[dict[str, str | None]]:
    """The columns of each account that has a risk: what the challenger gives, and what the champion gives."""
    for model in models:
        require_signals(model, signals.values.columns)
    unscored = find_unscored(signals)
    rows = [row for row, account_id in enumerate(signals.account_ids) if account_id not in unscored]
    scored = signals.take(rows)
    (risks, families), (champion_risks, champion_families) = (_columns(model, scored) for model in models)
    columns = zip(scored.account_ids, risks, champion_risks, families, champion_families, strict=True)
    names = ("account_id", "risks", "champion_risks", "family", "champion_family")
    return [dict(zip(names, values, strict=True)) for values in columns]


def _columns(model: ModelBundle, signals: SignalLookup) -> tuple[list[str], list[str | None]]:
    """The risks by horizon as JSON, and the family that raises each risk most."""
    scores = score_values(model, signals.values)
    horizons = [str(horizon) for horizon in model.calibrator.horizons]
    risks = [json.dumps(dict(zip(horizons, row, strict=True))) for row in scores.risks_by_horizon.tolist()]
    columns: list[int] = scores.leading_families.tolist()
    leading = [scores.families[column] if column >= 0 else None for column in columns]
    return risks, leading
