"""Exports: mapped fields, written to files and Postgres, and the comparison that a dry run prints."""

import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import pyarrow.parquet as pq
import pytest

from configs.errors import ConfigError
from configs.sections.bands import BandSettings
from features.store.account_table import AccountDetails
from serving.exports.field_map import FIELDS, ExportRow, FieldMap, health_score, read_field_map, write_export
from serving.exports.targets import TABLE_COMMENT, ExportExample, FileTarget, TableTarget, compare_export, parse_target
from serving.schemas.responses import ModelDescription
from tests.support.ledger_rows import score
from tests.support.paths import ROOT

BANDS = BandSettings()
MODEL = cast(ModelDescription, {"version": 3, "horizon_days": 90})
NAMES = {"id": "account_id", "health_score": "health", "mrr": "mrr", "next_renewal": "next_renewal"}
MAPPED = FieldMap.model_validate({"fields": NAMES})


def export_row(
    account_id: str, risk: float = 0.1, renews_at: datetime | None = datetime(2024, 3, 1), typical: float = 0.7
) -> ExportRow:
    details = AccountDetails(account_id, owner="olga", renews_at=renews_at)
    seats = {"name": "seats", "points": 0.2, "value": 0.31, "typical": typical, "unit": "share"}
    driver = {"text": "adoption: seats 31 %", "points": 0.2, "signals": [seats]}
    account_score = score(account_id, risk, drivers=[driver])
    return ExportRow(account_score, details, MODEL, BANDS)


def export(file: Path, *accounts: ExportRow) -> Path:
    write_export(file, MAPPED, [accounts[:1], accounts[1:]])
    return file


@pytest.mark.parametrize(("risk", "score"), [(0.0, 10), (0.025, 8.75), (0.05, 7.5), (0.1, 5), (0.2, 2.5), (1.0, 0)])
def test_health_score_falls_with_the_risk(risk, score):
    assert health_score(risk, BANDS) == score


def test_rows_have_the_mapped_names_and_types(tmp_path):
    (row,) = pq.read_table(export(tmp_path / "e.parquet", export_row("a"))).to_pylist()
    assert row == {"id": "a", "health_score": 5.0, "mrr": 100.0, "next_renewal": date(2024, 3, 1)}


def test_without_a_mapping_all_fields_keep_their_names():
    (row,) = read_field_map(None).to_table([export_row("a")]).to_pylist()
    assert list(row) == list(FIELDS)
    assert (row["owner"], row["main_driver"], row["model_version"]) == ("olga", "adoption: seats 31 %", 3)


def test_the_reasons_are_the_drivers_that_stand_out():
    rows = read_field_map(None).to_table([export_row("a"), export_row("b", typical=0.31)]).to_pylist()
    assert [row["drivers"] for row in rows] == ["adoption: seats 31 %", ""]


@pytest.mark.parametrize("name", ["customer_success", "salesforce"])
def test_the_shipped_mappings_are_valid(name):
    assert read_field_map(ROOT / f"configs/exports/{name}.toml").to_table([export_row("a")]).num_rows == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[fields]\nid = "account_id"\nx = "churniness"', "'churniness' is not a field"),
        ('[fields]\nx = "risk"', "exactly one field must be 'account_id'"),
        ("[columns]\n", "fields"),
        ('[fields]\nid = "account_id"\nx = { field = "mrr", unit = "percent" }', "'mrr' is not a share"),
        ('[fields]\nid = "account_id"\nx = { field = "mrr", unit = "euro" }', "as_is"),
        ("[fields", "is not valid TOML"),
    ],
)
def test_an_invalid_mapping_is_refused(tmp_path, text, message):
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_field_map(file)


def test_numbers_are_in_the_unit_and_decimals_of_the_target():
    row = export_row("a", 0.88268)
    row.score["revenue"]["mrr"], row.score["revenue"]["revenue_at_risk"] = 1234.567, 1089.7276
    (exported,) = read_field_map(ROOT / "configs/exports/salesforce.toml").to_table([row]).to_pylist()
    assert (exported["Churn_Risk__c"], exported["Revenue_At_Risk__c"]) == (88.27, 1089.73)
    assert exported["Churn_As_Of__c"] == datetime(2024, 1, 1, tzinfo=UTC)
    (exported,) = read_field_map(ROOT / "configs/exports/customer_success.toml").to_table([row]).to_pylist()
    assert (exported["churn_risk"], exported["mrr"]) == (0.8827, 1234.57)
    (exported,) = read_field_map(None).to_table([row]).to_pylist()
    assert exported["risk"] == 0.88268


def test_an_instant_has_its_zone_in_every_target(target, tmp_path):
    fields = FieldMap.model_validate({"fields": {"id": "account_id", "at": "as_of"}})
    file = tmp_path / "e.parquet"
    write_export(file, fields, [[export_row("a")]])
    target.write(file, "id")
    if isinstance(target, TableTarget):
        with target._connect() as connection:
            ((at,),) = connection.execute("select at from scores").fetchall()
        assert at == datetime(2024, 1, 1, tzinfo=UTC)
    elif target.path.suffix == ".csv":
        assert target.path.read_text() == "id,at\na,2024-01-01T00:00:00Z\n"
    else:
        assert pq.read_schema(target.path).field("at").type.tz == "UTC"
    existing = target.existing(tmp_path / "current.parquet", fields.arrow_schema)
    assert compare_export(existing, file, "id").same == 1


def test_a_table_of_an_older_export_keeps_its_instants_in_utc(postgres, tmp_path):
    url, _, options = postgres.partition("?")
    older = parse_target(f"{url}/scores?{options}")
    assert isinstance(older, TableTarget)
    with older._connect() as connection:
        connection.execute("create table scores (id text primary key, at timestamp)")
        connection.execute(f"comment on table scores is '{TABLE_COMMENT}'")
    fields = FieldMap.model_validate({"fields": {"id": "account_id", "at": "as_of"}})
    file = tmp_path / "e.parquet"
    write_export(file, fields, [[export_row("a")]])
    older.write(file, "id")
    with older._connect() as connection:
        assert connection.execute("select at from scores").fetchall() == [(datetime(2024, 1, 1),)]
    assert compare_export(older.existing(tmp_path / "current.parquet", fields.arrow_schema), file, "id").same == 1


def test_a_first_dry_run_shows_the_rows_that_would_be_written(tmp_path):
    changes = compare_export(None, export(tmp_path / "1.parquet", export_row("b"), export_row("a", 0.2)), "id")
    assert (changes.new, changes.same) == (2, 0)
    content = "id: a, health_score: 2.5, mrr: 100.0, next_renewal: 2024-03-01"
    assert changes.examples[0] == ExportExample("a", "new", content)


@pytest.mark.parametrize("text", ["scores.xlsx", "postgresql://h/table_only", "scores"])
def test_an_invalid_target_is_refused(text):
    with pytest.raises(ConfigError):
        parse_target(text)


@pytest.fixture(params=["parquet", "csv", "postgres"])
def target(request, tmp_path):
    """A target that does not exist yet, of each kind."""
    if request.param != "postgres":
        return parse_target(str(tmp_path / f"out.{request.param}"))
    url, _, options = request.getfixturevalue("postgres").partition("?")
    return parse_target(f"{url}/scores?{options}")


def contents(target) -> dict[str, float]:
    """The health score of each account in the target."""
    if isinstance(target, TableTarget):
        with target._connect() as connection:
            return dict(connection.execute("select id, health_score from scores order by id").fetchall())
    if target.path.suffix == ".csv":
        return {row["id"]: float(row["health_score"]) for row in csv.DictReader(target.path.open())}
    return {row["id"]: row["health_score"] for row in pq.read_table(target.path).to_pylist()}


def test_a_repeated_export_changes_nothing(target, tmp_path):
    first = export(tmp_path / "1.parquet", export_row("a"), export_row("b"), export_row("c", renews_at=None))
    second = export(tmp_path / "2.parquet", export_row("a"), export_row("b", 0.2), export_row("d'\";--", 0.5))
    assert target.existing(tmp_path / "current.parquet", MAPPED.arrow_schema) is None
    target.write(first, "id")
    assert contents(target) == {"a": 5.0, "b": 5.0, "c": 5.0}
    target.write(second, "id")
    target.write(second, "id")
    assert contents(target) == {"a": 5.0, "b": 2.5, "d'\";--": pytest.approx(1.56, abs=0.01)}
    changes = compare_export(target.existing(tmp_path / "current.parquet", MAPPED.arrow_schema), second, "id")
    assert (changes.new, changes.changed, changes.removed, changes.same) == (0, 0, 0, 3)


def test_a_comparison_counts_new_changed_and_removed_rows(target, tmp_path):
    target.write(export(tmp_path / "1.parquet", export_row("a"), export_row("b"), export_row("c")), "id")
    after = export(tmp_path / "2.parquet", export_row("a"), export_row("b", 0.2), export_row("d"))
    changes = compare_export(target.existing(tmp_path / "current.parquet", MAPPED.arrow_schema), after, "id")
    assert (changes.new, changes.changed, changes.removed, changes.same) == (1, 1, 1, 1)
    assert changes.examples[0] == ExportExample("b", "changed", "health_score: 5.0 -> 2.5")
    assert contents(target) == {"a": 5.0, "b": 5.0, "c": 5.0}


def test_an_account_is_removed_from_an_export(target, tmp_path):
    target.write(export(tmp_path / "1.parquet", export_row("a"), export_row("it's")), "id")
    assert [target.remove("it's", "id"), target.remove("it's", "id")] == [1, 0]
    assert contents(target) == {"a": 5.0}


def test_a_table_not_created_by_oarlock_is_not_written_to(postgres, tmp_path):
    url, _, options = postgres.partition("?")
    target = parse_target(f"{url}/customers?{options}")
    assert isinstance(target, TableTarget)
    with target._connect() as connection:
        connection.execute("create table customers (id text primary key, health_score float8)")
    with pytest.raises(ConfigError, match="was not created by Oarlock"):
        target.write(export(tmp_path / "1.parquet", export_row("a")), "id")


@pytest.mark.parametrize(
    ("url", "name", "has_password"),
    [
        ("postgresql://me:hunter2@db:5432/crm/scores", "postgresql://me@db:5432/crm/scores", True),
        ("postgresql://db/crm/scores?password=x&user=me", "postgresql://db/crm/scores?user=me", True),
        ("postgresql://db/crm/scores?sslmode=require", "postgresql://db/crm/scores?sslmode=require", False),
        ("postgresql://me@db/crm/scores", "postgresql://me@db/crm/scores", False),
    ],
)
def test_the_name_of_a_target_has_no_password(url: str, name: str, has_password: bool):
    target = parse_target(url)
    assert isinstance(target, TableTarget)
    assert (target.name, target.has_password) == (name, has_password)


def test_what_is_no_target_is_named_without_its_password():
    with pytest.raises(ConfigError, match=r"^'db/crm/scores' is neither") as refused:
        parse_target("mysql://me:hunter2@db/crm/scores")
    assert "hunter2" not in str(refused.value)


def test_a_target_is_read_from_standard_input_and_a_password_elsewhere_is_warned_of(oarlock, make_company, monkeypatch):
    config = make_company(accounts=[{"account_id": "a"}])
    refused = "postgresql://me:hunter2@127.0.0.1:1/crm/scores"
    shown = oarlock("score", "--all", "--output", refused, config=config)
    monkeypatch.setattr("sys.stdin", io.StringIO(refused + "\n"))
    hidden = oarlock("score", "--all", "--output", "-", config=config)
    assert "process list" in shown.err
    assert "process list" not in hidden.err
    for result in (shown, hidden):
        assert "postgresql://me@127.0.0.1:1/crm/scores cannot be reached" in result.err
        assert "hunter2" not in result.err + result.out


def test_a_file_target_is_named_by_its_path(tmp_path):
    assert FileTarget(tmp_path / "x.csv").name == str(tmp_path / "x.csv")


def test_a_text_in_a_csv_file_is_never_a_formula(tmp_path):
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "'=mine"]
    rows = [export_row(name, risk=0.5) for name in formulas]
    after = export(tmp_path / "1.parquet", *rows)
    target = parse_target(str(tmp_path / "out.csv"))
    assert isinstance(target, FileTarget)
    target.write(after, "id")
    written = [row["id"] for row in csv.DictReader(target.path.open())]
    assert written == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "''=mine"]
    same = compare_export(target.existing(tmp_path / "current.parquet", MAPPED.arrow_schema), after, "id")
    assert (same.new, same.changed, same.removed, same.same) == (0, 0, 0, 6)
    assert [target.remove(name, "id") for name in formulas] == [1] * 6
