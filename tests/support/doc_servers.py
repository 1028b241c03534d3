"""The servers that pages of the documentation name: a test gives each of these addresses a server of its own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers import own_redis_keys, own_schema, start_mlflow

REDIS = "rediss://:...@redis:6379/0"
MLFLOW, MLFLOW_DATABASE = "https://mlflow.example.com", "postgresql://oarlock:...@postgres/mlflow"
POSTGRES = (
    "postgresql://oarlock:...@postgres/oarlock",
    "postgresql://oarlock:...@postgres/feast",
    "postgresql://oarlock@db/oarlock",
    "postgresql://oarlock@db.internal/oarlock",
)


@dataclass(frozen=True)
class RunningServers:
    """The URLs of the Postgres and the Redis of the tests."""

    postgres: str
    redis: str


@dataclass
class ShownServers:
    """What works instead of each address that a page shows, and the variables that keep a test to its own keys."""

    addresses: dict[str, str] = field(default_factory=dict[str, str])
    variables: dict[str, str] = field(default_factory=dict[str, str])

    def replace_addresses(self, command: str) -> str:
        """A command of a page with addresses that work."""
        for shown, working in self.addresses.items():
            command = command.replace(shown, working)
        return command


def names_servers(text: str) -> bool:
    """Whether a page names an address of the table above."""
    return any(address in text for address in (REDIS, MLFLOW, *POSTGRES))


@contextmanager
def start_shown_servers(text: str, servers: RunningServers, folder: Path) -> Iterator[ShownServers]:
    """Give each address in the text of a page that is in the table above an address that works, for a block."""
    shown = ShownServers()
    with ExitStack() as stack:
        for address in (address for address in POSTGRES if address in text):
            shown.addresses[address] = stack.enter_context(own_schema(servers.postgres))
        if MLFLOW in text:
            database = stack.enter_context(own_schema(servers.postgres))
            shown.addresses[MLFLOW_DATABASE] = database
            shown.addresses[MLFLOW] = stack.enter_context(start_mlflow(database, folder / "artifacts"))
        if REDIS in text:
            shown.addresses[REDIS] = servers.redis
            stores = stack.enter_context(own_redis_keys(servers.redis))
            shown.variables["OARLOCK_STORES__ONLINE_PREFIX"] = stores.online_prefix
        yield shown
