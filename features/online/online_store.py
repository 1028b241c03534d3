"""The online store that the settings name: a Redis, or the file in the state folder."""

from typing import TYPE_CHECKING

from configs.errors import ConfigError
from configs.state_dir import StateDir
from features.store.online_reader import OnlineReader, SignalReader

if TYPE_CHECKING:
    from redis import Redis

    from features.online.redis_publication import RedisPublication


def open_online_reader(state: StateDir) -> SignalReader:
    """The reader of the online store; nothing is read yet. Raises ConfigError for an unusable `stores.online`."""
    client, impatient = connect_online_store(state), connect_online_store(state, is_impatient=True)
    if client is None or impatient is None:
        return OnlineReader(state)
    from features.online.redis_reader import RedisReader

    return RedisReader(client, impatient, state)


def begin_publication(state: StateDir) -> "RedisPublication | None":
    """A new publication into Redis; None if the online store is a file, which is written as it is read.

    Raises StoreDown if Redis cannot be used, ConfigError if it may drop accounts by itself.
    """
    client = connect_online_store(state)
    if client is None:
        return None
    from features.online.redis_publication import begin_redis_publication

    return begin_redis_publication(client, state)


def pull_publication(state: StateDir) -> bool:
    """Write what another machine published last into this state folder; False if nothing is, or it is there already.

    Raises StoreDown if Redis cannot be used.
    """
    client = connect_online_store(state)
    if client is None:
        return False
    from features.online.redis_tables import pull_tables

    return pull_tables(client, state)


def erase_online(state: StateDir, account_id: str) -> int:
    """Remove an account from Redis, if the online store is there; returns how many rows were removed."""
    client = connect_online_store(state)
    if client is None:
        return 0
    from features.online.redis_publication import erase_from_redis

    return erase_from_redis(client, state, account_id)


def connect_online_store(state: StateDir, *, is_impatient: bool = False) -> "Redis | None":
    """The Redis of the online store; None if it is a file. An impatient client waits a second for an answer.

    Raises ConfigError for an unusable `stores.online`.
    """
    if state.stores.online is None:
        return None
    try:
        from features.online.redis_connection import ANSWER_SECONDS, READ_SECONDS, connect
    except ImportError:
        raise ConfigError("stores.online needs the package redis.", "Install it: pip install redis.") from None
    return connect(state.stores.online.get_secret_value(), READ_SECONDS if is_impatient else ANSWER_SECONDS)
