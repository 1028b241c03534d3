"""Publishing: one day at a time, and safe to stop, repeat and correct."""

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.errors import Busy, DamagedState, DataError
from configs.sections.publishing import SnapshotSettings
from features.publishing.pipeline import PublishRequest, publish
from features.publishing.source_weeks import NO_ROWS, read_profile, write_profile
from features.store.events.event_table import EventTable
from features.store.feast_store import (
    apply_declarations,
    drop_stale_views,
    open_history_store,
    open_store,
    read_historical_signals,
    read_online_signals,
)
from features.store.history import HistoryVersion, complete_days, published_history, read_day
from features.store.online_reader import OnlineReader
from monitoring.sources.broken_sources import find_broken_sources
from tests.support.companies.growing_company import ACCOUNTS, TODAY, Company, copy_company, create_company, rewrite_rows
from tests.support.progress import ignore_progress
from tests.support.published_state import read_published
from training.data.training_set import snapshots_on

TRAINING_DAYS = [datetime(2023, month, 1) for month in range(5, 9)]
BEFORE = datetime(2023, 7, 20)
STEPS = len(TRAINING_DAYS) + 2


class PublishStopped(Exception):
    """A publish was stopped from outside."""


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """A company of its own, not published yet."""
    return create_company(tmp_path / "growing")


@pytest.fixture(scope="module")
def published_before_once(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A company published on a day in July; no test changes it."""
    company = create_company(tmp_path_factory.mktemp("before") / "growing")
    publish(company.settings, company.state, PublishRequest(BEFORE), ignore_progress)
    return company


@pytest.fixture
def published_before(published_before_once: Company, tmp_path: Path) -> Company:
    """A company of its own that was published on a day in July."""
    return copy_company(published_before_once, tmp_path / "growing")


def _history(company: Company) -> dict[str, str]:
    """A hash of every file of the history that can be read, by its path."""
    history, _ = published_history(company.state)
    files = (
        file for day in complete_days(history) for file in sorted((history.folder / f"days/{day:%Y-%m-%d}").iterdir())
    )
    return {f"{file.parent.name}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _online(company: Company) -> pd.DataFrame:
    store = open_store(company.state, company.settings.name)
    rows = read_online_signals(store, ACCOUNTS)
    return rows.values.assign(as_of=rows.as_of)


def _drop_recent_usage(row: dict) -> dict | None:
    return row if row["occurred_at"] < BEFORE else None


def _publish_until_step(company: Company, step: int) -> None:
    """Publish and stop after this number of progress steps."""
    steps: list[str] = []

    def stop_after_step(name: str, done: int, total: int) -> None:  # noqa: ARG001 - a progress takes three
        steps.append(name)
        if len(steps) > step:
            raise PublishStopped

    with pytest.raises(PublishStopped):
        publish(company.settings, company.state, PublishRequest(TODAY), stop_after_step)


def test_a_publish_writes_all_training_days_and_its_own_day(published_once: Company):
    history, as_of = published_history(published_once.state)
    assert (complete_days(history), as_of) == (TRAINING_DAYS, TODAY)


def test_a_weekly_history_has_all_mondays_and_its_own_day(company: Company):
    weekly = SnapshotSettings(frequency="weekly", warmup_days=190)
    settings = company.settings.model_copy(update={"snapshots": weekly})
    publish(settings, company.state, PublishRequest(TODAY), ignore_progress)
    history, _ = published_history(company.state)
    assert complete_days(history) == [*(datetime(2023, 7, day) for day in (10, 17, 24, 31)), TODAY]
    rows = read_historical_signals(
        open_history_store(company.state, history, settings.name), snapshots_on(history, complete_days(history))
    )
    assert rows.groupby("as_of").size().tolist() == [len(ACCOUNTS)] * 5
    assert rows.events_7d.notna().all()


def test_publishing_twice_changes_nothing(published_company: Company):
    before = _history(published_company), _online(published_company)
    again = publish(published_company.settings, published_company.state, PublishRequest(TODAY), ignore_progress)
    assert (again.computed, again.reused) == (0, len(TRAINING_DAYS))
    assert _history(published_company) == before[0]
    pd.testing.assert_frame_equal(_online(published_company), before[1])


def test_recomputed_days_have_the_same_bytes(published_company: Company):
    before = _history(published_company)
    again = publish(
        published_company.settings,
        published_company.state,
        PublishRequest(TODAY, backfill_from=TRAINING_DAYS[1]),
        ignore_progress,
    )
    assert again.computed == len(TRAINING_DAYS) - 1
    assert _history(published_company) == before


def test_a_new_day_computes_only_that_day(published_before: Company):
    company = published_before
    rewrite_rows(company.folder / "usage/07.parquet", lambda row: row)
    assert (
        publish(company.settings, company.state, PublishRequest(datetime(2023, 7, 21)), ignore_progress).computed == 1
    )


def test_a_backfill_corrects_its_days_and_the_online_store(published_company: Company):
    before, rows_before = _history(published_company), _online(published_company)
    rewrite_rows(published_company.folder / "usage/07.parquet", lambda row: row | {"quantity": 2 * row["quantity"]})
    assert (
        publish(published_company.settings, published_company.state, PublishRequest(TODAY), ignore_progress).computed
        == 0
    )
    publish(
        published_company.settings,
        published_company.state,
        PublishRequest(TODAY, backfill_from=TODAY, backfill_to=TODAY),
        ignore_progress,
    )
    changed = {name.split("/")[0] for name, content in _history(published_company).items() if content != before[name]}
    assert changed == {f"{TODAY:%Y-%m-%d}"}
    assert (_online(published_company).events_28d == 2 * rows_before.events_28d).all()


def test_a_removed_account_is_old_in_the_online_store(published_company: Company):
    rewrite_rows(
        published_company.folder / "subscriptions.parquet",
        lambda row: None if row["account_id"] == ACCOUNTS[3] else row,
    )
    publish(
        published_company.settings, published_company.state, PublishRequest(TODAY, backfill_from=TODAY), ignore_progress
    )
    online = _online(published_company)
    assert online[online.as_of < TODAY].index.tolist() == [3]
    assert np.isnan(online.events_28d[3])


def _history_without(company: Company, family: str) -> HistoryVersion:
    """The company's history without the signals of one family."""
    history, _ = published_history(company.state)
    return replace(history, signals=tuple(signal for signal in history.signals if signal.family != family))


def test_reading_fewer_families_keeps_the_online_store(published_company: Company):
    before, fewer = _online(published_company), _history_without(published_company, "contract")
    store = open_history_store(published_company.state, fewer, published_company.settings.name)
    assert len(read_historical_signals(store, snapshots_on(fewer, [TODAY]))) == len(ACCOUNTS)
    pd.testing.assert_frame_equal(_online(published_company), before)


def test_a_removed_family_leaves_the_online_store(published_company: Company):
    store = open_store(published_company.state, published_company.settings.name)
    apply_declarations(store, _history_without(published_company, "contract"), published_company.state)
    assert OnlineReader(published_company.state).read(ACCOUNTS[:1]).as_of[0] == np.datetime64(
        TODAY
    )  # as it was published
    drop_stale_views(store, _history_without(published_company, "contract"))
    with closing(sqlite3.connect(published_company.state.feast / "packed.db")) as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
    assert tables
    assert not [name for name in tables if name.startswith("contract")]


def test_a_backfill_of_days_not_in_the_history_is_refused(published_company: Company):
    with pytest.raises(DataError, match="no day to backfill from 2030-01-01 on"):
        publish(
            published_company.settings,
            published_company.state,
            PublishRequest(TODAY, backfill_from=datetime(2030, 1, 1), backfill_to=datetime(2030, 2, 1)),
            ignore_progress,
        )


@pytest.mark.parametrize(
    "step", [*(pytest.param(step, marks=pytest.mark.slow) for step in range(STEPS - 1)), STEPS - 1]
)
def test_a_publish_stopped_at_any_step_can_be_finished(company: Company, published_once: Company, step: int):
    _publish_until_step(company, step)
    publish(company.settings, company.state, PublishRequest(TODAY), ignore_progress)
    assert _history(company) == _history(published_once)
    pd.testing.assert_frame_equal(_online(company), _online(published_once))


@pytest.mark.slow
@pytest.mark.parametrize("days", range(len(TRAINING_DAYS) + 1))
def test_a_publish_killed_at_any_day_can_be_finished(company: Company, published_once: Company, days: int):
    _kill_when_written(company, days)
    publish(company.settings, company.state, PublishRequest(TODAY), ignore_progress)
    assert _history(company) == _history(published_once)
    pd.testing.assert_frame_equal(_online(company), _online(published_once))


def _kill_when_written(company: Company, days: int) -> None:
    """Run the real command and kill it as soon as this number of days can be read."""
    command = [sys.executable, "oarlock.py", "--config", str(company.folder / "growing.toml")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.Popen(
        [*command, "publish", "--as-of", f"{TODAY:%Y-%m-%d}"], cwd=Path(__file__).parents[2], env=environment
    )
    while run.poll() is None and len(list(company.state.history.glob("*/days/*"))) < days:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL


def test_a_half_written_day_does_not_replace_the_old_one(published_company: Company):
    before = _history(published_company)
    history, _ = published_history(published_company.state)
    partial_day = history.folder / "written" / f".{TODAY:%Y-%m-%d}"
    shutil.copytree(history.folder / "days" / f"{TODAY:%Y-%m-%d}", partial_day)
    (partial_day / "adoption.parquet").write_bytes(b"half")
    assert _history(published_company) == before
    publish(
        published_company.settings, published_company.state, PublishRequest(TODAY, backfill_from=TODAY), ignore_progress
    )
    assert _history(published_company) == before
    assert not partial_day.exists()


def test_a_second_publish_at_the_same_time_is_refused(published_company: Company):
    before = _history(published_company)

    def publish_again(*_: object) -> None:
        with pytest.raises(Busy, match="Another process is publishing into"):
            publish(published_company.settings, published_company.state, PublishRequest(TODAY), ignore_progress)

    publish(
        published_company.settings, published_company.state, PublishRequest(TODAY, backfill_from=TODAY), publish_again
    )
    assert _history(published_company) == before


def test_a_day_with_a_stopped_source_is_not_published(published_before: Company):
    company = published_before
    rewrite_rows(company.folder / "usage/07.parquet", _drop_recent_usage)
    with pytest.raises(DataError, match=r"2023-08-01 is beyond the data, which end on 2023-07-19") as refusal:
        publish(company.settings, company.state, PublishRequest(TODAY), ignore_progress)
    assert "--as-of 2023-07-20" in refusal.value.hint
    history, as_of = published_history(company.state)
    assert as_of == BEFORE
    assert TODAY not in complete_days(history)


def test_a_day_with_one_stopped_source_is_not_published_and_nothing_is_computed(company: Company):
    rewrite_rows(company.folder / "usage/07.parquet", _drop_recent_usage)
    mapping = company.folder / "company.toml"
    mapping.write_text(f"observed_until = 2023-08-01\n{mapping.read_text()}")
    steps: list[str] = []
    with pytest.raises(DataError, match=r"usage: 0 rows in the last 12 days.* \(the last row is of 2023-07-19\)"):
        publish(company.settings, company.state, PublishRequest(TODAY), lambda *step: steps.append(str(step)))
    assert steps == []


def test_an_accidental_late_day_is_replaced_by_the_next_publish(company: Company):
    late = PublishRequest(datetime(2024, 5, 1), forced_because="a slip")
    assert publish(company.settings, company.state, late, ignore_progress).online == datetime(2024, 5, 1)
    assert publish(company.settings, company.state, PublishRequest(TODAY), ignore_progress).online == TODAY
    assert published_history(company.state)[1] == TODAY


def test_an_earlier_day_goes_online_only_if_asked(published_company: Company):
    settings, state = published_company.settings, published_company.state
    assert publish(settings, state, PublishRequest(BEFORE), ignore_progress).online == TODAY
    assert publish(settings, state, PublishRequest(BEFORE, online=True), ignore_progress).online == BEFORE


def test_days_without_an_account_at_risk_are_skipped_and_named(company: Company):
    file = company.folder / "subscriptions.parquet"
    again = datetime(2023, 6, 15)
    rows = pq.read_table(file).to_pylist()
    rewrite_rows(file, lambda row: row | {"ended_at": datetime(2023, 5, 20)})
    _append_rows(file, [row | {"subscription_id": "again", "started_at": again} for row in rows])
    assert publish(company.settings, company.state, PublishRequest(TODAY), ignore_progress).skipped == ("2023-06-01",)
    with pytest.raises(DataError, match=r"No account is at risk on 2023-06-02\. Publish 2023-05-01 with --as-of\."):
        publish(company.settings, company.state, PublishRequest(datetime(2023, 6, 2)), ignore_progress)


def _append_rows(file: Path, rows: list[dict]) -> None:
    table = pq.read_table(file)
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist(rows, table.schema)]), file)


def test_a_forced_day_is_published_with_its_reason(published_before: Company):
    company = published_before
    rewrite_rows(company.folder / "usage/07.parquet", _drop_recent_usage)
    publish(
        company.settings,
        company.state,
        PublishRequest(TODAY, forced_because="summer holiday"),
        ignore_progress,
    )
    history, as_of = published_history(company.state)
    day = read_day(history, as_of)
    assert (as_of, day.forced_because) == (TODAY, "summer holiday")
    assert day.faults[0].startswith("usage: 0 rows")
    (broken,) = find_broken_sources(history, company.state, as_of, 0.05)
    assert (broken.table, broken.since) == ("usage", TODAY)
    assert broken.text.endswith("; published because: summer holiday")
    assert find_broken_sources(history, company.state, BEFORE, 0.05) == ()


def test_a_day_without_a_column_that_was_published_is_refused(published_company: Company):
    settings, state = published_company.settings, published_company.state
    file, before = published_company.folder / "subscriptions.parquet", read_published(state.folder)
    pq.write_table(pq.read_table(file).drop_columns("seats"), file)
    with pytest.raises(DataError, match=r"subscriptions: subscriptions\.seats is missing, which .* need"):
        publish(settings, state, PublishRequest(TODAY), ignore_progress)
    assert read_published(state.folder) == before
    publish(settings, state, PublishRequest(TODAY, forced_because="seats are no longer sold"), ignore_progress)
    history, as_of = published_history(state)
    assert read_day(history, as_of).faults[0].startswith("subscriptions: subscriptions.seats is missing")


def test_the_profile_of_the_sources_is_stored_without_accounts(published_company: Company):
    state = published_company.state
    weeks = read_profile(state, TODAY)
    assert weeks is not None
    assert weeks["usage"][0].rows >= weeks["usage"][0].accounts > 0
    assert weeks["usage"][0].nulls["account_id"] == 0
    assert weeks["usage"][0].words == {"event": {"login": len(ACCOUNTS)}}
    stored = state.source_profile(TODAY).read_text("utf-8")
    assert not any(f'"{account}"' in stored for account in ACCOUNTS)
    assert read_profile(state, BEFORE) is None


def test_a_damaged_profile_of_the_sources_is_named(company: Company):
    write_profile(company.state, TODAY, {"usage": (NO_ROWS,)})
    file = company.state.source_profile(TODAY)
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(DamagedState, match=r"2023-08-01.json cannot be read: .*oarlock publish"):
        read_profile(company.state, TODAY)


def test_a_day_without_faults_is_not_marked_as_forced(published_company: Company):
    publish(
        published_company.settings,
        published_company.state,
        replace(PublishRequest(TODAY, backfill_from=TODAY), forced_because="to be sure"),
        ignore_progress,
    )
    history, as_of = published_history(published_company.state)
    assert read_day(history, as_of).forced_because == ""


def test_an_event_table_that_is_gone_is_written_by_the_same_publish_again(published_company: Company):
    table = published_company.state.event_table(TODAY)
    began = [event.text for event in EventTable(table).read(ACCOUNTS[0])]
    assert began == ["subscription began: 100 a month"]
    table.unlink()
    publish(published_company.settings, published_company.state, PublishRequest(TODAY), ignore_progress)
    assert [event.text for event in EventTable(table).read(ACCOUNTS[0])] == began


def test_only_the_published_day_has_an_event_table(published_before: Company):
    assert published_before.state.event_table(BEFORE).exists()
    publish(published_before.settings, published_before.state, PublishRequest(TODAY), ignore_progress)
    assert list(published_before.state.event_tables.iterdir()) == [published_before.state.event_table(TODAY)]
