"""Background work goes on after any error: it is counted, and takes readiness away while it is down."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from configs.background import DOWN_SECONDS, BackgroundTask, TaskHealth, require_running
from configs.errors import NotReady
from configs.files import write_json
from configs.sections.stores import LedgerSettings
from configs.state_dir import StateDir
from serving.ledger.ledger import Ledger
from serving.ledger.writer import LedgerWriter
from serving.scoring.champion import ChampionProvider
from serving.telemetry.metrics import Metrics
from tests.support.ledger_rows import DAY, SOURCE, score
from tests.support.trained_model import TrainedModel

HALF_WRITTEN = ['{"version": {"na', "", "[]", "{}", '{"version": {"number": "x"}, "folder": 3}']


@pytest.fixture
def stopping() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.02)


def test_a_task_goes_on_after_any_error(stopping):
    outcomes = iter([ValueError("half a file"), KeyError("x"), RuntimeError("?"), None])
    done = threading.Event()

    def work() -> None:
        if error := next(outcomes, None):
            raise error
        done.set()

    task = BackgroundTask("t", work, 0.01)
    task.start(stopping)
    assert done.wait(20)
    wait_for(lambda: task.health.seconds_down() == 0)
    assert (task.health.failures, task.health.error) == (3, "RuntimeError: ?")


def test_a_task_that_is_down_takes_readiness_away_until_it_works():
    health = TaskHealth("keys")
    health.record_failure(ValueError("champion.json cannot be read."))
    require_running([health])  # a moment is no outage
    health.failing_since = time.monotonic() - DOWN_SECONDS - 1
    with pytest.raises(NotReady, match=r"'keys' has failed for 11 seconds: ValueError: champion.json cannot be read\."):
        require_running([health])
    health.record_success()
    require_running([health])


@pytest.mark.usefixtures("in_memory_metrics")
def test_failures_are_counted_in_the_metrics():
    metrics, health = Metrics(list), TaskHealth("keys", failures=2)
    metrics.update_background_metrics([health])
    health.failures = 3
    metrics.update_background_metrics([health])
    assert 'oarlock_background_failures_total{task="keys"} 3.0' in metrics.render().decode()


@pytest.mark.parametrize("spoiled", HALF_WRITTEN)
def test_a_promotion_arrives_after_the_pointer_was_spoiled(trained: TrainedModel, tmp_path, stopping, spoiled):
    state = StateDir(tmp_path)
    for part in ("bundles", "compiled_kernels"):
        getattr(state, part).symlink_to(getattr(trained.state, part))
    content = trained.state.champion_pointer.read_text()
    state.champion_pointer.write_text(content)
    champions = ChampionProvider(state, "crm5")
    task = BackgroundTask("champion", lambda: champions.refresh() and None, 0.01)
    task.attempt()
    task.start(stopping)
    state.champion_pointer.write_text(spoiled)
    wait_for(lambda: task.health.failures > 0)
    assert champions.champion().version.number == 1
    pointer = json.loads(content)
    write_json(state.champion_pointer, {**pointer, "version": {**pointer["version"], "number": 2}})
    wait_for(lambda: champions.champion().version.number == 2 and task.health.seconds_down() == 0)


@pytest.mark.parametrize("spoil", ["header", "score", "count"])
def test_a_spoiled_entry_of_the_live_log_is_set_aside_and_counted(tmp_path: Path, spoil):
    ledger = Ledger(tmp_path / "ledger.db")
    writer = LedgerWriter(ledger, tmp_path / "wal", LedgerSettings(), lambda: DAY)
    for name in ("before", "spoiled", "after"):
        writer.append([score(name)], SOURCE)
    (file,) = (tmp_path / "wal").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    changes = {
        "header": (2, b"\0" * (len(lines[2]) - 1) + b"\n"),
        "score": (3, lines[3].replace(b"0.1", b"0.9")),
        "count": (2, lines[2].replace(b'"lines":1', b'"lines":9')),
    }
    number, changed = changes[spoil]
    file.write_bytes(b"".join([*lines[:number], changed, *lines[number + 1 :]]))
    writer.start()
    wait_for(lambda: writer.backlog_bytes == 0)
    writer.append([score("later")], SOURCE)
    wait_for(lambda: ledger.count() == 3)
    assert (writer.corrupt_records, writer.health.failures) == (1, 0)
    writer.close(10)
    assert stored_ids(ledger) == ["before", "after", "later"]
    assert b'"spoiled"' in file.with_suffix(".corrupt").read_bytes()


def stored_ids(ledger: Ledger) -> list[str]:
    return [str(account_id) for account_id in ledger.served_risks("l", DAY).account_id]
