"""The gauges that are read from the state: how old the signals are, which model answers, how many accounts per band."""

import time
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

from configs.errors import NotReady, OarlockError
from configs.files import JsonObject
from configs.state_dir import StateDir
from features.store.publication import published_as_of
from serving.ledger.ledger import Ledger, is_served
from serving.ledger.schema import RISKS
from serving.telemetry.metrics import GaugeSample

BAND_COUNT_SECONDS = 30.0  # how long a count of the ledger is reused
MODEL_LABELS = ("name", "version", "label_hash", "signal_set")
LabelValues = dict[tuple[str, ...], float]


class GaugeCollector:
    """Collects the gauges of one process; `model` describes the champion (`MODEL_LABELS` and `families`)."""

    def __init__(
        self, state: StateDir, ledger: Ledger, model: Callable[[], JsonObject], clock: Callable[[], datetime]
    ) -> None:
        self._state, self._ledger, self._model, self._clock = state, ledger, model, clock
        self._band_counts: LabelValues = {}
        self._counted_at = float("-inf")

    def __call__(self) -> list[GaugeSample]:
        """What can be read now. The rest is absent, so that an alert on absence fires."""
        samples = [
            GaugeSample("oarlock_signals_age_seconds", "Age of the published signals.", ("family",), self._ages()),
            GaugeSample("oarlock_model_info", "The model that answers.", MODEL_LABELS, self._model_info()),
            GaugeSample("oarlock_accounts", "Accounts by band, as last served.", ("band",), self._band_counts),
        ]
        return [sample for sample in samples if sample.values]

    def count_accounts(self) -> None:
        """Count the ledger's accounts by band for the next scrapes, which never wait for its database."""
        if time.monotonic() - self._counted_at > BAND_COUNT_SECONDS:
            try:
                self._band_counts = count_accounts_by_band(self._ledger.engine)
            except (DBAPIError, OarlockError):
                self._band_counts = {}
            self._counted_at = time.monotonic()

    def _ages(self) -> LabelValues:
        try:
            as_of = published_as_of(self._state)
        except NotReady:  # not published yet, or spoiled
            return {}
        age = self._clock() - as_of
        return {(family,): age.total_seconds() for family in self._champion().get("families", ())}

    def _model_info(self) -> LabelValues:
        champion = self._champion()
        return {tuple(str(champion[label]) for label in MODEL_LABELS): 1.0} if champion else {}

    def _champion(self) -> JsonObject:
        try:
            return self._model()
        except OarlockError:
            return {}


def count_accounts_by_band(engine: sql.Engine) -> LabelValues:
    """How many accounts are in each band, by their last risk of the newest day in the ledger."""
    newest_day = sql.select(sql.func.max(RISKS.c.as_of)).where(is_served()).scalar_subquery()
    of_day = is_served(), RISKS.c.as_of == newest_day
    last = sql.select(sql.func.max(RISKS.c.id)).where(*of_day).group_by(RISKS.c.account_id)
    counts = sql.select(RISKS.c.band, sql.func.count()).where(RISKS.c.id.in_(last)).group_by(RISKS.c.band)
    with engine.connect() as connection:
        return {(band,): float(count) for band, count in connection.execute(counts)}
