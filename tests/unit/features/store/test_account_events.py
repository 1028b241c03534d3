"""The events of an account: what was known before an instant, newest first, and nothing of other accounts."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from configs.errors import DataError, NotReady
from configs.files import remove_unread
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.ingestion.reader import open_tables
from features.store.events.account_event import AccountEvent
from features.store.events.account_events import AccountEvents
from features.store.events.event_table import SCHEMA, EventSource, write_event_table
from features.tables.dataset import read_dataset

LATER, EARLIER = datetime(2023, 6, 1), datetime(2023, 3, 5)


def started(account: str, number: int, since: datetime, until: datetime | None) -> dict:
    return {
        "account_id": account, "subscription_id": f"s{number}", "plan": "pro", "mrr": 90.0,
        "started_at": since, "ended_at": until,
    }  # fmt: skip


@pytest.fixture
def events(make_company: Callable[..., Path]) -> AccountEvents:
    renewed = datetime(2023, 4, 1)
    opened = {"account_id": "a", "ticket_id": "1", "opened_at": datetime(2023, 3, 1), "severity": "high"}
    config = make_company(
        accounts=[{"account_id": name, "created_at": datetime(2023, 1, 1)} for name in ("a", "b'")],
        subscriptions=[
            started("a", 1, datetime(2023, 1, 1), renewed),
            started("a", 2, renewed, None),
            started("b'", 3, datetime(2023, 2, 1), None),
        ],
        tickets=[{**opened, "kind": "how_to", "resolved_at": datetime(2023, 3, 9), "csat": 2.0}],
    )
    settings = read_settings(config)
    events = AccountEvents(settings, open_state_dir(settings))
    events.open("1")
    return events


def texts(events: list[AccountEvent]) -> list[str]:
    return [f"{event.at:%m-%d} {event.family}: {event.text}" for event in events]


def test_what_happened_is_newest_first(events: AccountEvents):
    assert texts(events.read("a", LATER, "1")) == [
        "04-01 contract: pro renewed: 90 a month",
        "03-09 support: high how to ticket resolved, rated 2 of 5",
        "03-01 support: high how to ticket opened",
        "01-01 contract: pro began: 90 a month",
    ]


def test_what_was_not_known_yet_is_left_out(events: AccountEvents):
    assert texts(events.read("a", EARLIER, "1")) == [
        "03-01 support: high how to ticket opened",
        "01-01 contract: pro began: 90 a month",
    ]


def test_an_account_has_its_own_events_alone(events: AccountEvents):
    assert texts(events.read("b'", LATER, "1")) == ["02-01 contract: pro began: 90 a month"]
    assert events.read("nobody", LATER, "1") == []


def test_renewals_are_marked_and_tickets_are_not(events: AccountEvents):
    assert [event.is_marked for event in events.read("a", LATER, "1")] == [True, False, False, True]


def test_a_file_that_is_gone_is_an_error_that_says_so(events: AccountEvents, tmp_path: Path):
    events.read("a", LATER, "1")
    (tmp_path / "data/tickets.parquet").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        events.read("a", LATER, "1")


def test_a_published_day_is_read_from_the_event_table_and_others_from_the_raw_tables(events: AccountEvents, tmp_path):
    table = tmp_path / "state/acme/events/2023-06-01.parquet"
    row = {"account_id": "a", "at": LATER, "family": "plays", "text": "published", "is_marked": True}
    write_event_table(table, EventSource(LATER, ""), [pa.RecordBatch.from_pylist([row], SCHEMA)])
    assert texts(events.read("a", LATER, "1")) == ["06-01 plays: published"]
    assert len(events.read("a", EARLIER, "1")) == 2

    write_event_table(table, EventSource(LATER, ""), [pa.RecordBatch.from_pylist([row | {"text": "again"}], SCHEMA)])
    assert texts(events.read("a", LATER, "1")) == ["06-01 plays: again"]
    table.unlink()
    assert len(events.read("a", LATER, "1")) == 4
    assert not [link for link in Path("/proc/self/fd").iterdir() if str(table) in os.path.realpath(link)]


CREATED = {"account_id": "a", "created_at": datetime(2023, 1, 1)}
USED = {"account_id": "a", "occurred_at": datetime(2023, 2, 1), "event": "login"}
REACHED = {"account_id": "a", "milestone": "first_report", "reached_at": datetime(2023, 2, 1)}


@pytest.mark.parametrize(
    ("tables", "expected"),
    [({"usage": [USED]}, []), ({"milestones": [REACHED]}, ["02-01 onboarding: reached: first report"])],
)
def test_tables_without_subscriptions_have_the_events_they_have(make_company, tables: dict, expected: list[str]):
    settings = read_settings(make_company(accounts=[CREATED], **tables))
    events = AccountEvents(settings, open_state_dir(settings))
    events.open("1")
    assert texts(events.read("a", LATER, "1")) == expected


@pytest.mark.parametrize("amount", [1e300, float("inf"), float("nan"), None])
def test_an_amount_that_is_no_whole_number_is_a_question_mark(make_company, amount: float | None):
    invoice = {"account_id": "a", "invoice_id": "1", "issued_at": datetime(2023, 2, 1), "due_at": None}
    settings = read_settings(make_company(accounts=[CREATED], invoices=[invoice | {"amount": amount}]))
    events = AccountEvents(settings, open_state_dir(settings))
    events.open("1")
    assert texts(events.read("a", LATER, "1")) == ["02-01 billing: invoice of ? issued"]


def test_tables_that_could_not_be_opened_are_opened_again(make_company):
    settings = read_settings(make_company(accounts=[CREATED], milestones=[REACHED]))
    state = open_state_dir(settings)
    events, spill = AccountEvents(settings, state), state.folder / "spill"
    spill.write_text("not a folder")
    with pytest.raises(DataError, match="cannot be read"):
        events.open("1")
    spill.unlink()
    events.open("1")
    assert len(events.read("a", LATER, "1")) == 1


def test_csv_files_are_read_once_they_are_converted_and_kept_while_they_are_read(make_company, tmp_path: Path):
    settings = read_settings(make_company(accounts=[CREATED], milestones=[]))
    (tmp_path / "data/milestones.csv").write_text("account_id,milestone,reached_at\na,first_report,2023-02-01\n")
    mapping = settings.data.dataset
    mapping.write_text(mapping.read_text().replace("milestones.parquet", "milestones.csv"))
    state = open_state_dir(settings)
    events = AccountEvents(settings, state)
    with pytest.raises(NotReady, match="not converted"):
        events.open("1")
    assert not list(state.converted.glob("*/*.parquet"))
    conversion = open_tables(settings.engine, read_dataset(settings.data), state.converted).conversion
    events.open("1")
    assert conversion.lock
    conversion.lock.close()
    assert remove_unread(state.converted) == 0
    assert len(events.read("a", LATER, "1")) == 1
