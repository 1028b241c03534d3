"""The ledger: on both databases the same, made safely, and nothing acknowledged is lost or written twice."""

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
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sql

from configs.errors import ConfigError, NotReady
from configs.settings import LedgerSettings
from serving.ledger.database import open_database
from serving.ledger.ledger import Checkpoint, DuplicateCheckpoint, Ledger, rows_from_scores
from serving.ledger.schema import RISKS, SCHEMA
from serving.ledger.writer import LedgerBacklogFull, LedgerWriter, recover_orphaned_segments
from tests.support.ledger_rows import DAY, OF, score
from tests.support.paths import ROOT


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request, tmp_path) -> Iterator[Ledger]:
    """An empty ledger on each database there is."""
    where = tmp_path / "ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    made = Ledger(where)
    yield made
    made.engine.dispose()


@pytest.fixture
def writer(tmp_path) -> Iterator[Callable[..., LedgerWriter]]:
    """Make a writer of a ledger; it is closed after the test."""
    made = []

    def make(ledger: Ledger, **settings) -> LedgerWriter:
        made.append(LedgerWriter(ledger, tmp_path / "journal", LedgerSettings(**settings), lambda: DAY))
        return made[-1]

    yield make
    for one in made:
        one.close(5) if one._thread.is_alive() else None


def stored(ledger: Ledger) -> list[str]:
    """The accounts of every row, in the order they were written."""
    with ledger.engine.connect() as connection:
        return list(connection.execute(sql.select(RISKS.c.account_id).order_by(RISKS.c.id)).scalars())


def test_a_risk_is_read_as_it_was_added(ledger):
    ledger.append([score("a", 0.25), score("ü'\";--", 0.5, revenue={"mrr": None})], OF)
    found = ledger.risks(version=1).sort_values("risk")
    assert found.account_id.tolist() == ["a", "ü'\";--"]
    assert found.risk.tolist() == [0.25, 0.5]
    assert (found.mrr.iloc[0], found.as_of.iloc[0]) == (100.0, DAY)


def test_several_processes_may_open_it_for_the_first_time_at_once(ledger):
    failures = []

    def open_it() -> None:
        try:
            Ledger(ledger.where).append([score("a")], OF)
        except Exception as problem:
            failures.append(problem)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    assert (failures, ledger.count()) == ([], 6)


def test_old_risks_are_pruned(ledger):
    ledger.append([score("old")], {**OF, "given_at": DAY - timedelta(days=400)})
    ledger.append([score("new")], OF)
    assert ledger.prune(DAY - timedelta(days=365)) == 1
    assert stored(ledger) == ["new"]


def test_the_verb_prunes_the_risks_of_the_configured_ledger(oarlock, company, postgres, monkeypatch):
    monkeypatch.setenv("OARLOCK_LEDGER__URL", postgres)
    ledger = Ledger(postgres)
    ledger.append([score("old")], {**OF, "given_at": DAY - timedelta(days=4_000)})
    ledger.append([score("new")], {**OF, "given_at": datetime(2999, 1, 1)})
    told = oarlock("ledger", "prune", "--keep-days", "3650", "--json", config=company(accounts=[{"account_id": "a"}]))
    assert json.loads(told.out) == {"taken_away": 1, "kept": 1}
    assert stored(ledger) == ["new"]


def test_a_database_of_the_first_release_keeps_its_rows(tmp_path):
    file = tmp_path / "ledger.db"
    engine = sql.create_engine(f"sqlite:///{file}")
    RISKS.create(engine)
    with engine.begin() as connection:
        row = {**OF, "account_id": "a", "as_of": DAY, "risk": 0.1, "base": 0.1, "band": "low", "status": "scored"}
        connection.execute(RISKS.insert().values(**row, mrr=None, served="{}"))
    assert stored(Ledger(file)) == ["a"]


def test_a_database_of_a_newer_release_is_refused(ledger):
    with ledger.engine.begin() as connection:
        connection.execute(SCHEMA.update().values(number=99))
    with pytest.raises(ConfigError, match="schema 99"):
        open_database(ledger.where)


@pytest.mark.parametrize("url", ["nonsense", "mongo://host/db"])
def test_a_url_that_names_no_database_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError) as refused:
        open_database(url)
    assert url not in str(refused.value)


def test_a_database_that_is_away_is_not_ready():
    with pytest.raises(NotReady, match="cannot be reached"):
        open_database("postgresql://nobody@127.0.0.1:1/none")


def test_what_was_given_is_in_the_database_after_a_normal_stop(ledger, writer, tmp_path):
    one = writer(ledger)
    one.start()
    for n in range(50):
        one.append([score(f"a{n}"), score(f"b{n}")], OF)
    one.close(10)
    assert stored(ledger) == [f"{x}{n}" for n in range(50) for x in "ab"]
    assert list((tmp_path / "journal").iterdir()) == []
    assert (one.waiting_bytes, one.lag_seconds) == (0, 0.0)


def test_a_reply_that_the_database_could_not_take_in_time_is_recovered_later(writer, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    _ = ledger.engine
    one = writer(ledger)
    with _locked(tmp_path / "ledger.db"):
        one.start()
        one.append([score("a")], OF)
        one.close(0.1)
        assert ledger.count() == 0
    # The process that gave up may come to its end yet, and another recovers what it left: the row is there once.
    recover_orphaned_segments(ledger, tmp_path / "journal", lambda: DAY)
    one._thread.join(10)
    assert stored(ledger) == ["a"]
    assert list((tmp_path / "journal").iterdir()) == []


def test_with_the_database_locked_it_takes_replies_up_to_its_bound_and_then_refuses(writer, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    _ = ledger.engine
    one = writer(ledger, max_backlog_bytes=2_000, backpressure_timeout_seconds=2.5)
    one.start()
    given = 0
    with _locked(tmp_path / "ledger.db"):
        with pytest.raises(LedgerBacklogFull, match="bytes behind") as refused:
            for given in range(1_000):
                one.append([score(f"a{given}")], OF)
        assert 3 < given < 20
        assert (refused.value.status, refused.value.code) == (503, "ledger_behind")
        assert one.lag_seconds > 0
    one.append([score("later")], OF)
    one.close(20)
    assert stored(ledger) == [*(f"a{n}" for n in range(given)), "later"]


def test_a_part_of_a_journal_goes_in_once_whoever_writes_it(ledger):
    rows = rows_from_scores([score("a")], OF)
    ledger.add(rows, Checkpoint("j", 0, 10, DAY))
    ledger.add(rows, Checkpoint("j", 10, 20, DAY))
    for start in (0, 10, 30):
        with pytest.raises(DuplicateCheckpoint):
            ledger.add(rows, Checkpoint("j", start, 40, DAY))
    assert (ledger.count(), ledger.done("j")) == (2, 20)


def test_an_entry_that_the_database_never_takes_does_not_hold_up_the_others(writer, tmp_path, caplog):
    ledger = Ledger(tmp_path / "ledger.db")
    one = writer(ledger)
    one.append([score("before")], OF)
    one.append([score("bad", band=None)], OF)
    one.append([score("after")], OF)
    one.start()
    one.close(10)
    assert stored(ledger) == ["before", "after"]
    assert '"bad"' in (tmp_path / "journal/refused.entries").read_text()
    assert "refuses an entry" in caplog.text


@pytest.mark.parametrize("cut", [1, 40, 400])
def test_a_torn_entry_was_never_acknowledged_and_is_left_out(writer, tmp_path, cut):
    ledger = Ledger(tmp_path / "ledger.db")
    one = writer(ledger)
    one.append([score("whole")], OF)
    one.append([score("torn"), score("torn too")], OF)
    one.journal.close(empty=False)
    (file,) = (tmp_path / "journal").glob("*.jsonl")
    file.write_bytes(file.read_bytes()[:-cut])
    assert recover_orphaned_segments(ledger, tmp_path / "journal", lambda: DAY) == 1
    assert stored(ledger) == ["whole"]


def test_a_journal_with_a_hole_is_kept_aside_and_holds_up_nobody(writer, tmp_path, caplog):
    ledger, folder = Ledger(tmp_path / "ledger.db"), tmp_path / "journal"
    one = writer(ledger)
    for name in ("whole", "lost", "behind the hole"):
        one.append([score(name)], OF)
    one.journal.close(empty=False)
    (file,) = folder.glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b"\0" * len(lines[2] + lines[3]), *lines[4:]]))
    another = writer(ledger)
    another.append([score("of another process")], OF)
    another.journal.close(empty=False)
    assert recover_orphaned_segments(ledger, folder, lambda: DAY) == 1
    assert sorted(stored(ledger)) == ["of another process", "whole"]
    assert "behind the hole" in file.with_suffix(".damaged").read_text("utf-8", "replace")
    assert "damaged" in caplog.text
    assert recover_orphaned_segments(ledger, folder, lambda: DAY) == 0


def test_a_journal_of_many_files_is_emptied_in_order(writer, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.ledger.ledger.write_ahead_log.FILE_BYTES", 1_000)
    monkeypatch.setattr("serving.ledger.ledger.write_ahead_log.READ_BYTES", 300)
    ledger = Ledger(tmp_path / "ledger.db")
    one = writer(ledger)
    for n in range(30):
        one.append([score(f"a{n}")], OF)
    assert len(list((tmp_path / "journal").glob("*.jsonl"))) > 3
    one.start()
    one.close(10)
    assert stored(ledger) == [f"a{n}" for n in range(30)]


GIVE_UNTIL_KILLED = """
    import sys
    from pathlib import Path
    from configs.settings import LedgerSettings
    from serving.ledger import Ledger
    from serving.writer import LedgerWriter
    from tests.given import DAY, OF, score
    one = LedgerWriter(Ledger(Path(sys.argv[1])), Path(sys.argv[2]), LedgerSettings(), lambda: DAY)
    one.start()
    for n in range(1_000_000):
        one.append([score(f"a{n}")], OF)
        sys.stdout.write(f"a{n}\\n"); sys.stdout.flush()
"""


@pytest.mark.parametrize("acknowledged", [1, 300, 3_000])
def test_a_process_killed_at_any_moment_loses_nothing_it_acknowledged(tmp_path, acknowledged):
    file, folder = tmp_path / "ledger.db", tmp_path / "journal"
    command = [sys.executable, "-c", textwrap.dedent(GIVE_UNTIL_KILLED), str(file), str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        given = [process.stdout.readline().strip() for _ in range(acknowledged)]
        os.kill(process.pid, signal.SIGKILL)
        given += [line.strip() for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    ledger = Ledger(file)
    recover_orphaned_segments(ledger, folder, lambda: DAY)
    found = stored(ledger)
    assert found[: len(given)] == given
    assert len(found) <= len(given) + 1  # the one that was given while it was killed
    assert list(folder.glob("*.jsonl")) == []


def test_the_journal_of_a_living_process_is_left_alone(writer, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    one = writer(ledger)
    one.append([score("a")], OF)
    assert recover_orphaned_segments(ledger, tmp_path / "journal", lambda: DAY) == 0
    one.start()
    one.close(10)
    assert stored(ledger) == ["a"]


class _locked:  # noqa: N801 - reads as the sentence it is used in
    """Another process's write lock on a SQLite database."""

    def __init__(self, file: Path) -> None:
        self.connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    def __enter__(self) -> None:
        self.connection.execute("begin immediate")

    def __exit__(self, *_: object) -> None:
        self.connection.execute("rollback")
        self.connection.close()


def test_with_the_disk_full_it_refuses_and_takes_replies_again_once_there_is_room(writer, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    one = writer(ledger)
    one.append([score("before")], OF)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))  # in the middle of the next entry
    try:
        with pytest.raises(LedgerBacklogFull, match="cannot be recorded") as refused:
            one.append([score("during")], OF)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (refused.value.status, one.refused) == (503, 1)
    one.append([score("after")], OF)
    one.start()
    one.close(10)
    assert stored(ledger) == ["before", "after"]
