"""Tries of own signals on generated tables; the test's name completes "it ..."."""

from pathlib import Path

import pytest

from configs.errors import ConfigError
from configs.sections.signals import AttributeSettings, EventSignalSettings, SignalSettings
from features.own_signals.own_catalogue import build_catalogue, own_signals_of
from features.own_signals.signal_trials import TrialResult, try_signals
from features.own_signals.trial_engines import EngineKind
from features.tables.own_contract import extend_contract
from tests.support.companies.two_engines import needs_spark

HEAD = "import ibis\n\nfrom features.signals.base import signal\n\n"


def try_settings(settings: SignalSettings, engine: EngineKind = "duckdb") -> TrialResult:
    contract = extend_contract(settings.attributes)
    return try_signals(*own_signals_of(build_catalogue(settings, ("open",), contract)), contract, engine)


def write_module(folder: Path, body: str, unit: str = "events") -> SignalSettings:
    file = folder / "my_signals.py"
    file.write_text(f'{HEAD}@signal(unit="{unit}", family="adoption")\n{body}')
    return SignalSettings(modules=(file,))


def test_declared_signals_hold():
    events = EventSignalSettings(
        name="exports", event=("csv",), measures=("count", "users", "days_since", "trend", "share")
    )
    attributes = (
        AttributeSettings(name="grade", kind="category"),
        AttributeSettings(name="seat_limit", kind="number", by_time=True),
        AttributeSettings(name="beta", kind="flag", by_time=True),
    )
    result = try_settings(SignalSettings(events=(events,), attributes=attributes, per_event_kind=1))
    assert (len(result.signals), result.faults, result.empty) == (13 + 3 + 5, (), ())


GOOD = '''
def exports(usage):
    """Exports ever."""
    return usage.quantity.sum(where=usage.event == "csv")
'''
NOT_PER_ACCOUNT = '''
def share_of_all(usage):
    """Events as a share of those of all accounts."""
    everybody = usage.aggregate(total=usage.quantity.sum()).total.as_scalar()
    return usage.quantity.sum() / everybody
'''
ROW_ORDER = '''
def first_event(usage):
    """The quantity of the first row."""
    return usage.quantity.first()
'''
PEEKS = '''
def all_events(usage):
    """Events at any time."""
    import ibis.expr.operations as ops

    uncut = usage.op().find(ops.DatabaseTable)
    return uncut[0].to_expr().count().as_scalar() + usage.count() if uncut else usage.count()
'''
CLOCK = '''
def recent_events(usage):
    """Events since the spring of 2024."""
    return usage.count(where=usage.occurred_at >= ibis.timestamp("2024-03-01"))
'''


def test_each_broken_signal_is_refused_in_one_sentence(tmp_path: Path):
    head = '\n@signal(unit="events", family="adoption")'
    module = write_module(tmp_path, head.join((GOOD, NOT_PER_ACCOUNT, ROW_ORDER, PEEKS, CLOCK)))
    sentences = [fault.sentence for fault in try_settings(module).faults]
    assert [sentence.partition(": it is ")[0] for sentence in sentences] == [
        "'share_of_all' is not per account",
        "'first_event' depends on the order of rows",
        "'all_events' peeks at the future",
        "'recent_events' depends on a fixed date, or on today's",
    ]
    assert [sentence.count(". ") for sentence in sentences] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def f(usage):\n    return usage.count()\n", "'f' has no docstring"),
        ('def f(usagee):\n    """F."""\n    return usagee.count()\n', "'f' reads 'usagee', which is neither"),
        ('def f(usage, tickets):\n    """F."""\n    return usage.count()\n', "'f' reads a table and something else"),
        ('def f(usage):\n    """F."""\n    return usage.qty.sum()\n', "'f' fails: .*qty"),
        ('def f(usage):\n    """F."""\n    return usage.quantity\n', "'f' gives a value per row, not one per account"),
        ('def f(usage):\n    """F."""\n    return 1\n', "'f' gives int, not a value of its input"),
        (
            'def f(usage):\n    """F."""\n    return usage.count() + ibis.memtable({"a": [1]}).a.sum().as_scalar()\n',
            "'f' peeks at rows that nothing cuts in time",
        ),
        ("def f(usage):\n    return (\n", "my_signals.py fails.*was never closed"),
    ],
)
def test_what_a_publish_could_not_compute_is_refused_when_it_is_read(tmp_path: Path, body: str, message: str):
    with pytest.raises(ConfigError, match=message):
        build_catalogue(write_module(tmp_path, body))


WHOLE_NUMBERS = '''
def whole_thirds(usage):
    """A third of the events, as a whole number."""
    return (usage.quantity.sum() / 3).cast("int64")
'''
NOT_ON_SPARK = '''
def latest_quarter_day(usage):
    """The latest quarter of a day with usage."""
    return usage.occurred_at.bucket(hours=6).max().epoch_seconds()
'''


@pytest.mark.slow
@needs_spark
def test_spark_is_tried_and_compared(tmp_path: Path):
    head = '\n@signal(unit="events", family="adoption")'
    module = write_module(tmp_path, head.join((GOOD, ROW_ORDER, WHOLE_NUMBERS, NOT_ON_SPARK)))
    result = try_settings(module, "spark")
    assert [fault.sentence.partition(":")[0] for fault in result.faults] == [
        "'first_event' depends on the order of rows",
        "'whole_thirds' differs on Spark",
        "'latest_quarter_day' cannot be computed on Spark",
    ]
