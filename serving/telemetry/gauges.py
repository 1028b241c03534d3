"""The gauges that are read from the state: signals, the model, accounts per band, and the newest run of monitoring."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

from configs.errors import NotReady, OarlockError
from configs.files import JsonObject
from configs.state_dir import StateDir
from features.store.publication import published_as_of
from serving.ledger.ledger import Ledger, is_served
from serving.ledger.schema import RISKS
from serving.telemetry.metrics import MetricFamily, Sample
from serving.telemetry.monitor_gauges import MONITOR_METRICS, MonitorSnapshot, monitor_values, read_monitor

DATABASE_SECONDS = 30.0  # how long what was read from the ledger's database is reused
MODEL_LABELS = ("name", "version", "label_hash", "signal_set")
LabelValues = Mapping[tuple[str, ...], float]
SIGNALS_AGE = MetricFamily("oarlock_signals_age_seconds", "Age of the published signals.", ("family",))
MODEL_INFO = MetricFamily("oarlock_model_info", "The model that answers.", MODEL_LABELS)
ACCOUNTS = MetricFamily("oarlock_accounts", "Accounts by band, as last served.", ("band",))
STATE_METRICS = (SIGNALS_AGE, MODEL_INFO, ACCOUNTS, *MONITOR_METRICS)


class GaugeCollector:
    """Collects the gauges of one process; `model` describes the champion (`MODEL_LABELS` and `families`).

    `clock` says how old signals are, and `wall_clock` how long ago `oarlock monitor` ran.
    """

    def __init__(
        self,
        state: StateDir,
        ledger: Ledger,
        model: Callable[[], JsonObject],
        *,
        clock: Callable[[], datetime],
        wall_clock: Callable[[], datetime],
    ) -> None:
        self._state, self._ledger, self._model = state, ledger, model
        self._clock, self._wall_clock = clock, wall_clock
        self._band_counts: LabelValues = {}
        self._monitor: MonitorSnapshot | None = None
        self._read_at = float("-inf")

    def __call__(self) -> list[Sample]:
        """What can be read now. The rest is absent, so that an alert on absence fires."""
        samples = [
            Sample(SIGNALS_AGE, self._ages()),
            Sample(MODEL_INFO, self._model_info()),
            Sample(ACCOUNTS, self._band_counts),
        ]
        if self._monitor is not None:
            samples += monitor_values(self._monitor, self._wall_clock())
        return [sample for sample in samples if sample.values]

    def read_database(self) -> None:
        """Read the ledger's database for the next scrapes, which never wait for it."""
        if time.monotonic() - self._read_at > DATABASE_SECONDS:
            try:
                engine = self._ledger.engine
                self._band_counts, self._monitor = count_accounts_by_band(engine), read_monitor(engine)
            except (DBAPIError, OarlockError):
                self._band_counts, self._monitor = {}, None
            self._read_at = time.monotonic()

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
