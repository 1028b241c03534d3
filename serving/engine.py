"""The engine of one process: the champion, the store and the ledger, and the reply made of them.

The champion is held in one reference that is replaced as a whole: a reply reads it once, so it never mixes two models.
"""

import sqlite3
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from configs.errors import NotReady, StoreDown
from configs.settings import Settings
from configs.state import State
from features.publish import published_edition
from features.published import published_as_of
from features.store import online_views, open_store, read_online
from serving.ledger import open_ledger
from serving.scoring import Scores, bands, by_horizon, cuts_of, drivers, score
from serving.writer import LedgerWriter
from training.model import ChurnModel, encode
from training.registry import CHAMPION, Version, open_registry

UNKNOWN, GONE = "unknown_account", "no_running_subscription"


@dataclass(frozen=True)
class Champion:
    """The model that answers now and the version it is."""

    model: ChurnModel
    version: Version


@dataclass(frozen=True)
class Signals:
    """Signals of some accounts as they were found: `values` a row per account asked for, `as_of` their age."""

    account_ids: list[str]
    values: pd.DataFrame
    as_of: np.ndarray
    published: datetime


@dataclass(frozen=True)
class Found:
    """The accounts asked for that have a risk, with what the champion makes of them, and why the others have none."""

    champion: Champion
    signals: Signals
    scores: Scores
    reasons: Mapping[str, str]


class Engine:
    """Scores accounts with the champion and the published signals, and writes every risk to the ledger."""

    def __init__(self, settings: Settings, state: State, clock: Callable[[], datetime]) -> None:
        self.settings, self.state, self.clock = settings, state, clock
        self.ledger = open_ledger(settings, state)
        self.writer: LedgerWriter | None = None
        self._registry = open_registry(state, settings.name)
        self._champion: Champion | None = None
        self._store: Any = None
        self._views: tuple[int, list[Any]] | None = None
        self._opening = threading.Lock()
        self._models: dict[int, ChurnModel] = {}

    def refresh(self) -> Champion:
        """Look up the alias and swap the champion if it moved; raises NoChampion where none was promoted."""
        version = self._registry.champion()
        current = self._champion
        if current is None or current.version.number != version.number:
            model = self._registry.load(version)
            _ = model.booster  # parsed before the swap, not in the first request after it
            self._champion = current = Champion(model, version)
        return current

    def champion(self) -> Champion:
        """The model that answers now; raises NoChampion where none was promoted."""
        return self._champion or self.refresh()

    def ready(self) -> None:
        """Raise NotReady with the reason where no risk could be given."""
        champion = self.champion()
        place, _ = published_edition(self.state)
        _refuse_missing_signals(champion.model, [one.name for one in place.signals])

    def look_up(self, account_ids: list[str]) -> Signals:
        """The published signals of these accounts."""
        # Not the whole edition: hashing every declaration has no place in a request.
        published = published_as_of(self.state)
        try:
            found = read_online(self._open_store(), account_ids, self._published_views())
        except (OSError, sqlite3.Error) as problem:
            raise StoreDown(f"The store of signals cannot be read: {problem}.", "Mend it, or publish again.") from None
        return Signals(account_ids, found.values, found.as_of, published)

    def found(self, account_ids: list[str]) -> Found:
        """What the champion makes of these accounts; raises NoChampion or NotReady where no risk can be given."""
        champion = self.champion()
        return self._judge(champion, self.look_up(account_ids))

    def told(self, found: Found, most_drivers: int | None) -> dict[str, Any]:
        """Risks with drivers for the accounts found, reasons for the others."""
        return {
            "as_of": found.signals.published.isoformat(),
            "model": describe(found.champion),
            "scores": self._scored(found.signals, found.scores, self.clock(), most_drivers),
            "not_scored": [{"account_id": one, "reason": reason} for one, reason in found.reasons.items()],
        }

    def record(self, champion: Champion, scores: list[dict[str, Any]], request_id: str = "") -> None:
        """Write risks that are given to the ledger."""
        (self.writer or self.ledger).append(scores, _source(champion, self.clock(), request_id))

    def reply(self, signals: Signals, most_drivers: int | None, request_id: str = "") -> dict[str, Any]:
        """What is told of these signals' accounts, all of it written to the ledger.

        Raises NoChampion or NotReady where no risk can be given.
        """
        found = self._judge(self.champion(), signals)
        reply = self.told(found, most_drivers)
        self.record(found.champion, reply["scores"], request_id)
        return reply

    def score(self, account_ids: list[str], most_drivers: int | None, request_id: str = "") -> dict[str, Any]:
        """The reply to a request for these accounts; an id that is repeated is answered once."""
        self.champion()
        return self.reply(self.look_up(list(dict.fromkeys(account_ids))), most_drivers, request_id)

    def survey(self, account_ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The risks of accounts within every horizon, NaN where there is none, and the matrix they came from."""
        champion, signals = self.champion(), self.look_up(account_ids)
        _refuse_missing_signals(champion.model, list(signals.values.columns))
        matrix = encode(signals.values, champion.model.inputs)
        risks = champion.model.risks_within(matrix)
        there = signals.as_of >= np.datetime64(signals.published)
        return np.where(there[:, None], risks, np.nan), matrix

    def model_of(self, number: int) -> ChurnModel:
        """The model of a version; raises NotReady where it is gone."""
        champion = self.champion()
        if champion.version.number == number:
            return champion.model
        if number not in self._models:
            self._models[number] = self._registry.load(self._registry.get(number))
        return self._models[number]

    def models(self) -> dict[str, Any]:
        """Every registered version, newest first."""
        known = [(one, self.model_of(one.number)) for one in self._registry.versions()]
        told = [
            {
                "version": one.number,
                "alias": one.alias,
                "horizons": list(model.calibrator.horizons),
                "label_hash": model.identity["label"],
                "signal_set": model.identity["signal_set"],
            }
            for one, model in known
        ]
        return {"name": self._registry.name, "models": told}

    def _judge(self, champion: Champion, signals: Signals) -> Found:
        _refuse_missing_signals(champion.model, list(signals.values.columns))
        reasons = _not_scored(signals)
        keep = [i for i, account_id in enumerate(signals.account_ids) if account_id not in reasons]
        kept = replace(
            signals,
            account_ids=[signals.account_ids[i] for i in keep],
            values=signals.values.iloc[keep].reset_index(drop=True),
            as_of=signals.as_of[keep],
        )
        return Found(champion, kept, score(champion.model, kept.values), reasons)

    def _scored(
        self, found: Signals, scores: Scores, asked_at: datetime, most_drivers: int | None
    ) -> list[dict[str, Any]]:
        cut, ids = bands(scores.risks, cuts_of(scores.model, self.settings.bands)), found.account_ids
        oldest = [np.datetime64(asked_at - timedelta(days=self._limit(one))) for one in scores.families]
        stale = [[f for f, limit in zip(scores.families, oldest, strict=True) if at < limit] for at in found.as_of]
        return [
            {
                "account_id": ids[row],
                "status": "stale" if stale[row] else "partial" if scores.missing[row].any() else "scored",
                "stale_families": stale[row],
                "missing_families": [f for f, gap in zip(scores.families, scores.missing[row], strict=True) if gap],
                "risk": float(scores.risks[row]),
                "risks": by_horizon(scores, row),
                "band": cut[row],
                "revenue": _revenue(found.values, row, float(scores.risks[row])),
                **drivers(scores, row, most_drivers),
                "signals_as_of": str(found.as_of[row].astype("datetime64[s]")),
                "causal": False,
            }
            for row in range(len(ids))
        ]

    def _limit(self, family: str) -> int:
        """From how many days on the signals of a family are stale."""
        serving = self.settings.serving
        return serving.stale_after.get(family, serving.stale_after_days)

    def _published_views(self) -> list[Any]:
        """The store's views, looked up again after every publish."""
        written = self.state.published.stat().st_mtime_ns
        if self._views is None or self._views[0] != written:
            self._views = (written, online_views(self._open_store()))
        return self._views[1]

    def _open_store(self) -> Any:
        with self._opening:
            if self._store is None:
                self._store = open_store(self.state, self.settings.name)
        return self._store


def describe(champion: Champion) -> dict[str, Any]:
    """Which model gave a risk, and what it answers."""
    return {
        "name": champion.version.name,
        "version": champion.version.number,
        "alias": CHAMPION,
        "horizon_days": champion.model.horizon_days,
        "horizons": list(champion.model.calibrator.horizons),
        "lead_days": champion.model.label["lead_days"],
        "label_hash": champion.model.identity["label"],
        "signal_set": champion.model.identity["signal_set"],
    }


def _refuse_missing_signals(model: ChurnModel, there: list[str]) -> None:
    missing = sorted(set(model.names) - set(there))
    if missing:
        raise NotReady(
            f"The champion needs the signal '{missing[0]}', which is not published.",
            "Run `oarlock publish`, or promote a model trained on the signals there are.",
        )


def _not_scored(signals: Signals) -> dict[str, str]:
    """Why accounts have no risk: nobody knows them, or they had no subscription when signals were last published."""
    unknown = np.isnat(signals.as_of)
    gone = ~unknown & (signals.as_of < np.datetime64(signals.published))
    pairs = zip(signals.account_ids, unknown, gone, strict=True)
    return {one: UNKNOWN if is_unknown else GONE for one, is_unknown, is_gone in pairs if is_unknown or is_gone}


def _revenue(values: pd.DataFrame, row: int, risk: float) -> dict[str, float | None]:
    mrr: Any = values["mrr"].iat[row] if "mrr" in values else None
    return {"mrr": None, "at_risk": None} if pd.isna(mrr) else {"mrr": float(mrr), "at_risk": float(mrr) * risk}


def _source(champion: Champion, given_at: datetime, request_id: str) -> Mapping[str, Any]:
    return {
        "given_at": given_at,
        "request_id": request_id or uuid.uuid4().hex,
        "model": champion.version.name,
        "version": champion.version.number,
        "label_hash": champion.model.identity["label"],
        "signal_set": champion.model.identity["signal_set"],
    }
