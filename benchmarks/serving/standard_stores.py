"""The settings of a state on Postgres and Redis, in schemas and under keys of its own."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import own_redis_keys, own_schema

MLFLOW = ("OARLOCK_STORES__MLFLOW", "OARLOCK_STORES__MLFLOW_ARTIFACTS")


@dataclass(frozen=True)
class Servers:
    """The URLs of a Postgres and a Redis."""

    postgres: str
    redis: str


def standard_stores(stack: ExitStack, servers: Servers, folder: Path) -> dict[str, str]:
    """The settings, as variables of the environment; what they name is removed when the stack ends."""
    ledger, feast, mlflow = (stack.enter_context(own_schema(servers.postgres)) for _ in range(3))
    keys = stack.enter_context(own_redis_keys(servers.redis))
    return {
        "OARLOCK_TOPOLOGY": "standard",
        "OARLOCK_STATE": str(folder),
        "OARLOCK_LEDGER__URL": ledger,
        "OARLOCK_STORES__FEAST_REGISTRY": feast,
        "OARLOCK_STORES__MLFLOW": mlflow,
        "OARLOCK_STORES__MLFLOW_ARTIFACTS": (folder / "artifacts").as_uri(),
        "OARLOCK_STORES__ONLINE": servers.redis,
        "OARLOCK_STORES__ONLINE_PREFIX": keys.online_prefix,
    }


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have these variables in the environment of this process until the block ends."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
