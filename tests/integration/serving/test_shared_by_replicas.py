"""What the machines of a service share through the database: the secret of sessions, and the requests of a key."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sql

from serving.ledger.database import open_database
from serving.ledger.schema import REQUEST_COUNTS
from serving.security.rate_limits import RateLimits
from serving.security.shared_rate_limits import exchange_counts, machine_id
from serving.security.shared_secret import read_or_create_shared_secret

NOON = 1_700_000_000.0 // 60 * 60  # the begin of a minute


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sql.Engine]:
    is_file = request.param == "sqlite"
    engine = open_database(tmp_path / "ledger.db" if is_file else request.getfixturevalue("postgres"))
    yield engine
    engine.dispose()


@pytest.fixture
def machines(tmp_path: Path) -> dict[str, RateLimits]:
    return {name: RateLimits(tmp_path / name) for name in ("first", "second")}


def _exchange(engine: sql.Engine, machines: dict[str, RateLimits], now: float) -> None:
    for _ in range(2):
        for name, limits in machines.items():
            exchange_counts(engine, name, limits, now)


def _allowed(limits: RateLimits, count: int, now: float) -> int:
    return sum(limits.hit("key", 60, now).is_allowed for _ in range(count))


def test_processes_that_start_together_share_one_secret(engine: sql.Engine):
    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(lambda _: read_or_create_shared_secret(engine), range(8)))
    assert [len(secret) for secret in secrets] == [32]
    assert read_or_create_shared_secret(engine, "other") not in secrets


def test_a_limit_holds_over_all_machines(engine: sql.Engine, machines: dict[str, RateLimits]):
    assert _allowed(machines["first"], 40, NOON) == 40
    _exchange(engine, machines, NOON)
    assert _allowed(machines["second"], 40, NOON + 1) == 20
    _exchange(engine, machines, NOON + 1)
    assert _allowed(machines["first"], 10, NOON + 2) == 0


def test_requests_of_other_machines_slide_too(engine: sql.Engine, machines: dict[str, RateLimits]):
    _allowed(machines["first"], 60, NOON)
    _exchange(engine, machines, NOON + 59)
    assert _allowed(machines["second"], 60, NOON + 60 + 30) == 30
    decision = machines["second"].hit("key", 60, NOON + 60 + 30)
    assert (decision.is_allowed, decision.remaining, decision.retry_after_seconds) == (False, 0, 1)


def test_keys_are_counted_apart(engine: sql.Engine, machines: dict[str, RateLimits]):
    machines["first"].hit("other", 60, NOON)
    _exchange(engine, machines, NOON)
    assert machines["second"].hit("key", 60, NOON).remaining == 59
    assert machines["second"].hit("other", 60, NOON).remaining == 58


def test_counts_of_past_minutes_are_removed(engine: sql.Engine, machines: dict[str, RateLimits]):
    _allowed(machines["first"], 3, NOON)
    _exchange(engine, machines, NOON)
    _exchange(engine, machines, NOON + 180)
    with engine.connect() as connection:
        assert connection.execute(sql.select(REQUEST_COUNTS)).all() == []


def test_a_machine_is_known_by_its_name_and_folder():
    assert machine_id(Path("/a")) == machine_id(Path("/a")) != machine_id(Path("/b"))
