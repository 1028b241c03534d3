"""Signals of one's own, declared in the settings, on a few rows; the test's name completes "it ..."."""

from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError

from configs.errors import ConfigError
from configs.sections.signals import AttributeSettings, EventSignalSettings, FamilySettings, SignalSettings
from configs.values.currency import AMOUNT_SIGNALS, UNITS
from features.compute.availability import missing_inputs
from features.compute.compute import compute_signals
from features.compute.fingerprints import signal_set
from features.ingestion.reader import cast_tables
from features.ingestion.validation import mark_invalid_rows
from features.own_signals.own_catalogue import build_catalogue
from features.reports.dictionary import dictionary_entries
from features.signals.base import Signal
from features.signals.registry import catalogue
from features.tables.own_contract import extend_contract
from tests.support.companies.raw_tables import account, subscription, unchecked_tables

AS_OF = datetime(2024, 5, 15)
MEASURES = ("count", "users", "days_since", "trend", "share")
EXPORTS = EventSignalSettings(name="exports", event=("csv", "pdf"), windows=(7, 28), measures=MEASURES)
GRADE = AttributeSettings(name="grade", kind="category")
LIMIT = AttributeSettings(name="plan_limit", kind="number", by_time=True, unit="users")
SEVERAL = "account_id + name + recorded_at has several values in value"
REPEATED = "account_id + name + recorded_at is repeated"
BETA = AttributeSettings(name="beta", kind="flag", by_time=True)


def own_signals(settings: SignalSettings, kinds: tuple[str, ...] = ()) -> tuple[Signal, ...]:
    built_in = {signal.name for signal in catalogue()}
    return tuple(signal for signal in build_catalogue(settings, kinds).signals if signal.name not in built_in)


def values(settings: SignalSettings, kinds: tuple[str, ...] = (), **tables: list[dict]) -> dict:
    """The own signals of account `a`, which has had a subscription for 400 days."""
    raw = unchecked_tables(
        extend_contract(settings.attributes, events=settings.events),
        {"subscriptions": [subscription("a", ago(400))], **tables},
    )
    rows = compute_signals(cast_tables(raw), own_signals(settings, kinds), AS_OF).to_pyarrow().to_pylist()
    return {row.pop("account_id"): row for row in rows}["a"]


def ago(days: float) -> datetime:
    return AS_OF - timedelta(days=days)


def use(event: str, days: float, quantity: float = 1.0, user: str = "ada", recorded: float | None = None) -> dict:
    recorded_at = None if recorded is None else ago(recorded)
    row = {"account_id": "a", "user_id": user, "event": event, "occurred_at": ago(days), "quantity": quantity}
    return {**row, "recorded_at": recorded_at}


def attribute(name: str, text: str | None, days: float) -> dict:
    return {"account_id": "a", "name": name, "value": text, "recorded_at": ago(days)}


USAGE = [
    use("csv", 2.5, quantity=3),
    use("pdf", 5, user="ben"),
    use("csv", 10, quantity=2),
    use("open", 3, quantity=4, user="cleo"),
    use("csv", 40, quantity=5, user="dora"),
]


MINUTES = EventSignalSettings(
    name="calls",
    event=("call",),
    windows=(7, 28),
    measures=("count", "sum", "mean"),
    of="minutes",
    unit="min",
    direction=-1,
)


class TestEventAmounts:
    def test_are_added_up_over_the_events_of_the_window(self):
        rows = [
            {**use("call", 2), "minutes": 30.0},
            {**use("call", 5, quantity=3), "minutes": 60.0},
            {**use("call", 6), "minutes": None},
            {**use("call", 20), "minutes": 10.0},
            {**use("open", 3), "minutes": 500.0},
            {**use("call", 40), "minutes": 1000.0},
        ]
        assert values(SignalSettings(events=(MINUTES,)), usage=rows) == {
            "calls_7d": 5,
            "calls_28d": 6,
            "calls_minutes_7d": 90,
            "calls_minutes_28d": 100,
            "calls_minutes_mean_7d": 22.5,
            "calls_minutes_mean_28d": 20,
        }

    def test_are_zero_and_have_no_mean_without_an_event(self):
        rows = [{**use("open", 2), "minutes": 30.0}]
        found = values(SignalSettings(events=(MINUTES,)), usage=rows)
        assert (found["calls_minutes_28d"], found["calls_minutes_mean_28d"]) == (0, None)

    def test_have_the_unit_and_a_label_that_reads_well(self):
        signals = {signal.name: signal for signal in own_signals(SignalSettings(events=(MINUTES,)))}
        total, mean = signals["calls_minutes_28d"], signals["calls_minutes_mean_28d"]
        assert (total.label, total.unit, total.direction) == ("minutes of calls, last 28 days", "min", -1)
        assert (mean.label, mean.direction) == ("minutes by calls, last 28 days", 0)

    def test_need_a_column_and_a_measure_of_it(self):
        with pytest.raises(ValidationError, match="sum needs `of`"):
            EventSignalSettings(name="calls", event=("call",), measures=("sum",))
        with pytest.raises(ValidationError, match="of is for the measures sum and mean"):
            EventSignalSettings(name="calls", event=("call",), of="minutes")

    def test_refuse_a_column_of_the_contract(self):
        declared = EventSignalSettings(name="calls", event=("call",), measures=("sum",), of="quantity")
        with pytest.raises(ConfigError, match=r"signals\.events\.of: 'quantity' is a column of the contract"):
            build_catalogue(SignalSettings(events=(declared,)))


class TestEvents:
    def test_are_counted_by_user_recency_trend_and_share(self):
        assert values(SignalSettings(events=(EXPORTS,)), usage=USAGE) == {
            "exports_7d": 4,
            "exports_28d": 6,
            "exports_users_7d": 2,
            "exports_users_28d": 2,
            "days_since_exports_182d": 2.5,
            "exports_trend_7d": 4 / 2,
            "exports_trend_28d": 6 / 5,
            "exports_share_7d": 4 / 8,
            "exports_share_28d": 6 / 10,
        }

    def test_that_never_happened_are_zero_but_have_no_recency(self):
        found = values(SignalSettings(events=(EXPORTS,)), usage=[use("open", 3)])
        assert (found["exports_7d"], found["exports_users_7d"], found["exports_share_7d"]) == (0, 0, 0)
        assert (found["days_since_exports_182d"], found["exports_trend_7d"]) == (None, None)

    def test_at_as_of_or_recorded_then_do_not_count(self):
        late = [use("csv", 0), use("csv", 1, recorded=0), use("csv", 3, recorded=1)]
        assert values(SignalSettings(events=(EXPORTS,)), usage=late)["exports_7d"] == 1

    def test_of_a_used_kind_get_signals_by_themselves(self):
        found = values(SignalSettings(per_event_kind=2), ("csv", "Open: all"), usage=[*USAGE, use("Open: all", 6)])
        assert found["kind_csv_28d"] == 5
        assert found["kind_open_all_28d"] == 1

    def test_of_kinds_with_like_names_are_told_apart(self):
        names = [signal.name for signal in own_signals(SignalSettings(per_event_kind=2), ("a b", "a-b"))]
        assert len(set(names)) == len(names) == 10

    def test_that_can_only_lower_the_risk_raise_it_with_the_days_since(self):
        fewer = EXPORTS.model_copy(update={"direction": -1})
        directions = {signal.name: signal.direction for signal in own_signals(SignalSettings(events=(fewer,)))}
        assert (directions["exports_28d"], directions["days_since_exports_182d"]) == (-1, 1)


class TestAttributes:
    def test_are_columns_of_accounts(self):
        assert values(SignalSettings(attributes=(GRADE,)), accounts=[account("a", grade="B")]) == {"grade": "B"}

    def test_by_time_have_the_value_recorded_last_before_as_of(self):
        rows = [
            attribute("plan_limit", "5", 90),
            attribute("plan_limit", "20", 10),
            attribute("plan_limit", "50", 0),
            attribute("beta", "True", 3),
        ]
        assert values(SignalSettings(attributes=(LIMIT, BETA)), attributes=rows) == {"plan_limit": 20, "beta": 1}

    def test_by_time_are_empty_once_they_are_cleared(self):
        rows = [attribute("plan_limit", "5", 90), attribute("plan_limit", None, 10)]
        assert values(SignalSettings(attributes=(LIMIT,)), attributes=rows) == {"plan_limit": None}

    def test_by_time_are_empty_if_their_last_instant_has_several_values(self):
        rows = [
            attribute("plan_limit", "5", 90),
            *(attribute("plan_limit", text, 10) for text in ("9", "10")),
            *(attribute("beta", text, 3) for text in ("true", None)),
        ]
        assert values(SignalSettings(attributes=(LIMIT, BETA)), attributes=rows) == {"plan_limit": None, "beta": None}

    @pytest.mark.parametrize(
        ("name", "texts", "breach"),
        [
            ("plan_limit", ("9", "10"), SEVERAL),
            ("plan_limit", ("10", "10.0", "1e1"), REPEATED),
            ("plan_limit", ("-0.0", "0"), REPEATED),
            ("plan_limit", ("10", None), SEVERAL),
            ("plan_limit", (None, None), REPEATED),
            ("beta", ("True", "1"), REPEATED),
            ("beta", ("true", "false"), SEVERAL),
            ("other", ("10", "10.0"), SEVERAL),
            ("other", ("A", "A"), REPEATED),
        ],
    )
    def test_by_time_with_several_values_at_one_instant_are_all_invalid(self, name, texts, breach):
        rows = [attribute(name, text, 9) for text in texts]
        tables = {"accounts": [account("a")], "attributes": [*rows, attribute(name, "1", 8)]}
        marked = mark_invalid_rows(unchecked_tables(extend_contract((LIMIT, BETA)), tables), "attributes")
        breaches = marked["breach"].to_pyarrow().to_pylist()
        assert breaches.count(breach) == (len(texts) if breach == SEVERAL else len(texts) - 1)
        assert breaches.count(None) == len(rows) + 1 - breaches.count(breach)

    def test_by_time_that_are_invalid_do_not_contradict(self):
        rows = [attribute("plan_limit", text, 9) for text in ("many", "10")]
        tables = unchecked_tables(extend_contract((LIMIT,)), {"accounts": [account("a")], "attributes": rows})
        marked = mark_invalid_rows(tables, "attributes")
        assert marked.filter(marked.breach.isnull())["value"].to_pyarrow().to_pylist() == ["10"]

    @pytest.mark.parametrize(("name", "text"), [("plan_limit", "many"), ("plan_limit", "nan"), ("beta", "perhaps")])
    def test_by_time_that_are_no_number_or_flag_are_invalid_rows(self, name: str, text: str):
        rows = {"accounts": [account("a")], "attributes": [attribute(name, text, 9), attribute("other", text, 9)]}
        marked = mark_invalid_rows(unchecked_tables(extend_contract((LIMIT, BETA)), rows), "attributes")
        assert marked.filter(marked.breach.notnull())["name"].to_pyarrow().to_pylist() == [name]

    def test_without_their_column_are_absent_and_named(self):
        settings = SignalSettings(attributes=(GRADE,))
        raw = cast_tables(unchecked_tables(extend_contract(settings.attributes), {"accounts": [account("a")]}))
        missing = missing_inputs(raw, own_signals(settings), "named")
        assert [(entry.inputs, entry.signals) for entry in missing] == [(("accounts.grade",), ("grade",))]

    def test_that_are_categories_have_no_direction(self):
        with pytest.raises(ValidationError, match="'grade' is a category, so it has no direction"):
            AttributeSettings(name="grade", kind="category", direction=1)


class TestCatalogue:
    def test_keeps_the_built_in_signals_as_they_are(self):
        names = {signal.name for signal in catalogue()}
        with_own = build_catalogue(SignalSettings(events=(EXPORTS,), attributes=(GRADE, LIMIT))).signals
        assert signal_set(tuple(signal for signal in with_own if signal.name in names)) == signal_set(catalogue())

    def test_is_another_signal_set_with_another_kind_of_event(self):
        other = EXPORTS.model_copy(update={"event": ("csv",)})
        assert signal_set(own_signals(SignalSettings(events=(EXPORTS,)))) != signal_set(
            own_signals(SignalSettings(events=(other,)))
        )

    def test_leaves_out_excluded_signals_and_those_computed_from_them(self):
        names = {signal.name for signal in build_catalogue(SignalSettings(exclude=("seats", "events"))).signals}
        assert names.isdisjoint({"seats", "seat_utilisation_28d", "events_7d", "events_28d"})
        assert "events_trend_28d" in names

    def test_names_the_currency_of_amounts(self):
        def units(currency: str | None) -> list[str]:
            signals = {signal.name: signal for signal in build_catalogue(SignalSettings(), currency=currency).signals}
            return [signals[name].unit for name in ("mrr", "overdue_amount", "mrr_per_employee", "seats")]

        assert {
            signal.name for signal in build_catalogue(SignalSettings()).signals if signal.unit in UNITS
        } == AMOUNT_SIGNALS
        assert units("EUR") == ["EUR a month", "EUR", "EUR a month per employee", "seats"]
        assert units(None) == ["MRR", "money", "MRR per employee", "seats"]

    def test_lists_own_families_in_the_dictionary(self):
        fit = {"product_fit": FamilySettings(sentence="How well the product fits.")}
        signals = build_catalogue(
            SignalSettings(families=fit, attributes=(GRADE.model_copy(update={"family": "product_fit"}),))
        ).signals
        assert [entry.name for entry in dictionary_entries(signals)["product_fit"]] == ["grade"]

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"attributes": [GRADE, GRADE]}, "your signal 'grade' has the name of another one of yours"),
            ({"attributes": [{"name": "mrr", "kind": "number"}]}, "'mrr' has the name of a built-in signal"),
            ({"attributes": [{"name": "usage", "kind": "number"}]}, "your signal 'usage' has the name of a table"),
            ({"attributes": [{"name": "country", "kind": "category"}]}, "'country' is a column of the contract"),
            ({"attributes": [{"name": "parent_id", "kind": "category"}]}, "'parent_id' is a column of the contract"),
            ({"events": [EXPORTS.model_copy(update={"family": "fun"})]}, "the family 'fun', which does not exist"),
            ({"exclude": ["exportz"]}, "there is no signal 'exportz'"),
        ],
    )  # fmt: skip
    def test_refuses_what_cannot_be_used(self, settings: dict, message: str):
        with pytest.raises(ConfigError, match=message):
            build_catalogue(SignalSettings.model_validate(settings))
