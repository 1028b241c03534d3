"""Checks of the servers that hold a part of the state: Redis for the online store, and MLflow."""

import re
from importlib.metadata import version
from typing import TypeGuard
from urllib.parse import urlsplit

import httpx

from configs.errors import NotReady
from configs.state_dir import StateDir
from features.online.redis_health import RedisServer, read_redis_content, read_redis_server
from monitoring.doctor.check_result import CheckResult, passed, skipped
from serving.security.network import is_loopback

OLDEST_REDIS = (6, 2)
FULL_SHARE = 0.5  # of the memory: a publication is written beside the one that is read
ANSWER_SECONDS = 5.0
FOREIGN_HOST = "oarlock-doctor.invalid"
MLFLOW_VERSION = re.compile(r"(\d+)\.(\d+)\.\S+")
READ_PATH = "/api/2.0/mlflow/registered-models/search?max_results=1"
NO_REDIS, NO_MLFLOW = "the online store is a file", "MLflow is used without its server"
PERMISSIONS = "Start it with --app-name basic-auth behind TLS, or let only your own network reach it."
NOEVICTION = "Set maxmemory-policy to noeviction in redis.conf."


def check_redis(state: StateDir) -> CheckResult:
    """Redis is reached, and recent enough; raises StoreDown if it is not reached."""
    server = read_redis_server(state)
    return skipped("redis", NO_REDIS) if server is None else judge_redis_version(server)


def judge_redis_version(server: RedisServer) -> CheckResult:
    """A version is recent enough."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", server.version)[:2])
    if numbers < OLDEST_REDIS:
        oldest = ".".join(map(str, OLDEST_REDIS))
        what = f"it is version {server.version}, and {oldest} is the oldest that is used"
        return CheckResult("redis", "warn", what, "stores.online", f"Upgrade Redis to {oldest} or later.")
    return passed("redis", f"version {server.version}", "stores.online")


def check_redis_memory(state: StateDir) -> CheckResult:
    """Redis never drops an account by itself, and has room for the next publication."""
    server = read_redis_server(state)
    if server is None:
        return skipped("redis memory", NO_REDIS)
    policy, where = f"maxmemory-policy is {server.eviction_policy}", "stores.online"
    if server.eviction_policy != "noeviction":
        may_drop = "so Redis drops accounts when its memory is full"
        status = "fault" if server.maxmemory else "warn"  # without a limit it becomes full only with the machine
        return CheckResult("redis memory", status, f"{policy}, {may_drop}", where, NOEVICTION)
    used, limit = f"{server.used_bytes / 1e6:,.0f} MB", f"{server.maxmemory / 1e6:,.0f} MB"
    if server.maxmemory and server.used_bytes > FULL_SHARE * server.maxmemory:
        what = f"{used} of {limit} are used: the next publication needs as much again"
        return CheckResult("redis memory", "warn", what, where, "Raise maxmemory, or lower stores.online_days.")
    return passed("redis memory", f"{policy}, {used} are used", where)


def check_redis_keys(state: StateDir, accounts: int) -> CheckResult:
    """Each live account has a row, and no other has; raises StoreDown or NotReady if there is nothing to count."""
    content = read_redis_content(state)
    if content is None:
        return skipped("redis keys", NO_REDIS)
    if content.rows != accounts:
        what = f"{content.rows:,} rows for {accounts:,} live accounts"
        return CheckResult("redis keys", "fault", what, "stores.online", "oarlock publish")
    if content.other_rows:
        what = f"{content.other_rows:,} rows are of a publication that did not end, or that runs now"
        return CheckResult("redis keys", "warn", what, "stores.online", "oarlock publish")
    return passed("redis keys", f"{content.rows:,} rows, one for each live account", "stores.online")


def check_redis_expiry(state: StateDir) -> CheckResult:
    """Every key expires, so that nothing is served for ever if publishing stops."""
    content = read_redis_content(state)
    if content is None:
        return skipped("redis expiry", NO_REDIS)
    if content.without_expiry:
        what = f"{len(content.without_expiry):,} keys never expire"
        return CheckResult("redis expiry", "fault", what, content.without_expiry[0], "oarlock publish")
    return passed("redis expiry", f"every key expires within {state.stores.online_days + 1} days", "stores.online")


def check_mlflow_server(url: str | None) -> CheckResult:
    """The MLflow server is healthy and of this machine's release; raises NotReady if it cannot be reached."""
    if not is_server(url):
        return skipped("mlflow server", NO_MLFLOW)
    where, served, own = server_name(url), _fetch(url, "/version").text.strip(), version("mlflow")
    release, expected = MLFLOW_VERSION.fullmatch(served), MLFLOW_VERSION.fullmatch(own)
    if release is None:
        next_step = "Check stores.mlflow: it must be the address of `mlflow server`."
        return CheckResult("mlflow server", "fault", "no MLflow answers there", where, next_step)
    if expected and release.groups() != expected.groups():
        what = f"the server is {served}, and this machine has {own}"
        next_step = f"Upgrade the older of them: pip install mlflow=={max(served, own)}"
        return CheckResult("mlflow server", "warn", what, where, next_step)
    return passed("mlflow server", f"version {served}", where)


def check_mlflow_access(url: str | None) -> CheckResult:
    """The MLflow server answers to its own names only, and asks other machines who they are."""
    if not is_server(url):
        return skipped("mlflow access", NO_MLFLOW)
    where, host = server_name(url), urlsplit(url).hostname or ""
    if _fetch(url, READ_PATH, host=FOREIGN_HOST).is_success:
        what = "it answers under any name, so a web page can reach it through a browser"
        return CheckResult("mlflow access", "warn", what, where, "Start it with --allowed-hosts NAME:PORT.")
    if not is_loopback(host) and _fetch(_without_password(url), READ_PATH).is_success:
        return CheckResult("mlflow access", "warn", "it answers everybody who reaches it", where, PERMISSIONS)
    return passed("mlflow access", "it answers to its own names only", where)


def is_server(url: str | None) -> TypeGuard[str]:
    """Whether MLflow is used over its server, and not as a database."""
    return url is not None and url.startswith(("http://", "https://"))


def server_name(url: str) -> str:
    """The host and port of a URL; the URL itself may hold a password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _without_password(url: str) -> str:
    return urlsplit(url)._replace(netloc=server_name(url)).geturl()


def _fetch(url: str, path: str, host: str | None = None) -> httpx.Response:
    headers = {"Host": host} if host else {}
    try:
        return httpx.get(url.rstrip("/") + path, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        message = f"The MLflow server at {server_name(url)} cannot be reached: {error}.".replace("..", ".")
        raise NotReady(message, "Start it, or check stores.mlflow.") from None
