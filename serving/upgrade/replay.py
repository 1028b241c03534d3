"""Replays recorded answers: each is computed again by the present code, and compared field by field.

An answer is an account's part of a response as the ledger holds it. It is computed again by the model version that
gave it, on the signals of its day, at the instant at which it was given, with as many drivers. A field that this
release adds is no difference; numbers may differ by rounding.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np
import sqlalchemy as sql

from configs.errors import DamagedState, NotReady, PromotionRefused, StoreDown
from configs.state_dir import StateDir
from features.store.history_reader import HistoryRows, read_history_rows
from features.store.publication import published_as_of, published_history_folder
from serving.ledger.ledger import RISKS
from serving.ledger.reader import LedgerEntry, entry_from_row
from serving.schemas.enums import Purpose
from serving.schemas.serialization import to_json
from serving.scoring.champion import LoadedModel
from serving.scoring.driver_text import MAX_SIGNALS_PER_FAMILY
from serving.scoring.model_bundle import ModelBundle
from serving.scoring.scorer import ScoredAccounts, Scorer
from serving.scoring.scores import score_values
from serving.scoring.signal_lookup import SignalLookup, fetch_signals, values_from_columns
from serving.upgrade.answer_differences import FieldDifference, find_differences
from training.registry.version import Version

Reason = Literal["version_gone", "bundle_refused", "history_gone", "account_gone", "signal_gone"]
REVENUE = "mrr"  # shown beside a risk, whether or not it is a signal of the model


@dataclass(frozen=True)
class RecordedAnswer:
    """An entry of the ledger, and why its risk was computed."""

    entry: LedgerEntry
    purpose: Purpose

    @property
    def max_drivers(self) -> int | None:
        """How many drivers were asked for in each direction; None if it was all of them, with all signals."""
        directions = self.entry.score["drivers"], self.entry.score["protective_drivers"]
        if any(len(driver["signals"]) > MAX_SIGNALS_PER_FAMILY for drivers in directions for driver in drivers):
            return None
        return max(map(len, directions))


@dataclass(frozen=True)
class DifferentAnswer:
    """An answer that is another one now. `first` is the value of a signal, if one differs."""

    account_id: str
    scored_at: datetime
    version: int
    recorded_risk: float
    risk: float
    first: FieldDifference


@dataclass(frozen=True)
class Replay:
    """How many answers are equal, how many of them to the last bit, those that differ, and why others have none."""

    equal: int
    identical: int
    different: Sequence[DifferentAnswer]
    not_replayed: Mapping[Reason, int]


def read_answers(connection: sql.Connection, limit: int) -> list[RecordedAnswer]:
    """The answers that were recorded last, newest first."""
    query = sql.select(RISKS).order_by(RISKS.c.id.desc()).limit(limit)
    return [RecordedAnswer(entry_from_row(row), row["purpose"]) for row in connection.execute(query).mappings()]


def replay_answers(scorer: Scorer, state: StateDir, answers: Sequence[RecordedAnswer]) -> Replay:
    """Compute recorded answers again and compare them; nothing is recorded.

    Raises StoreDown if the online store cannot be read.
    """
    counts, reasons = Counter[str](), Counter[Reason]()
    different: list[DifferentAnswer] = []
    source = _ReplaySource(scorer, state, answers)
    for answer in answers:
        try:
            again = source.answer_again(answer)
        except _NotReplayable as failure:
            reasons[failure.reason] += 1
            continue
        differences = list(find_differences(answer.entry.score, again))
        if differences:
            different.append(_describe(answer.entry, again, differences))
        else:
            is_identical = not any(find_differences(answer.entry.score, again, tolerance=0.0))
            counts["identical" if is_identical else "close"] += 1
    return Replay(counts.total(), counts["identical"], different, dict(reasons))


def _describe(entry: LedgerEntry, again: Mapping[str, Any], differences: Sequence[FieldDifference]) -> DifferentAnswer:
    # If a day was published anew with other rows, all else differs because of that.
    inputs = [difference for difference in differences if difference.field.endswith(".value")]
    first = (inputs or differences)[0]
    return DifferentAnswer(entry.account_id, entry.scored_at, entry.version, entry.risk, again["risk"], first)


class _NotReplayable(Exception):
    """An answer that cannot be computed again."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class _ReplaySource:
    """The models and the signals of recorded answers, each read once."""

    def __init__(self, scorer: Scorer, state: StateDir, answers: Sequence[RecordedAnswer]) -> None:
        self._scorer, self._state = scorer, state
        accounts = defaultdict[datetime, set[str]](set)
        for answer in answers:
            accounts[answer.entry.as_of].add(answer.entry.account_id)
        self._accounts = {day: sorted(ids) for day, ids in accounts.items()}
        self._models: dict[int, LoadedModel] = {}
        self._days: dict[tuple[datetime, int], SignalLookup] = {}

    def answer_again(self, answer: RecordedAnswer) -> Mapping[str, Any]:
        """An account's part of a response, computed now; raises _NotReplayable with the reason if it cannot be."""
        entry = answer.entry
        model = self._find_model(entry.version)
        signals = _select_account(self._find_signals(entry.as_of, model), entry.account_id)
        if answer.purpose == "recomputed":  # ages of a past day are measured from that day
            signals = replace(signals, age_reference=entry.as_of)
        scorer = replace(self._scorer, clock=lambda: entry.scored_at)
        scored = ScoredAccounts(model, signals, score_values(model.model, signals.values), {})
        return json.loads(to_json(scorer.to_response(scored, answer.max_drivers)["scores"][0]))

    def _find_model(self, version: int) -> LoadedModel:
        if version not in self._models:
            self._models[version] = self._load_model(version)
        return self._models[version]

    def _load_model(self, version: int) -> LoadedModel:
        try:
            model = self._scorer.champions.load_version(version)
        except PromotionRefused:
            raise _NotReplayable("bundle_refused") from None
        except NotReady:
            raise _NotReplayable("version_gone") from None
        return LoadedModel(model, Version(self._scorer.settings.name, version, "", None))

    def _find_signals(self, day: datetime, model: LoadedModel) -> SignalLookup:
        key = day, model.version.number
        if key not in self._days:
            self._days[key] = self._read_signals(day, model.model)
        return self._days[key]

    def _read_signals(self, day: datetime, model: ModelBundle) -> SignalLookup:
        """The signals of a day: from the online store if it is the published one, else from the history."""
        accounts = self._accounts[day]
        try:
            if day == published_as_of(self._state):
                signals = fetch_signals(self._scorer.signals, accounts)
            else:
                rows = read_history_rows(published_history_folder(self._state), day, accounts)
                signals = _lookup_from_history(rows, day, model)
        except (StoreDown, DamagedState):
            raise
        except NotReady:
            raise _NotReplayable("history_gone") from None
        _require_signals(model, signals.values.columns.names)
        return signals


def _lookup_from_history(rows: HistoryRows, day: datetime, model: ModelBundle) -> SignalLookup:
    _require_signals(model, rows.columns.keys())
    others = [REVENUE] if REVENUE in rows.columns and REVENUE not in model.signal_name_set else []
    values = values_from_columns(model, rows.columns, others)
    return SignalLookup(rows.account_ids, values, np.full(len(rows.account_ids), np.datetime64(day)), day)


def _require_signals(model: ModelBundle, names: Set[str]) -> None:
    if not model.signal_name_set <= names:
        raise _NotReplayable("signal_gone")


def _select_account(signals: SignalLookup, account_id: str) -> SignalLookup:
    row = signals.account_ids.index(account_id) if account_id in signals.account_ids else None
    if row is None or np.isnat(signals.as_of[row]):
        raise _NotReplayable("account_gone")
    return signals.take([row])
