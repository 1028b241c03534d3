"""The BentoML service: what a worker opens at start, the middleware, and the API of `serving/app.py` under /v1.

It is configured by OARLOCK_CONFIG, the path of the settings file, and OARLOCK_SUPERVISOR, the process that runs the
workers, both of which `oarlock serve` sets.
"""

# pyright: reportArgumentType=false
# (BentoML types a middleware as an instance and takes its class)

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import bentoml
from sqlalchemy.exc import DBAPIError

from configs.background import BackgroundTask
from configs.clock import now
from configs.errors import NoChampion, NotReady, OarlockError
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from features.online.online_store import pull_publication
from features.tables.dataset import read_dataset
from serving.api.middleware.auth import AuthMiddleware
from serving.api.middleware.deadline import DeadlineMiddleware
from serving.api.middleware.fast_path import FastScorePathMiddleware
from serving.api.middleware.idempotency import IdempotencyMiddleware, IdempotencyStore
from serving.api.middleware.metrics_endpoint import PATH as METRICS_PATH
from serving.api.middleware.metrics_endpoint import MetricsEndpointMiddleware
from serving.api.middleware.request_id import RequestIdMiddleware
from serving.api.middleware.request_log import RequestLogMiddleware
from serving.api.openapi import openapi_document
from serving.api.routes.scores import post_score
from serving.api.scopes import ScopeTable
from serving.app import ENDPOINTS, PREFIX, create_app, get_openapi
from serving.gc_tuning import tune_garbage_collector
from serving.handlers.context import open_context
from serving.ledger.ledger import Ledger, open_ledger
from serving.ledger.writer import LedgerWriter
from serving.load.connections import ConnectionGuard, ConnectionLimits, limit_open_files
from serving.pages.page import PageServices
from serving.pages_app import PagesMiddleware, create_pages
from serving.scoring.champion import describe_model
from serving.scoring.scorer import open_scorer
from serving.scoring.watcher_process import WatcherProcess
from serving.security.api_keys import KeyCache
from serving.security.audit_log import prune_denied_requests
from serving.security.authorization import Authorizer
from serving.security.rate_limits import RateLimits
from serving.security.sessions import SessionSigner, read_or_create_secret
from serving.security.shared_rate_limits import exchange_counts, machine_id
from serving.security.shared_secret import read_or_create_shared_secret
from serving.telemetry.gauges import GaugeCollector
from serving.telemetry.json_logs import configure_logging
from serving.telemetry.metrics import Metrics
from serving.telemetry.tracing import tracing_options
from serving.web.api_docs import PATHS as DOCS_PATHS
from serving.web.api_docs import ApiDocsMiddleware

LOG = logging.getLogger("oarlock.service")
DRAIN_SECONDS = 20.0
HOUSEKEEPING_SECONDS = 60.0


# Looked up once: each look-up in BentoML's package is an import.
_get_worker = bentoml.get_current_service


def _connection_limits() -> ConnectionLimits:
    serving = _get_worker().context.settings.serving
    return ConnectionLimits(
        serving.max_connections,
        serving.max_head_bytes,
        serving.head_timeout_seconds,
        serving.idle_timeout_seconds,
        serving.response_timeout_seconds,
    )


def _request_timeout() -> float:
    return _get_worker().context.settings.serving.request_timeout_seconds


CONNECTIONS = ConnectionGuard(_connection_limits)
API = create_app(lambda: _get_worker().context)
PUBLIC_PATHS = ("/livez", "/readyz", "/healthz", *DOCS_PATHS, PREFIX, f"{PREFIX}/")
SCOPES = ScopeTable((*ENDPOINTS, get_openapi), PREFIX, {**dict.fromkeys(PUBLIC_PATHS, "public"), METRICS_PATH: "read"})


@bentoml.asgi_app(API, path=PREFIX)
@bentoml.service(
    name="oarlock",
    # `oarlock serve` sets BentoML's own timeout, later than that of `DeadlineMiddleware`.
    logging={"access": {"enabled": False}},
    tracing=tracing_options(os.environ),
    # BentoML's metrics have a time series per path, so per account; ours are in `serving/telemetry/metrics.py`.
    metrics={"enabled": False},
)
class Oarlock:
    """Calibrated churn risks with drivers that add up exactly to the risk."""

    @bentoml.on_startup
    def start(self) -> None:
        configure_logging()
        settings = read_settings(Path(os.environ["OARLOCK_CONFIG"]))
        state, observed_until = open_state_dir(settings), read_dataset(settings.data).observed_until
        # A request that waits for a lock has time left to say so.
        lock_seconds = settings.serving.request_timeout_seconds / 2
        ledger = replace(open_ledger(settings, state), lock_seconds=lock_seconds)
        self.writer = LedgerWriter(ledger, state.write_ahead_log, settings.ledger, now)
        scorer = open_scorer(settings, state, lambda: observed_until or now(), self.writer)
        self.context = open_context(state, scorer, ledger)
        self.authorizer = Authorizer(KeyCache(lambda: ledger.engine), now, RateLimits(state.rate_limits))
        signer = SessionSigner(self._secret_source(ledger), now)
        self.page_services = PageServices(self.context, self.authorizer, signer)
        self.idempotency = IdempotencyStore(
            lambda: ledger.engine,
            now,
            timedelta(hours=settings.serving.idempotency_hours),
            settings.serving.idempotency_max_bytes,
        )
        self.gauges = GaugeCollector(state, ledger, self._describe_champion, clock=scorer.clock, wall_clock=now)
        self.metrics = Metrics(self.gauges)
        self.writer.start()
        limit_open_files(settings.serving.max_connections)
        self._stopping = threading.Event()
        work = self._background_work(settings, state)
        tasks = [BackgroundTask(name, function, settings.serving.poll_seconds) for name, function in work.items()]
        tasks.append(BackgroundTask("housekeeping", self._keep_house, HOUSEKEEPING_SECONDS))
        self.context.background.extend([self.writer.health, *(task.health for task in tasks)])
        for task in tasks:
            task.attempt()
        tune_garbage_collector()
        for task in tasks:
            task.start(self._stopping)

    @bentoml.on_shutdown
    def stop(self) -> None:
        self._stopping.set()
        self.writer.close(DRAIN_SECONDS)
        self._keep_house()

    async def __is_ready__(self) -> bool:
        try:
            await self.context.pools.local.run(1, self.context.check_ready)
        except OarlockError:
            return False
        return True

    def _background_work(self, settings: Settings, state: StateDir) -> dict[str, Callable[[], object]]:
        """What is repeated every `serving.poll_seconds`, by name."""
        work: dict[str, Callable[[], object]] = {}
        if settings.stores.online is not None:
            work["publication"] = partial(self._pull_publication, state)
        if settings.ledger.url is not None:
            work["rate limits"] = partial(self._exchange_counts, machine_id(state.folder))
        work |= {
            "champion": self._refresh_champion,
            "keys": self._refresh_keys,
            "portfolio": self._refresh_portfolio,
            "metrics": self._update_metrics,
        }
        if "OARLOCK_SUPERVISOR" in os.environ:
            watcher = WatcherProcess(Path(os.environ["OARLOCK_CONFIG"]), state)
            work |= {"champion watcher": watcher.ensure_running, "supervisor": _end_with_supervisor}
        return work

    def _secret_source(self, ledger: Ledger) -> Callable[[], bytes]:
        """Where the secret of sessions is: machines that share a database share it there."""
        if self.context.settings.ledger.url is not None:
            return lambda: read_or_create_shared_secret(ledger.engine)
        return partial(read_or_create_secret, self.context.state.session_secret)

    def _pull_publication(self, state: StateDir) -> None:
        """Take over what another machine published; while Redis is down the tables of before stay."""
        try:
            pull_publication(state)
        except NotReady as error:
            LOG.warning("a new publication cannot be read: %s", error)

    def _exchange_counts(self, machine: str) -> None:
        """Count the requests that other machines answered; while the database is down this machine counts its own."""
        try:
            exchange_counts(self.writer.ledger.engine, machine, self.authorizer.rate_limits, time.time())
        except (DBAPIError, NotReady) as error:
            LOG.warning("the requests that other machines answered are not counted: %s", error)

    def _refresh_champion(self) -> None:
        """Load a promoted version; if it cannot be read the previous champion stays."""
        with contextlib.suppress(NoChampion):
            self.context.champions.refresh()

    def _refresh_keys(self) -> None:
        """Read new keys; while the database is down the known keys stay."""
        try:
            self.authorizer.key_cache.refresh()
        except (DBAPIError, NotReady) as error:
            LOG.warning("the keys cannot be read: %s", error)

    def _keep_house(self) -> None:
        """Write the denied requests to the audit, and remove what is kept for a while only."""
        engine, days = self.writer.ledger.engine, self.context.settings.serving.keep_denied_days
        try:
            self.authorizer.denied_requests.flush(engine, now())
            prune_denied_requests(engine, now() - timedelta(days=days))
            self.idempotency.prune()
        except (DBAPIError, NotReady) as error:
            LOG.warning("the audit cannot be written, or old rows not removed: %s", error)

    def _refresh_portfolio(self) -> None:
        """Start to compute a new portfolio before anyone asks, so that nobody waits for it."""
        with contextlib.suppress(OarlockError):
            self.context.portfolios.current()

    def _update_metrics(self) -> None:
        self.metrics.update_ledger_metrics(self.writer)
        self.metrics.update_background_metrics(self.context.background)
        self.metrics.update_load_metrics(CONNECTIONS.closed, self.context.pools.refused)
        self.gauges.read_database()

    def _describe_champion(self) -> Mapping[str, object]:
        champion = self.context.champions.champion()
        return {**describe_model(champion), "families": list(champion.model.columns_by_family)}


def _end_with_supervisor() -> None:
    """End this worker if its supervisor was killed: it would go on answering, and nothing could stop or replace it."""
    if os.getppid() != int(os.environ["OARLOCK_SUPERVISOR"]):
        LOG.error("the supervisor of this worker has ended, and so does the worker")
        os.kill(os.getpid(), signal.SIGTERM)


CONNECTIONS.install()
# The outermost first: denied requests are logged and counted too.
Oarlock.add_asgi_middleware(RequestIdMiddleware)
Oarlock.add_asgi_middleware(RequestLogMiddleware, metrics=lambda: _get_worker().metrics)
# A page checks the session of its visitor itself.
Oarlock.add_asgi_middleware(
    PagesMiddleware,
    pages=DeadlineMiddleware(create_pages(lambda: _get_worker().page_services), seconds=_request_timeout),
)
Oarlock.add_asgi_middleware(AuthMiddleware, scopes=SCOPES, authorizer=lambda: _get_worker().authorizer)
Oarlock.add_asgi_middleware(DeadlineMiddleware, seconds=_request_timeout)
Oarlock.add_asgi_middleware(ApiDocsMiddleware, document=lambda: openapi_document(ENDPOINTS, PREFIX), prefix=PREFIX)
Oarlock.add_asgi_middleware(
    MetricsEndpointMiddleware, metrics=lambda: _get_worker().metrics, pool=lambda: _get_worker().context.pools.local
)
Oarlock.add_asgi_middleware(
    IdempotencyMiddleware,
    store=lambda: _get_worker().idempotency,
    pool=lambda: _get_worker().context.pools.ledger,
    max_body_bytes=lambda: _get_worker().context.settings.serving.max_body_bytes,
)
Oarlock.add_asgi_middleware(FastScorePathMiddleware, api=API, endpoint=post_score, prefix=PREFIX)
