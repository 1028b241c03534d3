"""Scores accounts with the champion and the published signals, and appends every risk to the ledger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

import numpy as np

from configs.clock import format_instant
from configs.settings import Settings
from configs.state_dir import StateDir
from features.online.online_store import open_online_reader
from features.store.online_reader import SignalReader, SignalValues
from serving.ledger.ledger import ScoreSource, open_ledger
from serving.schemas.enums import Purpose, UnscoredReason
from serving.schemas.responses import Revenue, Score, ScoreResponse
from serving.schemas.serialization import preserialize
from serving.scoring.champion import ChampionProvider, LoadedModel, describe_model
from serving.scoring.driver_text import describe_drivers
from serving.scoring.scores import (
    Scores,
    assign_bands,
    band_thresholds,
    risks_by_days,
    score_values,
)
from serving.scoring.signal_lookup import SignalLookup, fetch_signals, find_unscored, published_columns, require_signals

Clock = Callable[[], datetime]


class LedgerSink(Protocol):
    """Where risks are recorded before they are returned."""

    @property
    def is_immediate(self) -> bool:
        """Whether `append` returns without waiting for a disk or a database."""
        ...

    def append(self, scores: Sequence[Score], source: ScoreSource) -> None: ...


@dataclass(frozen=True)
class ScoredAccounts:
    """The scores of the accounts that have signals, and why the others have none."""

    champion: LoadedModel
    signals: SignalLookup
    scores: Scores
    unscored_reasons: Mapping[str, UnscoredReason]


class ScoredMatrix(NamedTuple):
    """Scores as arrays: risks within every horizon, shape (accounts, horizons), and the matrix of the model's inputs.

    `leading` is the column of the family that raises each risk most, -1 if none raises it.
    """

    risks: np.ndarray
    matrix: np.ndarray
    leading: np.ndarray
    family_points: np.ndarray


@dataclass(frozen=True)
class Scorer:
    """Scores accounts; `threads` is how many the TreeSHAP kernel may use."""

    settings: Settings
    champions: ChampionProvider
    signals: SignalReader
    ledger: LedgerSink
    clock: Clock
    threads: int = 1

    @property
    def is_immediate(self) -> bool:
        """Whether a risk can be returned without loading a model or waiting for the ledger."""
        return self.champions.is_loaded and self.ledger.is_immediate

    def check_ready(self) -> None:
        """Raise NotReady with the reason if no risk can be computed."""
        require_signals(self.champions.champion().model, published_columns(self.signals))
        fetch_signals(self.signals, [])

    def score_accounts(self, account_ids: list[str]) -> ScoredAccounts:
        """The scores of these accounts; raises NoChampion or NotReady if no risk can be computed."""
        champion = self.champions.champion()
        return self._score(champion, fetch_signals(self.signals, account_ids))

    def score_signals(self, signals: SignalLookup) -> ScoredAccounts:
        """The scores of accounts whose signals were read already."""
        return self._score(self.champions.champion(), signals)

    def score_matrix_for(self, account_ids: list[str]) -> ScoredMatrix:
        """What the portfolio holds of accounts; those without a current risk have NaN."""
        model, signals = self.champions.champion().model, fetch_signals(self.signals, account_ids)
        require_signals(model, signals.values.columns)
        scores = score_values(model, signals.values, self.threads)
        is_current = signals.newest_as_of >= np.datetime64(signals.published_as_of)
        risks = np.where(is_current[:, None], scores.risks_by_horizon, np.nan)
        return ScoredMatrix(risks, scores.matrix, scores.leading_families, scores.family_points)

    def to_response(self, scored: ScoredAccounts, max_drivers: int | None) -> ScoreResponse:
        """Risks with at most `max_drivers` drivers in each direction, all if None."""
        return {
            "as_of": format_instant(scored.signals.published_as_of),
            "model": describe_model(scored.champion),
            "scores": self._to_scores(scored, max_drivers),
            "not_scored": [
                {"account_id": account_id, "reason": reason} for account_id, reason in scored.unscored_reasons.items()
            ],
        }

    def append_to_ledger(
        self, champion: LoadedModel, scores: Sequence[Score], request_id: str, *, purpose: Purpose
    ) -> ScoreSource:
        """Record risks in the ledger, and why they were computed; returns what they have in common there."""
        source: ScoreSource = {
            "scored_at": self.clock(),
            "request_id": request_id,
            "purpose": purpose,
            "model": champion.version.name,
            "version": champion.version.number,
            "label_hash": champion.model.identity["label"],
            "signal_set": champion.model.identity["signal_set"],
            "currency": scores[0]["revenue"].get("currency") if scores else None,
        }
        self.ledger.append(scores, source)
        return source

    def score_and_record(
        self, scored: ScoredAccounts, max_drivers: int | None, request_id: str, *, purpose: Purpose = "served"
    ) -> ScoreResponse:
        """The response for scored accounts; every risk in it is in the ledger."""
        response = self.to_response(scored, max_drivers)
        self.append_to_ledger(scored.champion, response["scores"], request_id, purpose=purpose)
        return response

    def _score(self, champion: LoadedModel, signals: SignalLookup) -> ScoredAccounts:
        require_signals(champion.model, signals.values.columns)
        reasons = find_unscored(signals)
        if reasons:
            rows = [row for row, account_id in enumerate(signals.account_ids) if account_id not in reasons]
            signals = signals.take(rows)
        return ScoredAccounts(champion, signals, score_values(champion.model, signals.values, self.threads), reasons)

    def _to_scores(self, scored: ScoredAccounts, max_drivers: int | None) -> list[Score]:
        signals, scores = scored.signals, scored.scores
        bands = assign_bands(scores.risks, band_thresholds(scores.model, self.settings.bands))
        stale = _families_where(self._is_stale(signals, scores.families), scores.families)
        missing = _families_where(scores.missing_families, scores.families)
        as_of = np.datetime_as_string(signals.as_of, unit="s", timezone="UTC").tolist()
        risks, by_days = scores.risks.tolist(), risks_by_days(scores)
        revenue, drivers = _revenue(signals.values, scores.risks), describe_drivers(scores, max_drivers)
        return [
            preserialize(
                {
                    "account_id": account_id,
                    "status": "stale" if stale[row] else "partial" if missing[row] else "scored",
                    "stale_families": stale[row],
                    "missing_families": missing[row],
                    "risk": risks[row],
                    "risks": by_days[row],
                    "band": bands[row],
                    "revenue": revenue[row],
                    **drivers[row],
                    "signals_as_of": as_of[row],
                    "causal": False,
                }
            )
            for row, account_id in enumerate(signals.account_ids)
        ]

    def _is_stale(self, signals: SignalLookup, families: Sequence[str]) -> np.ndarray:
        """Whether a family's signals are older than its limit, shape (rows, families)."""
        limits = np.array(
            [self.settings.serving.max_signal_age_days(family) for family in families], dtype="timedelta64[D]"
        )
        oldest = np.datetime64(signals.age_reference or self.clock()) - limits
        as_of = np.array([signals.as_of_by_family.get(family, signals.as_of) for family in families])
        return oldest > as_of.T


def open_scorer(settings: Settings, state: StateDir, clock: Clock, ledger: LedgerSink | None = None) -> Scorer:
    """The scorer of a state folder; its ledger is the configured one unless another is given."""
    champions = ChampionProvider(state, settings.name)
    return Scorer(settings, champions, open_online_reader(state), ledger or open_ledger(settings, state), clock)


def _families_where(holds: np.ndarray, families: Sequence[str]) -> list[list[str]]:
    """For each row the families for which `holds`, shape (rows, families), is true."""
    selected: list[list[str]] = [[] for _ in holds]
    if not holds.any():
        return selected
    for row, column in np.argwhere(holds).tolist():
        selected[row].append(families[column])
    return selected


def _revenue(values: SignalValues, risks: np.ndarray) -> list[Revenue]:
    column, currency = values.columns.numbers.get("mrr"), values.columns.currency
    unknown: Revenue = {"mrr": None, "revenue_at_risk": None, "currency": currency}
    if column is None:
        return [unknown for _ in risks]
    mrr = values.numbers[:, column]
    rows = zip(mrr.tolist(), (mrr * risks).tolist(), np.isnan(mrr).tolist(), strict=True)
    return [
        unknown if is_missing else {"mrr": amount, "revenue_at_risk": at_risk, "currency": currency}
        for amount, at_risk, is_missing in rows
    ]
