"""Exports: the fields of another tool, into files and Postgres, with a dry run that says what would change."""

import csv
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from configs.errors import ConfigError
from configs.settings import BandSettings
from features.store.account_table import AccountDetails
from serving.exports.field_map import FIELDS, ExportRow, FieldMap, health_score, read_field_map, write_export
from serving.exports.targets import ExportExample, FileTarget, TableTarget, compare_export, parse_target
from tests.support.ledger_rows import score
from tests.support.paths import ROOT

BANDS = BandSettings()
MODEL = {"version": 3, "horizon_days": 90}
MAPPED = FieldMap(fields={"id": "account_id", "health_score": "health", "mrr": "mrr", "next_renewal": "next_renewal"})


def exported(account_id: str, risk: float = 0.1, renews_at: datetime | None = datetime(2024, 3, 1)) -> ExportRow:
    about = AccountDetails(account_id, owner="olga", renews_at=renews_at)
    one = score(account_id, risk, drivers=[{"text": "adoption: seats 31 %"}])
    return ExportRow(one, about, MODEL, BANDS)


def export(file: Path, *accounts: ExportRow) -> Path:
    write_export(file, MAPPED, [accounts[:1], accounts[1:]])
    return file


@pytest.mark.parametrize(("risk", "score"), [(0.0, 10), (0.025, 8.75), (0.05, 7.5), (0.1, 5), (0.2, 2.5), (1.0, 0)])
def test_health_falls_with_the_risk_and_turns_where_the_bands_are_cut(risk, score):
    assert health_score(risk, BANDS) == score


def test_rows_have_the_tools_names_and_types(tmp_path):
    (row,) = pq.read_table(export(tmp_path / "e.parquet", exported("a"))).to_pylist()
    assert row == {"id": "a", "health_score": 5.0, "mrr": 100.0, "next_renewal": date(2024, 3, 1)}


def test_without_a_mapping_every_field_is_exported_under_its_own_name():
    (row,) = read_field_map(None).to_table([exported("a")]).to_pylist()
    assert list(row) == list(FIELDS)
    assert (row["owner"], row["main_driver"], row["model_version"]) == ("olga", "adoption: seats 31 %", 3)


@pytest.mark.parametrize("name", ["customer_success", "salesforce"])
def test_the_shipped_mappings_are_whole(name):
    assert read_field_map(ROOT / f"configs/exports/{name}.toml").to_table([exported("a")]).num_rows == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[fields]\nid = "account_id"\nx = "churniness"', "'churniness' is not a field"),
        ('[fields]\nx = "risk"', "exactly one field must be 'account_id'"),
        ("[columns]\n", "fields"),
        ("[fields", "cannot be read"),
    ],
)
def test_a_mapping_that_cannot_be_followed_is_refused(tmp_path, text, why):
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=why):
        read_field_map(file)


@pytest.mark.parametrize("said", ["scores.xlsx", "postgresql://h/table_only", "scores"])
def test_a_target_that_is_none_is_refused(said):
    with pytest.raises(ConfigError):
        parse_target(said)


@pytest.fixture(params=["parquet", "csv", "postgres"])
def place(request, tmp_path):
    """A target that does not exist yet, of each kind."""
    if request.param != "postgres":
        return parse_target(str(tmp_path / f"out.{request.param}"))
    url, _, options = request.getfixturevalue("postgres").partition("?")
    return parse_target(f"{url}/scores?{options}")


def contents(place) -> dict[str, float]:
    """The health of each account that is there."""
    if isinstance(place, TableTarget):
        with place._connect() as connection:
            return dict(connection.execute("select id, health_score from scores order by id").fetchall())
    if place.path.suffix == ".csv":
        return {row["id"]: float(row["health_score"]) for row in csv.DictReader(place.path.open())}
    return {row["id"]: row["health_score"] for row in pq.read_table(place.path).to_pylist()}


def test_an_export_is_what_is_there_afterwards_and_the_same_again_changes_nothing(place, tmp_path):
    first = export(tmp_path / "1.parquet", exported("a"), exported("b"), exported("c", renews_at=None))
    second = export(tmp_path / "2.parquet", exported("a"), exported("b", 0.2), exported("d'\";--", 0.5))
    assert place.existing(tmp_path / "there.parquet", MAPPED.arrow_schema) is None
    place.write(first, "id")
    assert contents(place) == {"a": 5.0, "b": 5.0, "c": 5.0}
    place.write(second, "id")
    place.write(second, "id")
    assert contents(place) == {"a": 5.0, "b": 2.5, "d'\";--": pytest.approx(1.56, abs=0.01)}
    found = compare_export(place.existing(tmp_path / "there.parquet", MAPPED.arrow_schema), second, "id")
    assert (found.new, found.changed, found.removed, found.same) == (0, 0, 0, 3)


def test_a_dry_run_says_what_would_be_new_changed_and_removed(place, tmp_path):
    place.write(export(tmp_path / "1.parquet", exported("a"), exported("b"), exported("c")), "id")
    after = export(tmp_path / "2.parquet", exported("a"), exported("b", 0.2), exported("d"))
    found = compare_export(place.existing(tmp_path / "there.parquet", MAPPED.arrow_schema), after, "id")
    assert (found.new, found.changed, found.removed, found.same) == (1, 1, 1, 1)
    assert found.examples[0] == ExportExample("b", "changed", "health_score: 5.0 -> 2.5")
    assert contents(place) == {"a": 5.0, "b": 5.0, "c": 5.0}


def test_an_account_is_taken_out_of_an_export(place, tmp_path):
    place.write(export(tmp_path / "1.parquet", exported("a"), exported("it's")), "id")
    assert [place.remove("it's", "id"), place.remove("it's", "id")] == [1, 0]
    assert contents(place) == {"a": 5.0}


def test_a_table_that_oarlock_did_not_make_is_never_written_to(postgres, tmp_path):
    url, _, options = postgres.partition("?")
    place = parse_target(f"{url}/customers?{options}")
    assert isinstance(place, TableTarget)
    with place._connect() as connection:
        connection.execute("create table customers (id text primary key, health_score float8)")
    with pytest.raises(ConfigError, match="was not created by Oarlock"):
        place.write(export(tmp_path / "1.parquet", exported("a")), "id")


def test_a_targets_name_holds_no_password():
    assert parse_target("postgresql://me:hunter2@db:5432/crm/scores").name == "postgresql://me@db:5432/crm/scores"


def test_a_file_target_is_named_in_full(tmp_path):
    assert FileTarget(tmp_path / "x.csv").name == str(tmp_path / "x.csv")
