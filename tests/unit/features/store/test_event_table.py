"""The event table: every account has the events that the raw tables give, and a file that cannot be read is named."""

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from configs.errors import DamagedState, NotReady
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.ingestion.reader import open_tables
from features.store.events.account_event import AccountEvent
from features.store.events.account_events import AccountEvents
from features.store.events.event_table import SCHEMA, EventSource, EventTable, write_event_table
from features.store.events.raw_events import open_raw_events
from features.tables.dataset import read_dataset

DAY = datetime(2023, 6, 1)
SOURCE = EventSource(DAY, "content")


def batch(*account_ids: str) -> pa.RecordBatch:
    """An event of each of these accounts; the later in the list, the earlier it happened."""
    events = [
        {"account_id": account_id, "at": DAY - timedelta(days=day), "family": "plays", "text": str(day)}
        for day, account_id in enumerate(account_ids)
    ]
    return pa.RecordBatch.from_pylist([event | {"is_marked": False} for event in events], SCHEMA)


@pytest.mark.parametrize(
    ("account_id", "texts"),
    [("a", ["0", "1"]), ("b", ["2", "0", "1", "0"]), ("c", ["1"]), ("aa", []), ("", []), ("z", [])],
)
def test_an_account_is_read_from_all_groups_that_have_it(tmp_path: Path, account_id: str, texts: list[str]):
    file = tmp_path / "events.parquet"
    write_event_table(file, SOURCE, [batch("a", "a", "b"), batch("b", "b"), batch("b", "c")])
    assert [event.text for event in EventTable(file).read(account_id)] == texts
    assert EventTable(file).source == SOURCE


def test_an_event_is_read_as_it_was_written(tmp_path: Path):
    write_event_table(tmp_path / "events.parquet", SOURCE, [batch("a")])
    assert EventTable(tmp_path / "events.parquet").read("a") == [AccountEvent(DAY, "plays", "0", False)]


def test_only_the_newest_1000_events_are_read(tmp_path: Path):
    write_event_table(tmp_path / "events.parquet", SOURCE, [batch(*["a"] * 1_001)])
    events = EventTable(tmp_path / "events.parquet").read("a")
    assert (len(events), events[0].text) == (1_000, "0")


def test_a_company_without_events_has_an_empty_table(tmp_path: Path):
    write_event_table(tmp_path / "events.parquet", SOURCE, [])
    assert EventTable(tmp_path / "events.parquet").read("a") == []


def test_a_missing_table_and_a_damaged_one_say_what_to_do(tmp_path: Path):
    file = tmp_path / "events.parquet"
    with pytest.raises(NotReady, match="not been published"):
        EventTable(file)
    file.write_text("not Parquet")
    with pytest.raises(DamagedState, match="cannot be read") as error:
        EventTable(file)
    assert "oarlock publish" in error.value.hint


def rows_of(account_id: str, number: int) -> dict[str, list[dict]]:
    """Rows of every table with events of an account, with what is not known yet on the day."""
    started, soon = datetime(2023, 1, 1) + timedelta(days=number), DAY + timedelta(days=number)
    ids = {"account_id": account_id}
    return {
        "accounts": [ids | {"created_at": started}],
        "subscriptions": [
            ids | {"subscription_id": f"{account_id}-{term}", "plan": "pro", "mrr": 90.0 + number}
            | {"started_at": started + timedelta(days=30 * term), "ended_at": started + timedelta(days=30 * (term + 1))}
            for term in range(number + 1)
        ],
        "tickets": [ids | {"ticket_id": account_id, "opened_at": started, "resolved_at": soon, "csat": 2.0}],
        "invoices": [ids | {"invoice_id": account_id, "issued_at": started, "due_at": soon, "amount": 9.5}],
        "milestones": [ids | {"milestone": "first_report", "reached_at": started}],
        "notices": [ids | {"notified_at": started, "effective_at": soon, "reason": "price"}],
        "surveys": [ids | {"sent_at": started, "answered_at": started, "score": 7.0, "kind": "nps"}],
    }  # fmt: skip


ACCOUNTS = ["a", "b'", "ü", "Ā", "no events"]


def test_all_accounts_have_the_events_that_the_raw_tables_give(make_company):
    tables: dict[str, list[dict]] = {}
    for number, account_id in enumerate(ACCOUNTS[:-1]):
        for name, rows in rows_of(account_id, number).items():
            tables.setdefault(name, []).extend(rows)
    settings = read_settings(make_company(**tables))
    state = open_state_dir(settings)
    dataset = read_dataset(settings.data, settings.signals)
    open_tables(settings.engine, dataset, state.converted)
    events = AccountEvents(settings, state)
    events.open("1")
    from_raw_tables = {account_id: events.read(account_id, DAY, "1") for account_id in ACCOUNTS}

    write_event_table(
        state.event_table(DAY), SOURCE, open_raw_events(settings.engine, dataset, state.converted).of_all(DAY)
    )
    for file in (settings.data.dataset.parent / "data").glob("*.parquet"):
        file.unlink()  # so that only the event table can be read
    assert {account_id: events.read(account_id, DAY, "1") for account_id in ACCOUNTS} == from_raw_tables
    assert len(from_raw_tables["Ā"]) > len(from_raw_tables["a"]) > len(from_raw_tables["no events"]) == 0
