"""The BentoML service: the engine's life in a worker, and the routes of `serving/api.py` mounted under /v1.

It is configured by OARLOCK_CONFIG, the path of the settings file; `oarlock serve` sets it.
"""

import asyncio
import logging
import os
import threading
from pathlib import Path

import bentoml

from configs.clock import now
from configs.errors import NoChampion, OarlockError
from configs.settings import read_settings
from configs.state import open_state
from features.dataset import read_dataset
from serving.api import create_app
from serving.desk import Desk, open_desk
from serving.engine import Engine
from serving.writer import LedgerWriter

LOG = logging.getLogger("oarlock.service")
DRAIN_SECONDS = 20.0


def _desk() -> Desk:
    return bentoml.get_current_service().desk


@bentoml.asgi_app(create_app(_desk), path="/v1")
@bentoml.service(
    name="oarlock",
    # What a request leaves behind is kept until the timeout: short, or memory grows with the load.
    traffic={"timeout": 5},
    logging={"access": {"enabled": False}},
    # Spans that nobody collects cost more than the risk: they are made where there is a collector to send them to.
    tracing={} if "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ else {"excluded_urls": ".*"},
)
class Oarlock:
    """Calibrated churn risks with drivers that add up exactly to the risk."""

    @bentoml.on_startup
    def start(self) -> None:
        settings = read_settings(Path(os.environ["OARLOCK_CONFIG"]))
        until = read_dataset(settings.data).observed_until
        self.engine = Engine(settings, open_state(settings), lambda: until or now())
        self.engine.writer = LedgerWriter(self.engine.ledger, self.engine.state.journal, settings.ledger, now)
        self.engine.writer.start()
        self.desk = open_desk(self.engine)
        self._stopping = threading.Event()
        self._follow()
        threading.Thread(target=self._keep_following, daemon=True).start()

    @bentoml.on_shutdown
    def stop(self) -> None:
        self._stopping.set()
        self.engine.writer.close(DRAIN_SECONDS) if self.engine.writer else None

    async def __is_ready__(self) -> bool:
        try:
            await asyncio.to_thread(self.engine.ready)
        except OarlockError:
            return False
        return True

    def _keep_following(self) -> None:
        while not self._stopping.wait(self.engine.settings.serving.poll_seconds):
            self._follow()

    def _follow(self) -> None:
        """Take up a promotion; where it cannot be read the model that answers stays."""
        try:
            self.engine.refresh()
        except NoChampion:
            pass
        except (OSError, OarlockError) as problem:
            LOG.warning("the champion could not be read, the one before stays: %s", problem)
