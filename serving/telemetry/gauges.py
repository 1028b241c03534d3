"""What the metrics read off the state: how old the signals are, which model answers, how many accounts per band."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

from configs.errors import OarlockError
from configs.files import read_json
from configs.state_dir import StateDir
from serving.ledger.ledger import Ledger
from serving.ledger.schema import RISKS
from serving.telemetry.metrics import GaugeSample

COUNTED_FOR = 30.0  # seconds that a count of the ledger is good for


class GaugeCollector:
    """The readings of one process; `model` describes the model that answers now (`version`, `families`)."""

    def __init__(
        self, state: StateDir, ledger: Ledger, model: Callable[[], Mapping[str, Any]], clock: Callable[[], datetime]
    ) -> None:
        self._state, self._ledger, self._model, self._clock = state, ledger, model, clock
        self._counted: tuple[float, dict[tuple[str, ...], float]] | None = None

    def __call__(self) -> list[GaugeSample]:
        """What can be read now; what cannot be is left out, which an alert on absence sees."""
        return [one for one in (self._ages(), self._info(), self._bands()) if one.values]

    def _ages(self) -> GaugeSample:
        families = self._families()
        values: dict[tuple[str, ...], float] = {}
        if families and self._state.publication.exists():
            as_of = datetime.fromisoformat(read_json(self._state.publication)["as_of"])
            values = {(family,): (self._clock() - as_of).total_seconds() for family in families}
        return GaugeSample("oarlock_signals_age_seconds", "Age of the published signals.", ("family",), values)

    def _info(self) -> GaugeSample:
        about = "The model that answers now."
        try:
            model = self._model()
        except OarlockError:
            return GaugeSample("oarlock_model_info", about, (), {})
        labels = ("name", "version", "label_hash", "signal_set")
        return GaugeSample("oarlock_model_info", about, labels, {tuple(str(model[name]) for name in labels): 1.0})

    def _families(self) -> list[str]:
        try:
            return list(self._model()["families"])
        except OarlockError:
            return []

    def _bands(self) -> GaugeSample:
        if self._counted is None or time.monotonic() - self._counted[0] > COUNTED_FOR:
            try:
                self._counted = (time.monotonic(), count_accounts_by_band(self._ledger.engine))
            except (DBAPIError, OarlockError):
                self._counted = (time.monotonic(), {})
        return GaugeSample("oarlock_accounts", "Accounts by band, as last scored.", ("band",), self._counted[1])


def count_accounts_by_band(engine: sql.Engine) -> dict[tuple[str, ...], float]:
    """How many accounts are in each band by the last risk they were given of the newest day in the ledger."""
    newest = sql.select(sql.func.max(RISKS.c.as_of)).scalar_subquery()
    last = sql.select(sql.func.max(RISKS.c.id)).where(RISKS.c.as_of == newest).group_by(RISKS.c.account_id)
    counted = sql.select(RISKS.c.band, sql.func.count()).where(RISKS.c.id.in_(last)).group_by(RISKS.c.band)
    with engine.connect() as connection:
        return {(band,): float(count) for band, count in connection.execute(counted)}
