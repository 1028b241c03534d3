"""The BentoML service: the engine's life in a worker, and the routes of `serving/api/app.py` mounted under /v1.

It is configured by OARLOCK_CONFIG, the path of the settings file; `oarlock serve` sets it.
"""

# pyright: reportArgumentType=false
# (BentoML's type of a middleware describes its instance, where it takes the class)

import asyncio
import contextlib
import logging
import os
import threading
from pathlib import Path
from typing import Any

import bentoml
from sqlalchemy.exc import DBAPIError

from configs.clock import now
from configs.errors import NoChampion, NotReady, OarlockError
from configs.settings import read_settings
from configs.state_dir import open_state
from features.tables.mapping import read_dataset
from serving.api.app import create_app
from serving.api.middleware.auth import Access
from serving.api.middleware.fast_path import ShortWay
from serving.api.middleware.idempotency import Idempotent, Replies
from serving.api.middleware.metrics_endpoint import MetricsRoute
from serving.api.middleware.request_log import Observed
from serving.gc_tuning import settle
from serving.handlers.context import open_desk
from serving.ledger.writer import LedgerWriter
from serving.scoring.champion import describe
from serving.scoring.scorer import Engine
from serving.security.api_keys import KeyRing
from serving.security.authorization import Gate
from serving.telemetry.gauges import Readings
from serving.telemetry.json_logs import set_up
from serving.telemetry.metrics import Metrics
from serving.telemetry.tracing import tracing

LOG = logging.getLogger("oarlock.service")
DRAIN_SECONDS = 20.0


# Looked up once: to BentoML's package every look is an import.
_worker = bentoml.get_current_service


API, AT = create_app(lambda: _worker().desk), "/v1"


@bentoml.asgi_app(API, path=AT)
@bentoml.service(
    name="oarlock",
    # What a request leaves behind is kept until the timeout: short, or memory grows with the load.
    traffic={"timeout": 5},
    logging={"access": {"enabled": False}},
    tracing=tracing(os.environ),
    # Its label is the raw path, a series per account for ever; ours are in `serving/telemetry/metrics.py`.
    metrics={"enabled": False},
)
class Oarlock:
    """Calibrated churn risks with drivers that add up exactly to the risk."""

    @bentoml.on_startup
    def start(self) -> None:
        set_up()
        settings = read_settings(Path(os.environ["OARLOCK_CONFIG"]))
        until = read_dataset(settings.data).observed_until
        self.engine = Engine(settings, open_state(settings), lambda: until or now())
        self.desk = open_desk(self.engine)
        self.writer = LedgerWriter(self.engine.ledger, self.engine.state.journal, settings.ledger, now)
        self.engine.writer = self.writer
        self.gate = Gate(KeyRing(lambda: self.engine.ledger.engine), now, settings.serving.workers)
        self.replies = Replies(lambda: self.engine.ledger.engine, now)
        self.metrics = Metrics(Readings(self.engine.state, self.engine.ledger, self._model, self.engine.clock))
        self.writer.start()
        self._stopping = threading.Event()
        self._follow()
        self._tend()
        settle()
        threading.Thread(target=self._keep_following, daemon=True).start()

    @bentoml.on_shutdown
    def stop(self) -> None:
        self._stopping.set()
        self.writer.close(DRAIN_SECONDS)

    async def __is_ready__(self) -> bool:
        try:
            await asyncio.to_thread(self.engine.ready)
        except OarlockError:
            return False
        return True

    def _keep_following(self) -> None:
        while not self._stopping.wait(self.engine.settings.serving.poll_seconds):
            self._follow()
            self._tend()

    def _follow(self) -> None:
        """Take up a promotion; where it cannot be read the model that answers stays."""
        try:
            self.engine.refresh()
        except NoChampion:
            pass
        except (OSError, OarlockError) as problem:
            LOG.warning("the champion could not be read, the one before stays: %s", problem)

    def _tend(self) -> None:
        """Take up new keys and publications, write down what was denied, and say how far behind the ledger is."""
        self.metrics.tell_ledger(self.writer)
        with contextlib.suppress(OarlockError):
            self.desk.portfolios.now()  # begun before anyone asks: nobody waits for a new publication
        try:
            self.gate.ring.refresh()
            self.gate.denials.write(self.engine.ledger.engine, now())
        except (DBAPIError, NotReady) as problem:
            LOG.warning("the keys could not be read or the audit not written: %s", problem)

    def _model(self) -> dict[str, Any]:
        champion = self.engine.champion()
        return {**describe(champion), "families": dict.fromkeys(one.family for one in champion.model.inputs)}


# The outermost first: what the gate denies is observed too.
Oarlock.add_asgi_middleware(Observed, metrics=lambda: _worker().metrics)
Oarlock.add_asgi_middleware(Access, gate=lambda: _worker().gate)
Oarlock.add_asgi_middleware(MetricsRoute, metrics=lambda: _worker().metrics)
Oarlock.add_asgi_middleware(
    Idempotent,
    replies=lambda: _worker().replies,
    most_bytes=lambda: _worker().engine.settings.serving.most_bytes,
)
Oarlock.add_asgi_middleware(ShortWay, api=API, at=AT)
