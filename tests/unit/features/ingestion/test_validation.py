"""Validation: words, ranges and keys of the contract as data; what is set aside is chosen once, whatever the order."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from configs.sections.publishing import EngineSettings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.compute.backends.base import Backend
from features.compute.backends.duckdb import open_duckdb
from features.compute.fingerprints import rules_version
from features.ingestion import validation
from features.ingestion.reader import cast_tables
from features.ingestion.validation import RuleViolation, quarantine_rows, raise_for_violations, validate_tables
from features.publishing.open_dataset import OpenDataset, open_dataset
from features.tables.contract import CONTRACT
from features.tables.dataset import Dataset
from features.tables.mapping import DatasetMapping, SourceMapping
from features.tables.raw_table import RawTable
from tests.support.companies.raw_tables import Rows, account, subscription

DAY = datetime(2023, 2, 1)
LATER = datetime(2023, 3, 1)
ACCOUNT_NAMES = [f"A{number}" for number in range(12)]
QUARANTINE = 'on_invalid_rows = "quarantine"\n'
VALID_ROWS = {
    "tickets": {"ticket_id": "t", "opened_at": DAY, "resolved_at": DAY},
    "surveys": {"respondent_id": "r", "kind": "nps", "sent_at": DAY, "answered_at": DAY},
    "touches": {"at": DAY, "kind": "call"},
    "contacts": {"contact_id": "c", "role": "user", "joined_at": DAY},
    "milestones": {"milestone": "live"},
    "usage": {"event": "login", "occurred_at": DAY},
    "invoices": {"invoice_id": "i", "issued_at": DAY},
    "subscriptions": subscription("a", DAY),
    "accounts": account("a"),
}


@dataclass(frozen=True)
class Judged:
    """What is invalid, and the valid rows of each table."""

    violations: tuple[RuleViolation, ...]
    valid: dict[str, Rows]

    def values(self, table: str, column: str) -> list:
        """The values of a column in the valid rows."""
        return [row[column] for row in self.valid[table]]


def _row(table: str, **columns: object) -> dict:
    return {"account_id": "a", **VALID_ROWS[table], **columns}


@pytest.fixture(scope="module")
def backend() -> Backend:
    """An empty database that the tests of this module share."""
    return open_duckdb(EngineSettings(threads=1))


@pytest.fixture
def judge(backend, tmp_path) -> Callable[..., Judged]:
    """Validate tables, given as rows or as parts, and set their invalid rows aside."""

    def judge_tables(**tables: Rows | pa.Table) -> Judged:
        given_tables = {"accounts": [account("a")]} | tables
        files = {name: (Path(f"{name}.parquet"),) for name in given_tables}
        mapping = DatasetMapping(name="acme", sources={name: SourceMapping(files=f"{name}.parquet") for name in files})
        raw = {name: _raw(backend, name, rows) for name, rows in given_tables.items()}
        violations = validate_tables(Dataset(mapping_file=Path("acme.toml"), mapping=mapping, files=files), raw)
        valid = cast_tables(raw) | quarantine_rows(backend, raw, violations, tmp_path)
        return Judged(violations, {name: table.rows.to_pyarrow().to_pylist() for name, table in valid.items()})

    return judge_tables


def _raw(backend: Backend, name: str, rows: Rows | pa.Table) -> RawTable:
    arrow = pa.Table.from_pylist(rows) if isinstance(rows, list) else rows
    arrow = pa.table(
        {
            c: v.cast(pa.string()) if pa.types.is_null(v.type) else v
            for c, v in zip(arrow.column_names, arrow.columns, strict=True)
        }
    )
    assert backend.create_table
    return RawTable(CONTRACT[name], backend.create_table(name, arrow), frozenset(arrow.column_names))


@pytest.mark.parametrize(
    ("table", "column", "written", "word"),
    [
        ("tickets", "severity", "URGENT ", "urgent"),
        ("tickets", "kind", "How To", "how_to"),
        ("tickets", "kind", "Outage", "Outage"),
        ("surveys", "kind", "CSAT", "csat"),
        ("touches", "kind", "In-App", "in_app"),
        ("contacts", "role", "Exec", "exec"),
        ("milestones", "milestone", "First value", "first_value"),
        ("milestones", "milestone", "Data Import", "Data Import"),
    ],
)
def test_a_word_of_the_contract_is_read_however_it_is_written(judge, table, column, written, word):
    judged = judge(**{table: [_row(table, **{column: written})]})
    assert (judged.values(table, column), judged.violations) == ([word], ())


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        ("tickets", {"severity": "P1"}, "severity is none of low, normal, high, urgent"),
        ("contacts", {"role": "janitor"}, "role is none of champion, sponsor, exec, admin, user"),
        ("touches", {"kind": " "}, "kind is empty"),
        ("usage", {"event": "Active Users", "quantity": 3.0}, "event is active_users in another spelling"),
        ("tickets", {"csat": 88.0}, "csat is outside 1 to 5"),
        ("surveys", {"score": 40.0}, "score is outside 0 to 10 for nps"),
        ("surveys", {"score": 9.0, "kind": "CES"}, "score is outside 1 to 7 for ces"),
        ("subscriptions", {"discount": 15.0}, "discount is outside 0 to 1"),
        ("subscriptions", {"seats": -2.0}, "seats is not at least 0"),
        ("subscriptions", {"mrr": -10.0}, "mrr is not at least 0"),
        ("subscriptions", {"term_months": 0.0}, "term_months is not above 0"),
        ("usage", {"quantity": -1.0}, "quantity is not at least 0"),
        ("accounts", {"employees": -5.0}, "employees is not at least 0"),
        ("invoices", {"amount": math.nan}, "amount is NaN or infinite"),
        ("usage", {"quantity": math.inf}, "quantity is NaN or infinite"),
        ("subscriptions", {"mrr": -math.inf}, "mrr is NaN or infinite"),
    ],
)
def test_what_the_contract_does_not_allow_is_refused_with_the_value(judge, table, columns, message):
    (violation,) = judge(**{table: [_row(table, **columns)]}).violations
    error = str(violation)
    assert error.startswith(f"{table} ({table}.parquet): {message} in 1 row (100 % of the table), first: account_id=a")
    column = message.partition(" ")[0]
    assert f"{column}=" in error


def test_numbers_that_are_text_are_judged_like_numbers(judge):
    rows = [subscription(name, DAY, mrr=text) for name, text in [("a", "NaN"), ("b", "-3"), ("c", "much"), ("a2", "3")]]
    judged = judge(accounts=[account(name) for name in ("a", "b", "c", "a2")], subscriptions=rows)
    rules = [violation.rule for violation in judged.violations]
    assert rules == ["mrr is NaN or infinite", "mrr is not a number", "mrr is not at least 0"]
    assert judged.values("subscriptions", "mrr") == [3.0]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("invoices", {"amount": -40.0}),
        ("subscriptions", {"mrr": 0.0, "seats": 0.0, "discount": 1.0, "term_months": 0.5}),
        ("surveys", {"score": 10.0}),
        ("tickets", {"severity": None, "kind": None, "csat": 4.5}),
    ],
)
def test_the_edges_of_the_contract_are_allowed(judge, table, columns):
    assert judge(**{table: [_row(table, **columns)]}).violations == ()


def test_every_kind_of_number_has_a_limit_or_is_an_amount():
    unlimited = {
        f"{table.name}.{name}"
        for table in CONTRACT.values()
        for name, column in table.columns.items()
        if column.type == "number" and not (column.range or column.ranges)
    }
    assert unlimited == {"invoices.amount"}


def test_answers_without_a_respondent_repeat_no_other(judge):
    rows = [_row("surveys", respondent_id=None, score=score) for score in (10.0, 3.0)]
    judged = judge(surveys=[*rows, _row("surveys", score=1.0)])
    assert sorted(judged.values("surveys", "score")) == [1.0, 3.0, 10.0]


def test_words_that_are_read_alike_make_equal_keys(judge):
    rows = [_row("milestones", milestone="live"), _row("milestones", milestone="Live")]
    (violation,) = judge(milestones=rows).violations
    assert "account_id + milestone is repeated in 1 row (50 % of the table)" in str(violation)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"recorded_at": DAY, "amount": 9.0}, {"recorded_at": LATER, "amount": 1.0}),
        ({"recorded_at": None, "paid_at": LATER}, {"recorded_at": DAY, "paid_at": DAY}),
        ({"paid_at": None, "amount": 9.0}, {"paid_at": LATER, "amount": 1.0}),
        ({"amount": 1.0}, {"amount": 9.0}),
        ({"amount": -1.0, "paid_at": datetime(2020, 1, 1)}, {"amount": 1.0}),
    ],
)
def test_of_repeated_rows_the_latest_valid_one_counts(judge, older, newer):
    blank = {"recorded_at": None, "paid_at": None, "amount": 5.0}
    rows = [_row("invoices", **blank | older), _row("invoices", **blank | newer)]
    judged = judge(invoices=rows)
    assert judged.values("invoices", "amount") == [(blank | newer)["amount"]]
    assert judged.values("invoices", "paid_at") == [(blank | newer)["paid_at"]]


CHOICES: dict[str, list] = {
    "account_id": [*ACCOUNT_NAMES, "nobody"],
    "respondent_id": ["r", "r", "s", None],
    "kind": ["nps", "NPS", "csat", "other"],
    "sent_at": [DAY, LATER],
    "answered_at": [DAY, LATER, None],
    "score": [1.0, 7.0, 11.0, math.nan, None],
    "recorded_at": [LATER, None],
}
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("account_id", "respondent_id", "kind")),
        *((name, pa.timestamp("us")) for name in ("sent_at", "answered_at", "recorded_at")),
        ("score", pa.float64()),
    ]
)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_same_rows_are_set_aside_in_any_order_and_split(judge, random: Random, parts: int):
    rows = [{name: random.choice(values) for name, values in CHOICES.items()} for _ in range(400)]
    outcomes = set()
    for _ in range(2):
        random.shuffle(rows)
        split = [pa.Table.from_pylist(rows[part::parts], SCHEMA) for part in range(parts)]
        judged = judge(accounts=[account(name) for name in ACCOUNT_NAMES], surveys=pa.concat_tables(split))
        aside = sum(violation.rows for violation in judged.violations)
        assert len(judged.valid["surveys"]) + aside == len(rows)
        outcomes.add(str(sorted(map(str, judged.valid["surveys"]))))
    assert len(outcomes) == 1


def _open(config) -> OpenDataset:
    read = read_settings(config)
    return open_dataset(read, open_state_dir(read))


def _company(make_company, extra: str = "") -> Path:
    return make_company(extra, accounts=[account("a")], subscriptions=[subscription("a", DAY)])


def test_a_changed_rule_validates_again(make_company, monkeypatch):
    config = _company(make_company)
    assert [_open(config).validation_reused for _ in range(2)] == [False, True]
    monkeypatch.setattr("features.publishing.open_dataset.rules_version", lambda: "stricter")
    assert not _open(config).validation_reused


def test_the_rules_change_their_version_when_a_limit_does(monkeypatch):
    version = rules_version()
    monkeypatch.setattr(validation, "LATEST", "2090-01-01")
    assert rules_version.__wrapped__() != version


def test_only_a_history_that_rows_can_be_set_aside_from_depends_on_the_rules(make_company, monkeypatch):
    def histories() -> list[str]:
        return [_open(_company(make_company, extra)).history.folder.name for extra in ("", QUARANTINE)]

    error, quarantine = histories()
    monkeypatch.setattr("features.publishing.open_dataset.rules_version", lambda: "stricter")
    error_now, quarantine_now = histories()
    assert (error_now == error, quarantine_now == quarantine) == (True, False)


@pytest.mark.parametrize("account_id", ["a\x00", " a", "a ", "a\u0301", "a\n", "\u2028a"])
def test_an_id_that_is_not_in_its_form_is_refused_everywhere(judge, account_id):
    judged = judge(accounts=[account("b"), account(account_id)], tickets=[_row("tickets", account_id=account_id)])
    form = "account_id holds a control character, begins or ends with white space, or is not in the Unicode form NFC"
    assert [violation.rule for violation in judged.violations] == [form, "account_id is not in accounts"]
    assert (judged.values("accounts", "account_id"), judged.values("tickets", "ticket_id")) == (["b"], [])


def test_the_ids_that_are_not_in_accounts_are_listed(judge):
    ids = [f"old{number:02}" for number in range(25)]
    rows = [_row("tickets", account_id=account_id, ticket_id=f"{account_id}-{n}") for account_id in ids for n in (1, 2)]
    (violation,) = judge(accounts=[account("b")], tickets=[*rows, _row("tickets", account_id="b")]).violations
    assert (violation.rows, violation.unknown_accounts, violation.unknown_ids) == (50, 25, tuple(ids))
    assert str(violation).endswith(f"; 25 unknown ids: {', '.join(ids[:20])} and 5 more")
    with pytest.raises(DataError) as raised:
        raise_for_violations((violation,))
    assert "map each old id to the one that is left" in raised.value.hint


@pytest.mark.parametrize("account_id", ["Ünïcode GmbH", "acme.com/eu", "東京", "=cmd|0"])
def test_an_id_in_its_form_is_taken_as_it_is(judge, account_id):
    judged = judge(accounts=[account(account_id)])
    assert (judged.values("accounts", "account_id"), judged.violations) == ([account_id], ())
