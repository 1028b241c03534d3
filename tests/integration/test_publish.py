"""Publishing: a day at a time, safe to stop, to run again, and to correct."""

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
import pytest

from configs.errors import Busy, DataError
from configs.settings import SnapshotSettings
from features.publishing.pipeline import Days, publish
from features.store.feast_store import (
    apply_declarations,
    forget_others,
    open_history,
    open_store,
    read_history,
    read_online,
)
from features.store.history import Edition, complete_days, read_day
from features.store.online_reader import OnlineReader
from features.store.publication import published_edition
from tests.support.growing_company import ACCOUNTS, TODAY, Company, found, rewrite, silent
from training.data.training_set import snapshots_of

TRAINING_DAYS = [datetime(2023, month, 1) for month in range(5, 9)]
BEFORE = datetime(2023, 7, 20)
STEPS = len(TRAINING_DAYS) + 2


class Stopped(Exception):
    """A publish was stopped from outside."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The living company, published once and never changed."""
    company = found(tmp_path_factory.mktemp("published") / "living")
    publish(company.settings, company.state, Days(TODAY), silent)
    return company


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """A company of its own, not published yet."""
    return found(tmp_path / "living")


@pytest.fixture
def own(company: Company) -> Company:
    """A published company of its own, which a test may change."""
    publish(company.settings, company.state, Days(TODAY), silent)
    return company


def _history(company: Company) -> dict[str, str]:
    """A hash of every file of the history that can be read, by its path."""
    place, _ = published_edition(company.state)
    files = (file for day in complete_days(place) for file in sorted((place.folder / f"days/{day:%Y-%m-%d}").iterdir()))
    return {f"{file.parent.name}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _online(company: Company) -> pd.DataFrame:
    store = open_store(company.state, company.settings.name)
    rows = read_online(store, ACCOUNTS)
    return rows.values.assign(as_of=rows.as_of)


def _stops(row: dict) -> dict | None:
    return row if row["occurred_at"] < BEFORE else None


def _stopped_at(company: Company, step: int) -> None:
    """Publish until the progress has been told of this many steps."""
    seen: list[str] = []

    def stop(name: str, done: int, of: int) -> None:  # noqa: ARG001 - a progress takes three
        seen.append(name)
        if len(seen) > step:
            raise Stopped

    with pytest.raises(Stopped):
        publish(company.settings, company.state, Days(TODAY), stop)


def test_a_publish_writes_every_training_day_and_the_day_itself(published: Company):
    place, as_of = published_edition(published.state)
    assert (complete_days(place), as_of) == (TRAINING_DAYS, TODAY)


def test_a_weekly_history_has_every_monday_and_the_day_itself(company: Company):
    weekly = SnapshotSettings(frequency="weekly", warmup_days=190)
    settings = company.settings.model_copy(update={"snapshots": weekly})
    publish(settings, company.state, Days(TODAY), silent)
    place, _ = published_edition(company.state)
    assert complete_days(place) == [*(datetime(2023, 7, day) for day in (10, 17, 24, 31)), TODAY]
    rows = read_history(open_history(company.state, place, settings.name), snapshots_of(place, complete_days(place)))
    assert rows.groupby("as_of").size().tolist() == [len(ACCOUNTS)] * 5
    assert rows.events_7d.notna().all()


def test_publishing_twice_changes_nothing(own: Company):
    before = _history(own), _online(own)
    again = publish(own.settings, own.state, Days(TODAY), silent)
    assert (again.computed, again.reused) == (0, len(TRAINING_DAYS))
    assert _history(own) == before[0]
    pd.testing.assert_frame_equal(_online(own), before[1])


def test_computing_days_again_from_the_same_rows_writes_the_same_bytes(own: Company):
    before = _history(own)
    again = publish(own.settings, own.state, Days(TODAY, first=TRAINING_DAYS[1]), silent)
    assert again.computed == len(TRAINING_DAYS) - 1
    assert _history(own) == before


def test_a_new_day_of_a_living_company_computes_that_day_only(company: Company):
    publish(company.settings, company.state, Days(BEFORE), silent)
    rewrite(company.folder / "usage/07.parquet", lambda row: row)
    assert publish(company.settings, company.state, Days(datetime(2023, 7, 21)), silent).computed == 1


def test_a_correction_reaches_only_the_days_asked_for_and_the_online_store(own: Company):
    before, rows_before = _history(own), _online(own)
    rewrite(own.folder / "usage/07.parquet", lambda row: row | {"quantity": 2 * row["quantity"]})
    assert publish(own.settings, own.state, Days(TODAY), silent).computed == 0
    publish(own.settings, own.state, Days(TODAY, first=TODAY, last=TODAY), silent)
    changed = {name.split("/")[0] for name, content in _history(own).items() if content != before[name]}
    assert changed == {f"{TODAY:%Y-%m-%d}"}
    assert (_online(own).events_28d == 2 * rows_before.events_28d).all()


def test_an_account_that_a_correction_takes_away_is_older_than_the_day_online(own: Company):
    rewrite(own.folder / "subscriptions.parquet", lambda row: None if row["account_id"] == ACCOUNTS[3] else row)
    publish(own.settings, own.state, Days(TODAY, first=TODAY), silent)
    online = _online(own)
    assert online[online.as_of < TODAY].index.tolist() == [3]
    assert np.isnan(online.events_28d[3])


def _without(company: Company, family: str) -> Edition:
    """The history of the company's signals but those of one family."""
    place, _ = published_edition(company.state)
    return replace(place, signals=tuple(one for one in place.signals if one.family != family))


def test_reading_a_history_of_fewer_families_leaves_the_online_store_as_it_is(own: Company):
    before, fewer = _online(own), _without(own, "contract")
    store = open_history(own.state, fewer, own.settings.name)
    assert len(read_history(store, snapshots_of(fewer, [TODAY]))) == len(ACCOUNTS)
    pd.testing.assert_frame_equal(_online(own), before)


def test_a_family_that_is_gone_leaves_the_online_store_once_the_others_are_published(own: Company):
    store = open_store(own.state, own.settings.name)
    apply_declarations(store, _without(own, "contract"), own.state)
    assert OnlineReader(own.state).read(ACCOUNTS[:1]).as_of[0] == np.datetime64(TODAY)  # as it was published
    forget_others(store, _without(own, "contract"))
    with closing(sqlite3.connect(own.state.feast / "packed.db")) as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
    assert tables
    assert not [name for name in tables if name.startswith("contract")]


def test_days_to_compute_again_that_are_no_days_of_the_history_are_refused(own: Company):
    with pytest.raises(DataError, match="No day from 2030-01-01 on"):
        publish(own.settings, own.state, Days(TODAY, first=datetime(2030, 1, 1), last=datetime(2030, 2, 1)), silent)


@pytest.mark.parametrize("step", range(STEPS))
def test_a_publish_stopped_at_any_step_ends_like_one_never_stopped(company: Company, published: Company, step: int):
    _stopped_at(company, step)
    publish(company.settings, company.state, Days(TODAY), silent)
    assert _history(company) == _history(published)
    pd.testing.assert_frame_equal(_online(company), _online(published))


@pytest.mark.slow
@pytest.mark.parametrize("days", range(len(TRAINING_DAYS) + 1))
def test_a_publish_killed_when_so_many_days_were_there_ends_like_one_never_killed(
    company: Company, published: Company, days: int
):
    _kill_when_written(company, days)
    publish(company.settings, company.state, Days(TODAY), silent)
    assert _history(company) == _history(published)
    pd.testing.assert_frame_equal(_online(company), _online(published))


def _kill_when_written(company: Company, days: int) -> None:
    """Run the real command and kill it, without mercy, as soon as this many days can be read."""
    command = [sys.executable, "oarlock.py", "--config", str(company.folder / "living.toml")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.Popen(
        [*command, "publish", "--as-of", f"{TODAY:%Y-%m-%d}"], cwd=Path(__file__).parents[2], env=environment
    )
    while run.poll() is None and len(list(company.state.history.glob("*/days/*"))) < days:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL


def test_a_day_half_written_when_it_was_killed_is_the_old_day_until_it_is_written_again(own: Company):
    before = _history(own)
    place, _ = published_edition(own.state)
    half = place.folder / "written" / f".{TODAY:%Y-%m-%d}"
    shutil.copytree(place.folder / "days" / f"{TODAY:%Y-%m-%d}", half)
    (half / "adoption.parquet").write_bytes(b"half")
    assert _history(own) == before
    publish(own.settings, own.state, Days(TODAY, first=TODAY), silent)
    assert _history(own) == before
    assert not half.exists()


def test_a_second_publish_at_the_same_time_is_refused_and_harms_nothing(own: Company):
    before = _history(own)

    def meanwhile(*_: object) -> None:
        with pytest.raises(Busy, match="Another process is publishing into"):
            publish(own.settings, own.state, Days(TODAY), silent)

    publish(own.settings, own.state, Days(TODAY, first=TODAY), meanwhile)
    assert _history(own) == before


def test_a_source_that_stopped_keeps_the_day_from_being_published(company: Company):
    publish(company.settings, company.state, Days(BEFORE), silent)
    rewrite(company.folder / "usage/07.parquet", _stops)
    with pytest.raises(DataError, match=r"2023-08-01 is not published: usage: 0 rows in the last 7 days") as refusal:
        publish(company.settings, company.state, Days(TODAY), silent)
    assert "--force --reason" in refusal.value.hint
    place, as_of = published_edition(company.state)
    assert as_of == BEFORE
    assert TODAY not in complete_days(place)


def test_a_forced_day_is_published_and_says_why(company: Company):
    publish(company.settings, company.state, Days(BEFORE), silent)
    rewrite(company.folder / "usage/07.parquet", _stops)
    publish(company.settings, company.state, Days(TODAY, forced_because="summer holiday"), silent)
    place, as_of = published_edition(company.state)
    day = read_day(place, as_of)
    assert (as_of, day.forced_because) == (TODAY, "summer holiday")
    assert day.faults[0].startswith("usage: 0 rows")


def test_a_day_that_passes_is_not_called_forced(own: Company):
    publish(own.settings, own.state, replace(Days(TODAY, first=TODAY), forced_because="to be sure"), silent)
    place, as_of = published_edition(own.state)
    assert read_day(place, as_of).forced_because == ""
