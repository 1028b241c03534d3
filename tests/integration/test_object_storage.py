"""Sources in S3: patterns and partitions, objects that are read once, and objects that change while they are read.

The server is moto's, in an environment of its own, which `make test-s3` installs. Without it the tests are skipped.
"""

import io
import socket
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import S3FileSystem

from configs.errors import ConfigError, DataError, NotReady
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.discovery.stored_objects import BucketAddress, group_objects
from features.ingestion.copies.copied_dataset import fetch_dataset
from features.ingestion.copies.object_storage import EarlierCopy, copy_objects
from features.publishing.open_dataset import open_dataset
from features.tables.mapping import SourceMapping
from tests.support.companies.company_files import company_rows, write_csv
from tests.support.paths import ROOT

SERVER = ROOT / ".venv-s3" / "bin" / "moto_server"
pytestmark = pytest.mark.skipif(not SERVER.exists(), reason="`make test-s3` installs the server")
MAPPING = """
name = "acme"
observed_until = 2024-01-01T00:00:00Z
[sources]
accounts = {{ files = "s3://acme/crm/accounts.csv", endpoint = "{endpoint}" }}
subscriptions = {{ files = "s3://acme/billing/*.parquet", endpoint = "{endpoint}" }}
events = {{ files = "s3://acme/events/**/*.parquet", endpoint = "{endpoint}" }}
[tables]
usage = "select account_id, occurred_at, month as event from events"
"""
Make = Callable[..., Settings]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        [SERVER, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        _await_port(port)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.fixture
def store(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3FileSystem]:
    """An empty bucket `acme`, with credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    host = endpoint.removeprefix("http://")
    files = S3FileSystem(endpoint_override=host, scheme="http", allow_bucket_creation=True, allow_bucket_deletion=True)
    files.create_dir("acme")
    yield files
    files.delete_dir("acme")


@pytest.fixture
def company(store: S3FileSystem, endpoint: str, tmp_path: Path) -> Make:
    """Upload the tables, and write settings for a mapping that reads them."""
    write(store, "crm/accounts.csv", b"account_id,created_at\na,2023-01-01\nb,2023-02-01\n")
    for name, account in (("one", "a"), ("two", "b")):
        start = datetime(2023, 3, 1)
        row = {"account_id": account, "subscription_id": account, "mrr": 10.0, "started_at": start, "ended_at": None}
        write_parquet(store, f"billing/{name}.parquet", {**row, "ended_at": datetime(2023, 9, 1)})
    for month in (1, 2):
        event = {"account_id": "a", "occurred_at": datetime(2023, month, 5)}
        write_parquet(store, f"events/month=2023-0{month}/part.parquet", event)
    write(store, "events/month=2023-02/_SUCCESS", b"")
    write(store, "events/month=2023-02/.part.parquet", b"of an editor")

    def settings(**changed: str) -> Settings:
        mapping = MAPPING.format(endpoint=endpoint)
        for old, new in changed.items():
            mapping = mapping.replace(old, new)
        (tmp_path / "mapping.toml").write_text(mapping)
        (tmp_path / "acme.toml").write_text('state = "state"\n[data]\ndataset = "mapping.toml"\n')
        return read_settings(tmp_path / "acme.toml")

    return settings


def write(store: S3FileSystem, key: str, content: bytes) -> None:
    with store.open_output_stream(f"acme/{key}") as stream:
        stream.write(content)


def write_parquet(store: S3FileSystem, key: str, row: dict[str, object]) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row]), buffer)
    write(store, key, buffer.getvalue())


def _await_port(port: int) -> None:
    for _ in range(200):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"no server on port {port}")


def rows(settings: Settings, table: str) -> list[dict]:
    opened = open_dataset(settings, open_state_dir(settings))
    return opened.tables[table].rows.to_pyarrow().to_pylist()


def test_patterns_and_partitions_are_read_as_those_of_a_folder(company: Make):
    settings = company()
    assert [row["account_id"] for row in rows(settings, "accounts")] == ["a", "b"]
    assert sorted(row["account_id"] for row in rows(settings, "subscriptions")) == ["a", "b"]
    assert sorted(row["event"] for row in rows(settings, "usage")) == ["2023-01", "2023-02"]


def test_init_drafts_the_mapping_of_a_bucket(store: S3FileSystem, endpoint: str, tmp_path: Path, oarlock):
    for name, table in company_rows().items():
        file = write_csv(tmp_path / "local" / f"{name}.csv", table)
        write(store, f"crm/{name}.csv", file.read_bytes())
    write(store, "crm/logo.png", b"no data")
    written = tmp_path / "written"
    result = oarlock("init", "s3://acme/crm", "--endpoint", endpoint, "--output", str(written), "--yes")
    assert result.out.rstrip().endswith("`oarlock validate` passes.")
    sources = tomllib.loads((written / "mapping.toml").read_text())["sources"]
    assert sources == {
        name: {"files": f"s3://acme/crm/{name}.csv", "endpoint": endpoint}
        for name in ("contracts", "customers", "events")
    }
    local = oarlock("init", str(tmp_path / "local"), "--yes").out.splitlines()
    assert result.out.splitlines()[:4] == local[:4]  # the profile of each table
    assert len(rows(read_settings(written / "crm.toml"), "subscriptions")) == 60


def test_init_writes_patterns_and_partitions_of_a_bucket(store: S3FileSystem, endpoint: str, tmp_path: Path):
    for number in (1, 2):
        write(store, f"billing/contracts_{number}.csv", f"contract_id\nK{number}\n".encode())
    for month in range(1, 13):
        row = {"account_id": "a", "event": "login", "occurred_at": datetime(2023, month, 5)}
        write_parquet(store, f"events/month=2023-{month:02}/part.parquet", row)
    groups = group_objects(BucketAddress("s3://acme/", endpoint), tmp_path / "scratch")
    assert {group.name: group.mapping.files for group in groups if group.mapping} == {
        "contracts": "s3://acme/billing/contracts*.csv",
        "events": "s3://acme/events/**/*.parquet",
    }
    assert {group.name: len(group.files) for group in groups} == {"contracts": 2, "events": 12}


def test_init_without_data_in_the_bucket_says_so(store: S3FileSystem, endpoint: str, tmp_path: Path, oarlock):
    write(store, "logo.png", b"no data")
    result = oarlock("init", "s3://acme", "--endpoint", endpoint, "--output", str(tmp_path), "--yes")
    assert "s3://acme has no data file." in result.err
    assert not (tmp_path / "mapping.toml").exists()


def test_a_new_object_is_read_and_an_unchanged_one_is_linked(company: Make, store: S3FileSystem):
    settings = company()
    before = fetch_dataset(settings.data)
    write_parquet(store, "events/month=2023-03/part.parquet", {"account_id": "b", "occurred_at": datetime(2023, 3, 5)})
    after = fetch_dataset(settings.data)
    assert (len(before.files["events"]), len(after.files["events"])) == (2, 3)
    assert after.content_hash() != before.content_hash()
    inodes = [{file.name: file.stat().st_ino for file in dataset.files["subscriptions"]} for dataset in (before, after)]
    assert inodes[0] == inodes[1]
    assert fetch_dataset(settings.data).content_hash() == after.content_hash()


def test_an_object_that_is_replaced_by_another_of_its_size_is_read_again(company: Make, store: S3FileSystem):
    settings = company()
    before = fetch_dataset(settings.data).files["accounts"][0].read_bytes()
    write(store, "crm/accounts.csv", before.replace(b"b,", b"c,"))
    assert fetch_dataset(settings.data).files["accounts"][0].read_bytes() == before.replace(b"b,", b"c,")


def test_an_object_that_is_gone_is_no_longer_read(company: Make, store: S3FileSystem):
    settings = company()
    fetch_dataset(settings.data)
    store.delete_file("acme/events/month=2023-01/part.parquet")
    assert [row["event"] for row in rows(settings, "usage")] == ["2023-02"]


def test_objects_that_change_while_they_are_read_are_refused(
    company: Make, store: S3FileSystem, endpoint: str, tmp_path: Path
):
    company()

    class EarlierTags(Mapping[str, str]):
        """No tags; while they are looked up, somebody else writes."""

        def __getitem__(self, key: str) -> str:
            write(store, "billing/three.parquet", b"another export")
            raise KeyError(key)

        def __iter__(self) -> Iterator[str]:
            return iter(())

        def __len__(self) -> int:
            return 0

    source = SourceMapping(files="s3://acme/billing/*.parquet", endpoint=endpoint)
    with pytest.raises(DataError, match=r"s3://acme/billing/three\.parquet changed while it was read"):
        copy_objects({"subscriptions": source}, tmp_path / "copy", EarlierCopy(tmp_path, EarlierTags()))


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("billing/*", "nothing/*", DataError, "'subscriptions' has no object s3://acme/nothing/"),
        ("s3://acme/crm", "s3://other/crm", DataError, "'accounts' has no object s3://other/crm/accounts.csv"),
        ("http://127.0.0.1", "http://127.0.0.1:9/", NotReady, "Cannot read the object storage"),
        ("http://", "ftp://", ConfigError, "is no endpoint"),
    ],
)
def test_what_cannot_be_read_is_named(company: Make, old: str, new: str, *, error: type[Exception], message: str):
    settings = company(**{old: new})
    with pytest.raises(error, match=message) as refusal:
        fetch_dataset(settings.data)
    assert "hunter2" not in str(refusal.value)


def test_a_select_reads_its_sources_and_no_address(company: Make):
    for escape in (
        "select * from 's3://acme/crm/accounts.csv'",
        "select * from read_parquet('s3://acme/billing/one.parquet')",
    ):
        with pytest.raises(ConfigError, match=r"which is not a source|calls read_parquet"):
            rows(company(**{"select account_id, occurred_at, month as event from events": escape}), "usage")
