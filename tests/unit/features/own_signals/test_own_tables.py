"""Tables of one's own and signals in Python over them, from files to a published day."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.errors import ConfigError
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.compute.compute import ComputeRequest, compile_signals
from features.own_signals.own_catalogue import open_catalogue, own_signals_of
from features.own_signals.signal_trials import try_signals
from features.publishing.open_dataset import open_dataset
from features.tables.mapping import company_contract

AS_OF = datetime(2024, 5, 15)
MAPPING = """
name = "acme"
folder = "."
[sources]
accounts = "accounts.parquet"
subscriptions = "subscriptions.parquet"
phone = "phone.parquet"
[tables.calls]
select = "select account_id, id as call_id, called_at, minutes, closed_at, due_at, recorded_at from phone"
key = ["call_id"]
time = "called_at"
[tables.calls.columns]
call_id = "text"
called_at = "instant"
minutes = "number"
closed_at = "instant"
due_at = { type = "instant", planned = true }
"""
SIGNALS = '''
from features.signals.base import signal

@signal(unit="minutes", days=(28,), empty=0, family="relationship")
def call_minutes(calls, days):
    """Minutes of calls in the last {days} days."""
    return calls.minutes.sum(where=calls.days_ago <= days)

@signal(unit="calls", family="relationship")
def open_calls(calls):
    """Calls that are not closed."""
    return calls.count(where=calls.closed_at.isnull())

@signal(unit="days", family="relationship")
def next_call_due(calls):
    """Days until the next call is due."""
    return (-calls.due_at_age).min()

@signal(unit="MRR per minute", days=(28,), family="relationship")
def mrr_per_call_minute(mrr, call_minutes, days):
    """MRR per minute of calls in the last {days} days."""
    return mrr / call_minutes.nullif(0)
'''


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2024, 5, number, hour)


@pytest.fixture
def company(tmp_path: Path) -> Settings:
    """Three calls known before `AS_OF`, one of which is closed later, and two that are not known then."""
    tables = {
        "accounts": [{"account_id": "a", "created_at": datetime(2023, 1, 1)}],
        "subscriptions": [
            {
                "account_id": "a",
                "subscription_id": "s",
                "mrr": 90.0,
                "started_at": datetime(2023, 1, 1),
                "ended_at": None,
            }
        ],
        "phone": [
            call("1", day(1), 10.0, closed_at=day(2)),
            call("2", day(14, 23), 20.0, closed_at=day(16), due_at=day(18)),
            call("3", datetime(2024, 1, 1), 40.0),
            call("4", day(15), 80.0),
            call("5", day(3), 160.0, recorded_at=day(15)),
        ],
    }
    for name, rows in tables.items():
        schema = pa.schema({n: _type(n) for n in rows[0]})
        pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / f"{name}.parquet")
    (tmp_path / "mapping.toml").write_text(MAPPING)
    (tmp_path / "mine.py").write_text(SIGNALS)
    config = 'state = "state"\n[data]\ndataset = "mapping.toml"\n[signals]\nmodules = ["mine.py"]\n'
    (tmp_path / "acme.toml").write_text(config)
    return read_settings(tmp_path / "acme.toml")


def call(call_id: str, called_at: datetime, minutes: float, **instants: datetime) -> dict:
    row = {"account_id": "a", "id": call_id, "called_at": called_at, "minutes": minutes}
    return row | dict.fromkeys(("closed_at", "due_at", "recorded_at")) | instants


def _type(name: str) -> pa.DataType:
    return pa.float64() if name in {"mrr", "minutes"} else pa.timestamp("us") if name.endswith("_at") else pa.string()


def test_signals_of_own_tables_are_cut_in_time_like_ours(company: Settings):
    data = open_dataset(company, open_state_dir(company))
    signals, names = own_signals_of(data.catalogue)
    rows = compile_signals(data.backend, data.tables, ComputeRequest(signals, [AS_OF]))(AS_OF).to_pylist()
    assert {name: rows[0][name] for name in names} == {
        "call_minutes_28d": 30.0,
        "open_calls": 2.0,  # the second is closed on the day after
        "next_call_due": 3.0,
        "mrr_per_call_minute_28d": 3.0,
    }


def test_signals_of_own_tables_hold_on_generated_tables(company: Settings):
    contract = company_contract(company.data, company.signals)
    result = try_signals(*own_signals_of(open_catalogue(company, open_state_dir(company))), contract)
    assert (len(result.signals), result.faults, result.empty) == (4, (), ())


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("[tables.calls", "[tables.tickets", "'tickets' is a table of the contract"),
        ('time = "called_at"', 'time = "minutes"', "'minutes' is not one of its columns of type instant"),
        ('key = ["call_id"]', 'key = ["id"]', "the key has 'id', which is not one of its columns"),
        ("[tables.calls", "[tables.usage_days", "'usage_days' is a table that signals read already"),
    ],
)
def test_an_own_table_that_cannot_be_used_is_refused(company: Settings, before: str, after: str, message: str):
    file = company.data.dataset
    file.write_text(file.read_text().replace(before, after))
    with pytest.raises(ConfigError, match=message):
        open_catalogue(company, open_state_dir(company))


@pytest.mark.slow
def test_signals_test_says_what_a_signal_does_wrong(company: Settings, oarlock):
    folder = company.data.dataset.parent
    assert oarlock("signals", "test", config=folder / "acme.toml").out == "4 of your 4 signals hold.\n"
    (folder / "mine.py").write_text(
        SIGNALS.replace("calls.minutes.sum(where=calls.days_ago <= days)", "calls.minutes.first()")
    )
    result = oarlock("signals", "test", config=folder / "acme.toml")
    assert "'call_minutes_28d' depends on the order of rows: it is " in result.out
    assert result.code == 2
