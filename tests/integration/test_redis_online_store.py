"""The online store in Redis: the same values as in SQLite, a row per live account, and one publication at a time."""

import dataclasses
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import redis
from pydantic import SecretStr

from configs.errors import Busy, ConfigError, NotReady, StoreDown
from configs.sections.stores import StoreSettings
from configs.state_dir import StateDir
from features.online import redis_connection
from features.online.online_store import begin_publication, open_online_reader, pull_publication
from features.online.redis_connection import SilentServer, require_no_eviction
from features.online.redis_rows import RedisKeys, fetch_pointer
from features.online.redis_tables import pull_tables
from features.publishing.consistency_check import compare_stores
from features.publishing.pipeline import PublishRequest, publish
from features.store.feast_store import FEATURE_SERVICE, open_store
from features.store.online_reader import OnlineReader
from features.store.publication import Publication, read_publication
from serving.ledger.ledger import Ledger
from serving.security.erasure import erase_account
from tests.support.companies.growing_company import ACCOUNTS, TODAY, Company, copy_company, rewrite_rows
from tests.support.progress import ignore_progress
from tests.support.servers import own_redis_keys, start_redis

NOBODY = "nobody"


@dataclasses.dataclass(frozen=True)
class RedisCompany:
    """A company that is published in SQLite and in Redis, each with a state of its own over the same history."""

    sqlite: Company
    company: Company
    client: redis.Redis

    @property
    def state(self) -> StateDir:
        return self.company.state

    @property
    def keys(self) -> RedisKeys:
        return RedisKeys(self.state.online_prefix)

    def publish(self, day: datetime = TODAY, **options: object) -> None:
        request = PublishRequest(day, **options)  # pyright: ignore[reportArgumentType]
        publish(self.company.settings, self.state, request, ignore_progress)

    def row_keys(self) -> list[bytes]:
        return list(self.client.scan_iter(match=f"{self.keys.prefix}:row:*", count=1_000))

    def pointer(self) -> dict[str, object]:
        content = self.client.get(self.keys.published)
        assert isinstance(content, bytes)
        return json.loads(content)


def _publish_into(company: Company, published_before: Company, stores: StoreSettings) -> RedisCompany:
    assert stores.online is not None
    moved = dataclasses.replace(company, state=dataclasses.replace(company.state, stores=stores))
    both = RedisCompany(published_before, moved, redis.Redis.from_url(stores.online.get_secret_value()))
    both.publish()
    return both


@pytest.fixture(scope="module")
def published_in_redis(
    published_once: Company, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisCompany]:
    company = copy_company(published_once, tmp_path_factory.mktemp("redis") / "growing")
    with own_redis_keys(redis_server) as stores:
        yield _publish_into(company, published_once, stores)


@pytest.fixture
def published(published_in_redis: RedisCompany) -> Iterator[RedisCompany]:
    """A company that is published, and not published again by a test."""
    content = fetch_pointer(published_in_redis.client, published_in_redis.keys) or b""
    yield published_in_redis
    published_in_redis.client.set(published_in_redis.keys.published, content, keepttl=True)


@pytest.fixture
def own(published_once: Company, published_company: Company, redis_stores: StoreSettings) -> RedisCompany:
    """A published company that a test may publish again."""
    return _publish_into(published_company, published_once, redis_stores)


def test_redis_gives_the_bytes_that_sqlite_gives(published: RedisCompany):
    account_ids = [*reversed(ACCOUNTS), ACCOUNTS[0], NOBODY, "'; flushall", "é" * 5_000, "\ud800"]
    expected = OnlineReader(published.sqlite.state).read(account_ids)
    actual = open_online_reader(published.state).read(account_ids)
    assert actual.values.numbers.tobytes() == expected.values.numbers.tobytes()
    assert actual.values.numbers[:, 0].size == len(account_ids)
    assert list(actual.values.categories) == list(expected.values.categories)
    assert actual.as_of.tobytes() == expected.as_of.tobytes()
    assert actual.timestamps.tobytes() == expected.timestamps.tobytes()
    assert (actual.families, actual.published) == (expected.families, expected.published)


def test_feast_reads_the_values_of_the_reader(published: RedisCompany):
    store = open_store(published.state, published.company.settings.name)
    rows = store.get_online_features(
        features=store.get_feature_service(FEATURE_SERVICE),
        entity_rows=[{"account_id": account_id} for account_id in (*ACCOUNTS[:3], NOBODY)],
    ).to_df()
    values = open_online_reader(published.state).read([*ACCOUNTS[:3], NOBODY]).values
    read = {name: [values.value(name, row) for row in range(4)] for name in rows.columns if name != "account_id"}
    expected = pd.DataFrame(read)
    pd.testing.assert_frame_equal(expected, rows[expected.columns].astype(expected.dtypes), check_dtype=False)


def test_the_store_equals_the_history(published: RedisCompany):
    report = compare_stores(published.company.settings, published.state, 100)
    assert (report.accounts, report.differences) == (len(ACCOUNTS), ())


def test_every_live_account_has_a_row_and_every_key_expires(published: RedisCompany):
    prefix = f"{published.keys.prefix}:row:{published.pointer()['generation']}:".encode()
    assert sorted(published.row_keys()) == [prefix + account_id.encode() for account_id in ACCOUNTS]
    seconds = {published.client.ttl(key) for key in published.client.scan_iter(match=f"{published.keys.prefix}:*")}
    assert min(seconds) > 29 * 86_400
    assert max(seconds) <= 31 * 86_400


def test_rows_outlive_the_pointer_to_them(published: RedisCompany):
    pointer = published.client.ttl(published.keys.published)
    assert min(map(published.client.ttl, published.row_keys())) > pointer  # pyright: ignore


def test_an_account_that_leaves_has_no_row_and_departed_as_in_sqlite(own: RedisCompany):
    files = own.company.folder / "subscriptions.parquet"
    rewrite_rows(files, lambda row: {**row, "ended_at": TODAY} if row["account_id"] == ACCOUNTS[0] else row)
    own.publish(TODAY + timedelta(days=1))
    assert len(own.row_keys()) == len(ACCOUNTS) - 1
    signals = open_online_reader(own.state).read(ACCOUNTS[:2])
    assert list(signals.as_of) == [np.datetime64(TODAY), np.datetime64(TODAY + timedelta(days=1))]
    assert np.isnan(signals.values.numbers[0]).all()


def test_an_account_that_an_earlier_version_of_the_day_had_is_older_than_the_day(own: RedisCompany):
    files = own.company.folder / "subscriptions.parquet"
    rewrite_rows(files, lambda row: None if row["account_id"] == ACCOUNTS[0] else row)
    own.publish(backfill_from=TODAY, forced_because="an account was removed")
    assert open_online_reader(own.state).read(ACCOUNTS[:1]).as_of[0] < np.datetime64(TODAY)


def test_an_account_that_returns_is_no_longer_departed(own: RedisCompany):
    own.client.hset(own.keys.departed, ACCOUNTS[3], 1)
    own.client.hset(own.keys.departed, "left", 1)
    own.publish(backfill_from=TODAY)
    assert own.client.hkeys(own.keys.departed) == [b"left"]


def test_what_a_killed_publish_left_is_removed_by_the_next(own: RedisCompany):
    own.client.hset(own.keys.row("killed", ACCOUNTS[0]), "adoption", b"half")
    own.publish(backfill_from=TODAY)
    assert len(own.row_keys()) == len(ACCOUNTS)


def test_a_reader_sees_the_old_publication_until_the_new_one_is_complete(published: RedisCompany):
    reader = open_online_reader(published.state)
    before = reader.read(ACCOUNTS)
    publication = begin_publication(published.state)
    assert publication is not None
    field, cell = f"{before.families[0]}_x", b"\0" * 8
    published.client.hset(publication.keys.row(publication.generation, ACCOUNTS[0]), field, cell)
    assert reader.read(ACCOUNTS).values.numbers.tobytes() == before.values.numbers.tobytes()
    note: Publication = {**read_publication(published.state), "as_of": "2023-08-02T00:00:00"}
    publication.commit(note, published.state)
    after = reader.read(ACCOUNTS)
    assert after.published == datetime(2023, 8, 2)
    assert np.isnan(after.values.numbers).all()  # of the new publication, which has no values, and of no other


def test_the_second_of_two_publications_at_once_is_refused(published: RedisCompany):
    first, second = begin_publication(published.state), begin_publication(published.state)
    assert first is not None
    assert second is not None
    note = json.loads(published.state.publication.read_text())
    first.commit(note, published.state)
    with pytest.raises(Busy, match="published into the same Redis"):
        second.commit(note, published.state)
    assert published.pointer()["generation"] == first.generation


def test_an_emptied_redis_is_down_and_filled_anew(own: RedisCompany):
    reader = open_online_reader(own.state)
    reader.read(ACCOUNTS[:1])
    for key in own.client.scan_iter(match=f"{own.keys.prefix}:*"):
        own.client.unlink(key)
    with pytest.raises(StoreDown, match="it was emptied, or it expired"):
        reader.read(ACCOUNTS[:1])
    own.publish()
    assert reader.read(ACCOUNTS[:1]).as_of[0] == np.datetime64(TODAY)


def test_an_erased_account_is_in_no_key(own: RedisCompany, tmp_path: Path):
    own.client.hset(own.keys.row("other", f"a:{ACCOUNTS[0]}"), "adoption", b"of another account")
    certificate = erase_account(own.state, Ledger(tmp_path / "ledger.db").engine, ACCOUNTS[0], TODAY)
    assert certificate["removed"]["redis"] == 1
    keys = list(own.client.scan_iter(match=f"{own.keys.prefix}:*", count=1_000))
    assert len(keys) == len(ACCOUNTS) - 1 + 3  # the pointer, the tables, and the row of the other account
    tables = own.client.hgetall(own.keys.tables(str(own.pointer()["generation"])))
    assert not any(ACCOUNTS[0].encode() in content for content in tables.values())  # pyright: ignore
    assert ACCOUNTS[1].encode() in tables[b"accounts.db"]  # pyright: ignore


def test_another_machine_takes_over_what_was_published(own: RedisCompany, tmp_path: Path, redis_stores: StoreSettings):
    other = StateDir(tmp_path / "other" / own.state.folder.name, redis_stores)
    assert (pull_publication(other), pull_publication(other)) == (True, False)
    assert read_publication(other) == read_publication(own.state)
    assert other.account_table.read_bytes() == own.state.account_table.read_bytes()
    assert other.revenue_table.read_bytes() == own.state.revenue_table.read_bytes()
    erase_account(own.state, Ledger(tmp_path / "ledger.db").engine, ACCOUNTS[0], TODAY)
    assert pull_publication(other)
    assert ACCOUNTS[0].encode() not in other.account_table.read_bytes()
    assert not pull_publication(own.state)


class RemovesBeforeReading(redis.Redis):
    """A client of a server on which another publication replaces a hash just before it is read as a whole."""

    def hgetall(self, name):
        self.unlink(name)
        return super().hgetall(name)


def test_tables_that_are_replaced_while_they_are_read_leave_the_own_ones(own: RedisCompany, tmp_path: Path):
    other = dataclasses.replace(own.state, folder=tmp_path / "other" / own.state.folder.name)
    assert pull_publication(other)
    before = other.account_table.read_bytes()
    own.publish(backfill_from=TODAY)
    client = RemovesBeforeReading(connection_pool=own.client.connection_pool)
    assert not pull_tables(client, other)
    assert other.account_table.read_bytes() == before


def test_an_older_day_of_another_machine_does_not_go_online(own: RedisCompany, tmp_path: Path):
    own.publish(TODAY + timedelta(days=1))
    other = dataclasses.replace(own.state, folder=tmp_path / "other" / own.state.folder.name)
    result = publish(own.company.settings, other, PublishRequest(TODAY), ignore_progress)
    assert (result.as_of, result.online) == (TODAY, TODAY + timedelta(days=1))
    assert open_online_reader(other).views().as_of == TODAY + timedelta(days=1)


def test_a_damaged_pointer_is_written_anew(own: RedisCompany):
    own.client.set(own.keys.published, b"{}")
    with pytest.raises(StoreDown, match="what this release did not write"):
        open_online_reader(own.state).read(ACCOUNTS[:1])
    own.publish()
    assert open_online_reader(own.state).read(ACCOUNTS[:1]).as_of[0] == np.datetime64(TODAY)
    assert len(own.row_keys()) == len(ACCOUNTS)


def test_before_any_publish_it_is_not_ready(tmp_path, redis_stores: StoreSettings):
    with pytest.raises(NotReady, match="Nothing is published in Redis"):
        open_online_reader(StateDir(tmp_path, redis_stores)).read(["a"])


def test_a_row_that_is_cut_short_is_no_value(published: RedisCompany):
    key = published.row_keys()[0]
    account_id, (field, *_) = key.rpartition(b":")[2].decode(), published.client.hkeys(key)
    cell = published.client.hget(key, field)
    published.client.hset(key, field, b"\1" * 9)
    with pytest.raises(StoreDown, match="a row of 9 bytes"):
        open_online_reader(published.state).read([account_id])
    published.client.hset(key, field, cell)


def test_a_server_that_is_down_is_named(tmp_path):
    stores = StoreSettings(online=SecretStr("redis://user:hunter2@127.0.0.1:1/0"))
    with pytest.raises(StoreDown, match="cannot be used") as raised:
        open_online_reader(StateDir(tmp_path, stores)).read(["a"])
    assert "hunter2" not in str(raised.value)
    broken = StoreSettings(online=SecretStr("http://user:hunter2@host"))
    with pytest.raises(ConfigError, match="not the URL of a Redis"):
        open_online_reader(StateDir(tmp_path, broken))


@pytest.fixture
def evicting_server(tmp_path) -> Iterator[redis.Redis]:
    with start_redis(tmp_path, "--maxmemory-policy", "allkeys-lru", "--maxmemory", "50mb") as client:
        yield client


def test_a_server_that_drops_accounts_when_it_is_full_is_refused(evicting_server: redis.Redis):
    with pytest.raises(ConfigError, match="maxmemory-policy is allkeys-lru"):
        require_no_eviction(evicting_server)
    evicting_server.config_set("maxmemory-policy", "noeviction")
    require_no_eviction(evicting_server)


def test_one_request_at_a_time_asks_a_silent_server(monkeypatch):
    monkeypatch.setattr(redis_connection, "READ_SECONDS", 0.05)
    server, asked = SilentServer(), []

    def ask(seconds: float, error: str = "") -> str:
        try:
            with server.ask():
                asked.append(error)
                time.sleep(seconds)
                if error:
                    raise StoreDown(error)
        except StoreDown as raised:
            return raised.message
        return "answered"

    assert ask(0.0, "refused") == "refused"
    assert ask(0.1, "silent") == "silent"
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ask, 0.3, "still silent")
        time.sleep(0.1)
        assert ask(0.0) == "silent"
        assert first.result() == "still silent"
    assert (ask(0.0), ask(0.0)) == ("answered", "answered")
    assert asked == ["refused", "silent", "still silent", "", ""]
