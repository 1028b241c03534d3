"""The engine of one process: the champion, the store and the ledger, and the reply made of them.

The champion is held in one reference that is replaced as a whole: a reply reads it once, so it never mixes two models.
"""

import logging
import sqlite3
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from configs.errors import NoChampion, NotReady, PromotionRefused, StoreDown
from configs.files import read_json
from configs.settings import Settings
from configs.state_dir import State
from features.store.online_reader import OnlineReader, Values
from serving.ledger.ledger import open_ledger
from serving.ledger.writer import LedgerWriter
from serving.schemas.serialization import PreserializedScore
from serving.scoring.champion import LoadedModel, describe_model
from serving.scoring.champion_pointer import bundle_folder, read_pointer
from serving.scoring.driver_text import describe_drivers
from serving.scoring.model_bundle import ModelBundle, load_bundle
from serving.scoring.scores import Scores, assign_bands, band_thresholds, encode_matrix, risks_by_horizon, score_values
from serving.scoring.signal_lookup import SignalLookup, find_unscored, require_signals
from serving.treeshap.kernel import Kernel

LOG = logging.getLogger("oarlock.engine")


@dataclass(frozen=True)
class ScoredAccounts:
    """The accounts asked for that have a risk, with what the champion makes of them, and why the others have none."""

    champion: LoadedModel
    signals: SignalLookup
    scores: Scores
    unscored_reasons: Mapping[str, str]


class Scorer:
    """Scores accounts with the champion and the published signals, and writes every risk to the ledger."""

    def __init__(self, settings: Settings, state: State, clock: Callable[[], datetime]) -> None:
        self.settings, self.state, self.clock = settings, state, clock
        self.ledger = open_ledger(settings, state)
        self.writer: LedgerWriter | None = None
        self.reader = OnlineReader(state)
        self.refused: Mapping[str, Any] | None = None
        self.threads = 1  # of the kernel; a worker shares its cores with other workers
        self._champion: LoadedModel | None = None
        self._loaded_pointer: tuple[int, Path] | None = None
        self._lock = threading.Lock()

    def refresh(self) -> LoadedModel:
        """Swap the champion if the pointer moved; raises NoChampion where none was promoted.

        A version that does not give its own sample the risks it must is not taken up: the one before stays, `refused`
        says why, and only where there is none before is PromotionRefused raised.
        """
        with self._lock:
            try:
                written = self.state.champion.stat().st_mtime_ns
                pointer = read_pointer(self.state)
            except (FileNotFoundError, NoChampion):
                self._champion = self._loaded_pointer = None
                raise NoChampion("No model has been promoted yet.", "Run `oarlock promote`.") from None
            if self._loaded_pointer != (written, pointer.folder):
                self._load_champion(pointer)
                self._loaded_pointer = (written, pointer.folder)
            if self._champion is None:
                why = self.refused["reason"] if self.refused else ""
                raise PromotionRefused(f"The promoted version cannot be scored. {why}".strip(), "Promote it again.")
            return self._champion

    def champion(self) -> LoadedModel:
        """The model that answers now; raises NoChampion where none was promoted."""
        return self._champion or self.refresh()

    @property
    def is_prompt(self) -> bool:
        """Whether a risk can be given without waiting for a model to be loaded or for the ledger."""
        return self._champion is not None and self.writer is not None and self.writer.is_prompt

    def ready(self) -> None:
        """Raise NotReady with the reason where no risk could be given."""
        require_signals(self.champion().model, self.reader.published().columns)
        self.fetch_signals([])

    def fetch_signals(self, account_ids: list[str]) -> SignalLookup:
        """The published signals of these accounts, in one read.

        Raises NotReady where nothing was published, StoreDown where the store cannot be read.
        """
        try:
            found = self.reader.read(account_ids)
        except (OSError, sqlite3.Error) as problem:
            raise StoreDown(f"The store of signals cannot be read: {problem}.", "Mend it, or publish again.") from None
        families = [one.view for one in self.reader.published().layouts]
        stamps = dict(zip(families, found.stamps.T, strict=True))
        return SignalLookup(account_ids, found.values, found.as_of, found.published, stamps)

    def score_accounts(self, account_ids: list[str]) -> ScoredAccounts:
        """What the champion makes of these accounts; raises NoChampion or NotReady where no risk can be given."""
        return self._score_signals(self.champion(), self.fetch_signals(account_ids))

    def to_response(self, found: ScoredAccounts, most_drivers: int | None) -> dict[str, Any]:
        """Risks with drivers for the accounts found, reasons for the others."""
        seen_from = found.signals.age_reference or self.clock()
        return {
            "as_of": found.signals.published_as_of.isoformat(),
            "model": describe_model(found.champion),
            "scores": self._to_scores(found.signals, found.scores, seen_from, most_drivers),
            "not_scored": [{"account_id": one, "reason": reason} for one, reason in found.unscored_reasons.items()],
        }

    def append_to_ledger(self, champion: LoadedModel, scores: list[dict[str, Any]], request_id: str = "") -> None:
        """Write risks that are given to the ledger."""
        (self.writer or self.ledger).append(scores, _ledger_source(champion, self.clock(), request_id))

    def score_and_record(self, signals: SignalLookup, most_drivers: int | None, request_id: str = "") -> dict[str, Any]:
        """What is told of these signals' accounts, all of it written to the ledger.

        Raises NoChampion or NotReady where no risk can be given.
        """
        found = self._score_signals(self.champion(), signals)
        reply = self.to_response(found, most_drivers)
        self.append_to_ledger(found.champion, reply["scores"], request_id)
        return reply

    def score(self, account_ids: list[str], most_drivers: int | None, request_id: str = "") -> dict[str, Any]:
        """The reply to a request for these accounts; an id that is repeated is answered once."""
        self.champion()
        return self.score_and_record(self.fetch_signals(list(dict.fromkeys(account_ids))), most_drivers, request_id)

    def score_matrix_for(self, account_ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The risks of accounts within every horizon, NaN where there is none, and the matrix they came from."""
        champion, signals = self.champion(), self.fetch_signals(account_ids)
        require_signals(champion.model, signals.values.columns)
        matrix = encode_matrix(champion.model, signals.values)
        there = signals.newest_as_of >= np.datetime64(signals.published_as_of)
        return np.where(there[:, None], champion.model.risks_within(matrix), np.nan), matrix

    def load_version(self, number: int) -> ModelBundle:
        """The model of a version that was ever promoted; raises NotReady where it is gone."""
        champion = self.champion()
        if champion.version.number == number:
            return champion.model
        folder = bundle_folder(self.state, number)
        if not folder.exists():
            raise NotReady(f"There is no bundle of version {number}.", "Only promoted versions have one.")
        return load_bundle(folder, Kernel(self.state.compiled))

    def champion_status(self) -> dict[str, Any]:
        """Which model answers now, and which version was refused since, if one was."""
        return {**describe_model(self.champion()), "refused": self.refused}

    def list_versions(self) -> dict[str, Any]:
        """Every registered version, newest first."""
        return (
            read_json(self.state.models) if self.state.models.exists() else {"name": self.settings.name, "models": []}
        )

    def _load_champion(self, pointer: Any) -> None:
        self.refused = pointer.refused
        current = self._champion
        if current and current.version.number == pointer.version.number:
            return
        try:
            self._champion = LoadedModel(load_bundle(pointer.folder, Kernel(self.state.compiled)), pointer.version)
        except PromotionRefused as problem:
            self.refused = {"version": pointer.version.number, "reason": problem.message}
            LOG.error("version %s is refused, the one before stays: %s", pointer.version.number, problem)
            return
        LOG.info("version %s answers now", pointer.version.number)

    def _score_signals(self, champion: LoadedModel, signals: SignalLookup) -> ScoredAccounts:
        require_signals(champion.model, signals.values.columns)
        reasons = find_unscored(signals)
        kept = signals
        if reasons:
            kept = signals.take([i for i, one in enumerate(signals.account_ids) if one not in reasons])
        return ScoredAccounts(champion, kept, score_values(champion.model, kept.values, self.threads), reasons)

    def _to_scores(
        self, found: SignalLookup, scores: Scores, seen_from: datetime, most_drivers: int | None
    ) -> list[PreserializedScore]:
        ids, cut = found.account_ids, assign_bands(scores.risks, band_thresholds(scores.model, self.settings.bands))
        fresh = [self.settings.serving.fresh_days(one) for one in scores.families]
        oldest = np.datetime64(seen_from) - np.array(fresh, dtype="timedelta64[D]")
        ages = np.array([found.as_of_by_family.get(one, found.as_of) for one in scores.families])
        stale, gaps = (
            _families_where(oldest > ages.T, scores.families),
            _families_where(scores.missing, scores.families),
        )
        as_of = np.datetime_as_string(found.as_of, unit="s").tolist()
        risks, within = scores.risks.tolist(), risks_by_horizon(scores)
        revenue, named = _revenue(found.values, scores.risks), describe_drivers(scores, most_drivers)
        return [
            PreserializedScore(
                {
                    "account_id": ids[row],
                    "status": "stale" if stale[row] else "partial" if gaps[row] else "scored",
                    "stale_families": stale[row],
                    "missing_families": gaps[row],
                    "risk": risks[row],
                    "risks": within[row],
                    "band": cut[row],
                    "revenue": revenue[row],
                    **named[row],
                    "signals_as_of": as_of[row],
                    "causal": False,
                }
            )
            for row in range(len(ids))
        ]


def _families_where(holds: np.ndarray, families: tuple[str, ...]) -> list[list[str]]:
    """Of each row the families for which it holds, shape (rows, families)."""
    named: list[list[str]] = [[] for _ in holds]
    if not holds.any():
        return named
    for row, place in np.argwhere(holds).tolist():
        named[row].append(families[place])
    return named


def _revenue(values: Values, risks: np.ndarray) -> list[dict[str, float | None]]:
    place = values.columns.numbers.get("mrr")
    if place is None:
        return [{"mrr": None, "at_risk": None} for _ in risks]
    mrr = values.numbers[:, place]
    pairs = zip(mrr.tolist(), (mrr * risks).tolist(), np.isnan(mrr).tolist(), strict=True)
    return [{"mrr": None, "at_risk": None} if gap else {"mrr": one, "at_risk": part} for one, part, gap in pairs]


def _ledger_source(champion: LoadedModel, given_at: datetime, request_id: str) -> Mapping[str, Any]:
    return {
        "given_at": given_at,
        "request_id": request_id or uuid.uuid4().hex,
        "model": champion.version.name,
        "version": champion.version.number,
        "label_hash": champion.model.identity["label"],
        "signal_set": champion.model.identity["signal_set"],
    }
