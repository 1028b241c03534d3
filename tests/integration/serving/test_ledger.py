"""The ledger: both databases behave alike, they migrate safely, and no acknowledged risk is lost or stored twice."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sql
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from configs.errors import ConfigError, LedgerBacklogFull, NotReady
from configs.sections.stores import LedgerSettings
from monitoring.outcomes.served_scores import read_served_snapshots
from serving.ledger.database import MIGRATIONS, migrate, open_database
from serving.ledger.ledger import Checkpoint, DuplicateCheckpoint, Ledger, row_from_score
from serving.ledger.reader import LedgerReader
from serving.ledger.schema import HEAD_REVISION, METADATA, RISKS, VERSION_TABLE
from serving.ledger.writer import LedgerWriter, recover_orphaned_segments
from serving.schemas.responses import Score
from tests.support.ledger_rows import DAY, SOURCE, score, source_at
from tests.support.paths import ROOT


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request, tmp_path) -> Iterator[Ledger]:
    """An empty ledger on each kind of database."""
    location = tmp_path / "ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    ledger = Ledger(location)
    yield ledger
    ledger.engine.dispose()


@pytest.fixture
def make_writer(tmp_path) -> Iterator[Callable[..., LedgerWriter]]:
    """Make a writer of a ledger; it is closed after the test."""
    writers = []

    def make(ledger: Ledger, **settings) -> LedgerWriter:
        writers.append(LedgerWriter(ledger, tmp_path / "wal", LedgerSettings(**settings), lambda: DAY))
        return writers[-1]

    yield make
    for writer in writers:
        writer.close(5) if writer._thread.is_alive() else None


def stored(ledger: Ledger) -> list[str]:
    """The accounts of every row, in the order they were written."""
    with ledger.engine.connect() as connection:
        return list(connection.execute(sql.select(RISKS.c.account_id).order_by(RISKS.c.id)).scalars())


def recover(ledger: Ledger, folder: Path) -> int:
    return recover_orphaned_segments(ledger, folder, lambda: DAY)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process's write lock on a SQLite database."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("begin immediate")
        yield
        connection.execute("rollback")


def test_a_risk_is_read_as_it_was_added(ledger):
    ledger.append([score("a", 0.25), score("ü'\";--", 0.5, revenue={"mrr": None})], SOURCE)
    risks = ledger.served_risks("l", DAY).sort_values("risk")
    assert risks.account_id.tolist() == ["a", "ü'\";--"]
    assert risks.risk.tolist() == [0.25, 0.5]
    assert (risks.mrr.iloc[0], risks.as_of.iloc[0]) == (100.0, DAY)


def test_several_processes_may_create_the_database_at_once(ledger):
    failures = []

    def open_and_append() -> None:
        try:
            Ledger(ledger.location).append([score("a")], SOURCE)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_and_append) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (failures, ledger.count()) == ([], 6)


def test_the_band_of_each_account_is_that_served_by_a_day_of_its_own(ledger):
    for days, band in ((20, "low"), (10, "high"), (0, "critical")):
        ledger.append([score("a", band=band), score("b", band=band)], source_at(DAY - timedelta(days=days)))
    ledger.append([score("new", band="high")], SOURCE)
    days = {"a": DAY.date(), "b": (DAY - timedelta(days=5)).date(), "new": (DAY - timedelta(days=1)).date()}
    assert LedgerReader(ledger).bands_served_by(days) == {"a": "critical", "b": "high"}
    assert LedgerReader(ledger).bands_served_by({}) == {}


def test_the_last_risk_served_within_a_week_of_its_day_counts(ledger):
    for account_id, after, risk in [
        ("a", timedelta(0), 0.1),
        ("a", timedelta(days=7) - timedelta(microseconds=1), 0.2),
        ("a", timedelta(days=7), 0.3),  # it may have left by then
        ("b", timedelta(hours=1), 0.4),
        ("c", timedelta(days=8), 0.5),
    ]:
        ledger.append([score(account_id, risk)], source_at(DAY + after))
    ledger.append([score("b", 0.6)], SOURCE | {"purpose": "viewed"})
    served = read_served_snapshots(ledger, "l", DAY)
    assert served[["account_id", "risk", "as_of"]].to_numpy().tolist() == [["a", 0.2, DAY], ["b", 0.4, DAY]]
    assert read_served_snapshots(ledger, "l", DAY - timedelta(days=1)).empty
    assert read_served_snapshots(ledger, "another label", DAY).empty


def test_old_risks_are_pruned(ledger):
    ledger.append([score("old")], source_at(DAY - timedelta(days=400)))
    ledger.append([score("new")], SOURCE)
    assert ledger.prune(DAY - timedelta(days=365)) == 1
    assert stored(ledger) == ["new"]


def test_the_command_prunes_the_configured_ledger(oarlock, make_company, postgres, monkeypatch):
    monkeypatch.setenv("OARLOCK_LEDGER__URL", postgres)
    ledger = Ledger(postgres)
    ledger.append([score("old")], source_at(DAY - timedelta(days=4_000)))
    ledger.append([score("new")], source_at(datetime(2999, 1, 1)))
    result = oarlock(
        "ledger", "prune", "--keep-days", "3650", "--json", config=make_company(accounts=[{"account_id": "a"}])
    )
    assert list(json.loads(result.out).values()) == [1, 1, 0]
    assert stored(ledger) == ["new"]


def test_pruning_gives_the_space_back_to_the_disk(oarlock, make_company):
    config = make_company(accounts=[{"account_id": "a"}])
    file = config.parent / "state/acme/ledger.db"
    ledger = Ledger(file)
    scores = [cast(Score, {**score(f"a{n}"), "padding": "x" * 10_000}) for n in range(200)]
    ledger.append(scores, source_at(DAY - timedelta(days=4_000)))
    ledger.engine.dispose()
    before = file.stat().st_size
    result = oarlock("ledger", "prune", "--keep-days", "3650", config=config)
    assert (result.code, "200 risks removed, 0 remain." in result.out) == (0, True)
    assert (before > 2_000_000, file.stat().st_size < 300_000) == (True, True)


def test_the_migrations_make_the_tables_that_the_code_declares(ledger):
    with ledger.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD_REVISION


def test_migrating_back_and_forth_tells_old_looks_at_the_past_apart(ledger):
    """Before there were purposes a look at a past day was recorded like what was served on that day."""
    for number, (served_on, day) in enumerate([("05-01", "05-01"), ("06-01", "06-01"), ("06-20", "05-01")]):
        row = score(f"account-{number}", signals_as_of=f"2024-{day}T00:00:00")
        ledger.append([row], {**source_at(datetime.fromisoformat(f"2024-{served_on}")), "request_id": f"r{number}"})
    late = score("much later", signals_as_of="2024-06-02T00:00:00")
    ledger.append([late], {**source_at(datetime(2024, 9, 1)), "request_id": "r9"})
    with ledger.engine.begin() as connection:
        migrate(connection, "0001")
        assert "purpose" not in {column["name"] for column in sql.inspect(connection).get_columns("risks")}
    with Ledger(ledger.location).engine.connect() as connection:
        purposes = connection.execute(sql.select(RISKS.c.purpose).order_by(RISKS.c.id)).scalars().all()
    assert purposes == ["served", "served", "recomputed", "recomputed"]


def test_an_up_to_date_database_is_opened_without_alembic(tmp_path):
    open_database(tmp_path / "ledger.db")
    code = "import sys, pathlib; from serving.ledger.database import open_database"
    code += "; open_database(pathlib.Path(sys.argv[1])); print('alembic' in sys.modules)"
    command = [sys.executable, "-c", code, str(tmp_path / "ledger.db")]
    assert subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout == "False\n"


def test_a_database_of_a_newer_release_is_refused(ledger):
    with ledger.engine.begin() as connection:
        connection.execute(sql.text(f"update {VERSION_TABLE} set version_num = '9999'"))
    with pytest.raises(ConfigError, match="does not know the schema of the ledger's database"):
        open_database(ledger.location)


@pytest.mark.parametrize("url", ["nonsense", "mongo://host/db"])
def test_an_invalid_url_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError) as refused:
        open_database(url)
    assert url not in str(refused.value)


def test_a_database_that_is_down_is_not_ready():
    with pytest.raises(NotReady, match="Cannot reach the database of the ledger"):
        open_database("postgresql://nobody@127.0.0.1:1/none")


def test_a_normal_stop_stores_every_recorded_risk(ledger, make_writer, tmp_path):
    writer = make_writer(ledger)
    writer.start()
    for n in range(50):
        writer.append([score(f"a{n}"), score(f"b{n}")], SOURCE)
    writer.close(10)
    assert stored(ledger) == [f"{x}{n}" for n in range(50) for x in "ab"]
    assert list((tmp_path / "wal").iterdir()) == []
    assert (writer.backlog_bytes, writer.lag_seconds) == (0, 0.0)


def test_a_response_not_stored_in_time_is_recovered_later(make_writer, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    _ = ledger.engine
    writer = make_writer(ledger)
    with locked(tmp_path / "ledger.db"):
        writer.start()
        writer.append([score("a")], SOURCE)
        writer.close(0.1)
        assert ledger.count() == 0
    # The process that gave up may still finish, and another recovers what it left: the row is stored once.
    recover(ledger, tmp_path / "wal")
    writer._thread.join(10)
    assert stored(ledger) == ["a"]
    assert list((tmp_path / "wal").iterdir()) == []


def test_a_locked_database_delays_then_refuses_responses(make_writer, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    _ = ledger.engine
    writer = make_writer(ledger, max_backlog_bytes=2_000, backpressure_timeout_seconds=2.5)
    writer.start()
    accepted = 0
    with locked(tmp_path / "ledger.db"):
        with pytest.raises(LedgerBacklogFull, match="bytes behind") as refused:
            for accepted in range(1_000):
                writer.append([score(f"a{accepted}")], SOURCE)
        assert 3 < accepted < 20
        assert (refused.value.status, refused.value.code) == (503, "ledger_backlog_full")
        assert writer.lag_seconds > 0
    writer.append([score("later")], SOURCE)
    writer.close(20)
    assert stored(ledger) == [*(f"a{n}" for n in range(accepted)), "later"]


def test_a_part_of_a_segment_is_stored_once_by_any_process(ledger):
    rows = [row_from_score(score("a"), SOURCE)]
    ledger.add(rows, Checkpoint("segment", 0, 10, DAY))
    ledger.add(rows, Checkpoint("segment", 10, 20, DAY))
    for start in (0, 10, 30):
        with pytest.raises(DuplicateCheckpoint):
            ledger.add(rows, Checkpoint("segment", start, 40, DAY))
    assert (ledger.count(), ledger.stored_bytes("segment")) == (2, 20)


def test_a_rejected_record_does_not_block_the_others(make_writer, tmp_path, caplog):
    ledger = Ledger(tmp_path / "ledger.db")
    writer = make_writer(ledger)
    writer.append([score("before")], SOURCE)
    writer.append([score("bad", band=None)], SOURCE)
    writer.append([score("after")], SOURCE)
    writer.start()
    writer.close(10)
    assert stored(ledger) == ["before", "after"]
    assert '"bad"' in (tmp_path / "wal/rejected.records").read_text()
    assert "rejects a record" in caplog.text


@pytest.mark.parametrize("missing_bytes", [1, 40, 400])
def test_a_torn_record_was_never_acknowledged_and_is_skipped(make_writer, tmp_path, missing_bytes):
    ledger = Ledger(tmp_path / "ledger.db")
    writer = make_writer(ledger)
    writer.append([score("complete")], SOURCE)
    writer.append([score("torn"), score("torn too")], SOURCE)
    writer.write_ahead_log.close(empty=False)
    (file,) = (tmp_path / "wal").glob("*.jsonl")
    file.write_bytes(file.read_bytes()[:-missing_bytes])
    assert recover(ledger, tmp_path / "wal") == 1
    assert stored(ledger) == ["complete"]


def test_a_corrupt_segment_is_set_aside_and_blocks_no_other(make_writer, tmp_path, caplog):
    ledger, folder = Ledger(tmp_path / "ledger.db"), tmp_path / "wal"
    writer = make_writer(ledger)
    for name in ("complete", "lost", "behind the hole"):
        writer.append([score(name)], SOURCE)
    writer.write_ahead_log.close(empty=False)
    (file,) = folder.glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b"\0" * len(lines[2] + lines[3]), *lines[4:]]))
    other = make_writer(ledger)
    other.append([score("of another process")], SOURCE)
    other.write_ahead_log.close(empty=False)
    assert recover(ledger, folder) == 3
    assert sorted(stored(ledger)) == ["behind the hole", "complete", "of another process"]
    assert set(file.with_suffix(".corrupt").read_bytes()) <= {0, 10}
    assert "corrupt" in caplog.text
    assert recover(ledger, folder) == 0


def test_a_log_of_many_segments_is_stored_in_order(make_writer, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.ledger.write_ahead_log.SEGMENT_BYTES", 1_000)
    monkeypatch.setattr("serving.ledger.write_ahead_log.READ_BYTES", 300)
    ledger = Ledger(tmp_path / "ledger.db")
    writer = make_writer(ledger)
    for n in range(30):
        writer.append([score(f"a{n}")], SOURCE)
    assert len(list((tmp_path / "wal").glob("*.jsonl"))) > 3
    writer.start()
    writer.close(10)
    assert stored(ledger) == [f"a{n}" for n in range(30)]


APPEND_UNTIL_KILLED = """
    import sys
    from pathlib import Path
    from configs.sections.stores import LedgerSettings
    from serving.ledger.ledger import Ledger
    from serving.ledger.writer import LedgerWriter
    from tests.support.ledger_rows import DAY, SOURCE, score
    writer = LedgerWriter(Ledger(Path(sys.argv[1])), Path(sys.argv[2]), LedgerSettings(), lambda: DAY)
    writer.start()
    for n in range(1_000_000):
        writer.append([score(f"a{n}")], SOURCE)
        sys.stdout.write(f"a{n}\\n"); sys.stdout.flush()
"""


@pytest.mark.parametrize("acknowledged", [1, 300, 3_000])
def test_a_killed_process_loses_no_acknowledged_risk(tmp_path, acknowledged):
    file, folder = tmp_path / "ledger.db", tmp_path / "wal"
    command = [sys.executable, "-c", textwrap.dedent(APPEND_UNTIL_KILLED), str(file), str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        account_ids = [process.stdout.readline().strip() for _ in range(acknowledged)]
        os.kill(process.pid, signal.SIGKILL)
        account_ids += [line.strip() for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    ledger = Ledger(file)
    recover(ledger, folder)
    recovered = stored(ledger)
    assert recovered[: len(account_ids)] == account_ids
    assert len(recovered) <= len(account_ids) + 1  # the risk that was recorded while the process was killed
    assert list(folder.glob("*.jsonl")) == []


def test_the_log_of_a_running_process_is_not_touched(make_writer, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    writer = make_writer(ledger)
    writer.append([score("a")], SOURCE)
    assert recover(ledger, tmp_path / "wal") == 0
    writer.start()
    writer.close(10)
    assert stored(ledger) == ["a"]


def test_a_full_disk_refuses_responses_until_there_is_room(make_writer, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    writer = make_writer(ledger)
    writer.append([score("before")], SOURCE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))  # in the middle of the next record
    try:
        with pytest.raises(LedgerBacklogFull, match="cannot be recorded") as refused:
            writer.append([score("during")], SOURCE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (refused.value.status, writer.refused_responses) == (503, 1)
    writer.append([score("after")], SOURCE)
    writer.start()
    writer.close(10)
    assert stored(ledger) == ["before", "after"]
