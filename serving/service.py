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
from configs.state_dir import open_state_dir
from features.tables.mapping import read_dataset
from serving.api.app import create_app
from serving.api.middleware.auth import AuthMiddleware
from serving.api.middleware.fast_path import FastScorePathMiddleware
from serving.api.middleware.idempotency import IdempotencyMiddleware, IdempotencyStore
from serving.api.middleware.metrics_endpoint import MetricsEndpointMiddleware
from serving.api.middleware.request_log import RequestLogMiddleware
from serving.gc_tuning import tune_garbage_collector
from serving.handlers.context import open_context
from serving.ledger.writer import LedgerWriter
from serving.scoring.champion import describe_model
from serving.scoring.scorer import Scorer
from serving.security.api_keys import KeyRing
from serving.security.authorization import Gate
from serving.telemetry.gauges import Readings
from serving.telemetry.json_logs import set_up
from serving.telemetry.metrics import Metrics
from serving.telemetry.tracing import tracing

LOG = logging.getLogger("oarlock.service")
DRAIN_SECONDS = 20.0


# Looked up once: to BentoML's package every look is an import.
_get_worker = bentoml.get_current_service


API, AT = create_app(lambda: _get_worker().desk), "/v1"


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
        self.engine = Scorer(settings, open_state_dir(settings), lambda: until or now())
        self.desk = open_context(self.engine)
        self.writer = LedgerWriter(self.engine.ledger, self.engine.state.write_ahead_log, settings.ledger, now)
        self.engine.writer = self.writer
        self.gate = Gate(KeyRing(lambda: self.engine.ledger.engine), now, settings.serving.workers)
        self.replies = IdempotencyStore(lambda: self.engine.ledger.engine, now)
        self.metrics = Metrics(
            Readings(self.engine.state, self.engine.ledger, self._describe_champion, self.engine.clock)
        )
        self.writer.start()
        self._stopping = threading.Event()
        self._refresh_champion()
        self._run_maintenance()
        tune_garbage_collector()
        threading.Thread(target=self._poll, daemon=True).start()

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

    def _poll(self) -> None:
        while not self._stopping.wait(self.engine.settings.serving.poll_seconds):
            self._refresh_champion()
            self._run_maintenance()

    def _refresh_champion(self) -> None:
        """Take up a promotion; where it cannot be read the model that answers stays."""
        try:
            self.engine.refresh()
        except NoChampion:
            pass
        except (OSError, OarlockError) as problem:
            LOG.warning("the champion could not be read, the one before stays: %s", problem)

    def _run_maintenance(self) -> None:
        """Take up new keys and publications, write down what was denied, and say how far behind the ledger is."""
        self.metrics.tell_ledger(self.writer)
        with contextlib.suppress(OarlockError):
            self.desk.portfolios.now()  # begun before anyone asks: nobody waits for a new publication
        try:
            self.gate.ring.refresh()
            self.gate.denials.write(self.engine.ledger.engine, now())
        except (DBAPIError, NotReady) as problem:
            LOG.warning("the keys could not be read or the audit not written: %s", problem)

    def _describe_champion(self) -> dict[str, Any]:
        champion = self.engine.champion()
        return {**describe_model(champion), "families": dict.fromkeys(one.family for one in champion.model.inputs)}


# The outermost first: what the gate denies is observed too.
Oarlock.add_asgi_middleware(RequestLogMiddleware, metrics=lambda: _get_worker().metrics)
Oarlock.add_asgi_middleware(AuthMiddleware, gate=lambda: _get_worker().gate)
Oarlock.add_asgi_middleware(MetricsEndpointMiddleware, metrics=lambda: _get_worker().metrics)
Oarlock.add_asgi_middleware(
    IdempotencyMiddleware,
    replies=lambda: _get_worker().replies,
    most_bytes=lambda: _get_worker().engine.settings.serving.max_body_bytes,
)
Oarlock.add_asgi_middleware(FastScorePathMiddleware, api=API, at=AT)
