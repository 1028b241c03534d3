"""Erasure: an account is removed everywhere, others stay, and the certificate counts what was removed."""

import json
import sqlite3
import uuid
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sql
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import ConfigError
from configs.files import read_json, write_json
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from features.store.account_table import AccountDetails, AccountTable, write_account_table
from features.store.events.event_table import SCHEMA, EventSource, write_event_table
from features.store.revenue_table import INSTANT, UNKNOWN, RevenueHistory, write_revenue_table
from serving.api.middleware.idempotency import IdempotencyStore, KeyedRequest, StoredResponse
from serving.exports.field_map import ExportRow, read_field_map, write_export
from serving.exports.remembered_targets import forget_target, list_targets, remember_target
from serving.exports.targets import TableTarget, parse_target
from serving.ledger.database import upsert
from serving.ledger.ledger import Ledger, open_ledger
from serving.ledger.schema import EXPORT_TARGETS
from serving.ledger.write_ahead_log import REJECTED_RECORDS, encode_record
from serving.schemas.responses import ModelDescription
from serving.schemas.serialization import to_json
from serving.security.erasure import erase_account
from tests.support.ledger_rows import DAY, SOURCE, score


@pytest.fixture
def state(tmp_path) -> StateDir:
    """A state that holds the accounts a and b wherever Oarlock keeps accounts."""
    state = StateDir(tmp_path / "state")
    written = state.history / "e" / "written" / "2024-01-01-abc"
    written.mkdir(parents=True)
    pq.write_table(pa.table({"account_id": ["a", "b", "c"], "mrr": [1.0, 2.0, 3.0]}), written / "value.parquet")
    write_json(written / "day.json", {"as_of": "2024-01-01", "dropped": ["a", "z"]})
    (state.history / "e" / "days").mkdir()
    (state.history / "e" / "days" / "2024-01-01").symlink_to(written)
    state.quarantine.mkdir()
    pq.write_table(pa.table({"account_id": ["a", None], "reason": ["x", "y"]}), state.quarantine / "usage.parquet")
    write_account_table(state.account_table, DAY, [AccountDetails("a"), AccountDetails("b")])
    write_revenue_table(state.revenue_table, revenue_of("a", "b"))
    events = [{"account_id": name, "at": DAY, "family": "plays", "text": "", "is_marked": True} for name in "aab"]
    write_event_table(state.event_table(DAY), EventSource(DAY, ""), [pa.RecordBatch.from_pylist(events, SCHEMA)])
    state.feast.mkdir()
    with sqlite3.connect(state.feast / "packed.db") as online:
        online.execute("create table value_1 (account_id text primary key, numbers blob)")
        online.executemany("insert into value_1 values (?, ?)", [("a", b"secret"), ("b", b"other")])
    Ledger(state.ledger).append([score("a"), score("b"), score("a")], SOURCE)
    return state


def revenue_of(*account_ids: str) -> RevenueHistory:
    """The revenue of accounts on one day, 1.00 each; none of them gave notice."""
    ids, never = np.array(account_ids, dtype=object), np.full(len(account_ids), np.datetime64("NaT"), INSTANT)
    reasons, voluntary = np.full(len(ids), None), np.full(len(ids), UNKNOWN)
    cents = np.full((len(ids), 1), 100)
    return RevenueHistory(
        DAY, (DAY,), ids, cents, never, never, never, reasons, voluntary, {}, has_notices=False, origins=(DAY,),
        term_ends=never[:, None], due_cents=cents, first_value_at=never, value_term_ends_at=never, has_milestones=False,
    )  # fmt: skip


def write_sample_export(file: Path, *account_ids: str) -> None:
    from configs.sections.bands import BandSettings

    model = cast(ModelDescription, {"version": 1, "horizon_days": 90})
    rows = [ExportRow(score(name, drivers=[]), AccountDetails(name), model, BandSettings()) for name in account_ids]
    write_export(file, read_field_map(None), [rows])


def export_to(engine: sql.Engine, target: str, built: Path) -> None:
    """Export as the command does: a target is remembered after it was written."""
    destination = parse_target(target)
    destination.require_writable(pq.read_schema(built))
    destination.write(built, "account_id")
    remember_target(engine, destination, "account_id", DAY)


def test_an_account_is_erased_everywhere_and_others_stay(state, tmp_path):
    engine = Ledger(state.ledger).engine
    write_sample_export(tmp_path / "built.parquet", "a", "b")
    for name in ("out.csv", "out.parquet"):
        export_to(engine, str(tmp_path / name), tmp_path / "built.parquet")
    replies = IdempotencyStore(lambda: engine, lambda: DAY)
    for key, body in (("1", b'{"account_id": "a"}'), ("2", b'{"account_id": "b"}')):
        replies.begin(KeyedRequest("", key, "hash"))
        replies.end(KeyedRequest("", key, "hash"), StoredResponse(200, "application/json", body))

    removed = erase_account(state, engine, "a", DAY)["removed"]
    assert {name: count for name, count in removed.items() if count} == {
        "sqlite packed.db": 1,
        "sqlite accounts.db": 1,
        "sqlite revenue.db": 1,
        "files history": 1,
        "files quarantine": 1,
        "files events": 2,
        "history day files": 1,
        "table risks": 2,
        "table idempotent_responses": 1,
        f"export {tmp_path / 'out.csv'}": 1,
        f"export {tmp_path / 'out.parquet'}": 1,
    }
    written = state.history / "e/days/2024-01-01"
    assert pq.read_table(written / "value.parquet").to_pydict() == {"account_id": ["b", "c"], "mrr": [2.0, 3.0]}
    assert read_json(written / "day.json")["dropped"] == ["z"]
    assert pq.read_table(state.quarantine / "usage.parquet")["reason"].to_pylist() == ["y"]
    assert AccountTable(state.account_table).details_by_id(["a", "b"]).keys() == {"b"}
    assert not state.event_table(DAY).exists()  # the next publish writes it anew
    assert Ledger(state.ledger).count() == 1
    assert b"secret" not in (state.feast / "packed.db").read_bytes()
    assert '"a"' not in (tmp_path / "out.csv").read_text()


@pytest.mark.parametrize("name", [REJECTED_RECORDS, "0815.corrupt"])
def test_an_account_is_erased_from_rejected_records(state, name):
    state.write_ahead_log.mkdir()
    lines = [to_json(score("a")), to_json(score("b"))]
    (state.write_ahead_log / name).write_bytes(encode_record({"source": {}, "rows": []}, lines))
    assert erase_account(state, Ledger(state.ledger).engine, "a", DAY)["removed"]["write-ahead log, quarantined"] == 1
    content = (state.write_ahead_log / name).read_text()
    assert ('"a"' in content, '"b"' in content) == (False, True)


def test_what_older_releases_recorded_under_other_spellings_is_erased_too(state):
    ledger, spellings = Ledger(state.ledger), ["caf\u00e9", "cafe\u0301", "caf\u00e9\0", " caf\u00e9"]
    ledger.append([score(text) for text in spellings], SOURCE)
    replies = IdempotencyStore(lambda: ledger.engine, lambda: DAY)
    replies.begin(KeyedRequest("", "1", "hash"))
    reply = to_json({"not_scored": [{"account_id": spellings[2]}]})
    replies.end(KeyedRequest("", "1", "hash"), StoredResponse(200, "application/json", reply))
    removed = erase_account(state, ledger.engine, "caf\u00e9", DAY)["removed"]
    assert (removed["table risks"], removed["table idempotent_responses"], ledger.count()) == (4, 1, 3)


def test_erasing_twice_keeps_the_counts(state):
    engine = Ledger(state.ledger).engine
    first = erase_account(state, engine, "a", DAY)
    assert erase_account(state, engine, "a", DAY)["removed"] == first["removed"]
    assert first["complete"]


def test_an_interrupted_erasure_resumes_and_adds_up_counts(state, monkeypatch):
    engine = Ledger(state.ledger).engine
    with monkeypatch.context() as broken:
        broken.setattr("serving.security.erasure._remove_from_table", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erase_account(state, engine, "a", DAY)
    (file,) = (state.folder / "erased").iterdir()
    assert read_json(file)["complete"] is False
    removed = erase_account(state, engine, "a", datetime(2024, 1, 2))["removed"]
    assert (removed["sqlite packed.db"], removed["files history"], removed["table risks"]) == (1, 1, 2)
    assert read_json(file)["complete"]


def test_the_certificate_does_not_name_the_account(state):
    certificate = erase_account(state, Ledger(state.ledger).engine, "account-0815", DAY)
    assert "account-0815" not in json.dumps(certificate)
    assert len(certificate["account_sha256"]) == 64


def test_a_file_that_others_changed_is_left_alone_until_it_is_forgotten(state, tmp_path):
    engine, file = Ledger(state.ledger).engine, tmp_path / "out.csv"
    write_sample_export(tmp_path / "built.parquet", "a", "b")
    export_to(engine, str(file), tmp_path / "built.parquet")
    file.write_text("account_id,ours\na,no\n")
    certificate = erase_account(state, engine, "a", DAY)
    assert (certificate["complete"], certificate["targets"][str(file)]["result"]) == (False, "changed")
    assert file.read_text() == "account_id,ours\na,no\n"
    assert forget_target(engine, str(file))
    assert erase_account(state, engine, "a", DAY)["complete"]


def test_a_target_that_cannot_be_reached_keeps_no_other_from_being_erased(state, tmp_path):
    engine, down = Ledger(state.ledger).engine, "postgresql://nobody@127.0.0.1:1/crm/scores"
    write_sample_export(tmp_path / "built.parquet", "a", "b")
    with engine.begin() as connection:
        row = {"target": down, "key_column": "account_id", "exported_at": DAY, "mark": None}
        connection.execute(EXPORT_TARGETS.insert().values(row))
    export_to(engine, str(tmp_path / "out.csv"), tmp_path / "built.parquet")
    for _ in range(2):
        certificate = erase_account(state, engine, "a", DAY)
        assert certificate["complete"] is False
        results = {target: erasure["result"] for target, erasure in certificate["targets"].items()}
        assert results == {down: "failed", str(tmp_path / "out.csv"): "erased"}
    assert '"a"' not in (tmp_path / "out.csv").read_text()


TABLES = st.lists(st.sampled_from(["ours", "strangers", "strangers_without_ids", "none"]), min_size=1, max_size=4)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tables=TABLES, is_legacy=st.booleans())
def test_whatever_was_refused_only_our_tables_change(state, postgres, tmp_path, tables, is_legacy):
    """Exports to tables of others are refused; erasing changes none, even if an older release remembers them."""
    engine = Ledger(tmp_path / f"{uuid.uuid4().hex}.db").engine
    url, _, options = postgres.partition("?")
    write_sample_export(tmp_path / "built.parquet", "a", "b")
    before = _create_tables(postgres)
    for table in tables:
        try:
            export_to(engine, f"{url}/{table}?{options}", tmp_path / "built.parquet")
        except ConfigError as refused:
            assert "was not created by Oarlock" in refused.message
            if is_legacy:
                row = {"target": f"{url}/{table}?{options}", "key_column": "account_id", "exported_at": DAY}
                with engine.begin() as connection:
                    connection.execute(upsert(EXPORT_TARGETS, engine).values(row).on_conflict_do_nothing())
    certificate = erase_account(state, engine, "a", DAY)
    assert certificate["complete"]
    assert _rows_of_strangers(postgres) == before
    assert {"ours", "none"}.issuperset(target.target.split("/")[-1].split("?")[0] for target in list_targets(engine))
    for table in {"ours", "none"} & set(tables):
        target = parse_target(f"{url}/{table}?{options}")
        assert isinstance(target, TableTarget)
        with target._connect() as connection:
            assert connection.execute(f"select account_id from {table}").fetchall() == [("b",)]


def _create_tables(postgres: str) -> list[list[tuple[str, ...]]]:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("drop table if exists ours, none, strangers, strangers_without_ids")
        connection.execute("create table strangers (account_id text, email text)")
        connection.execute("insert into strangers values ('a', 'a@x'), ('b', 'b@x')")
        connection.execute("create table strangers_without_ids (email text)")
        connection.execute("insert into strangers_without_ids values ('a')")
    return _rows_of_strangers(postgres)


def _rows_of_strangers(postgres: str) -> list[list[tuple[str, ...]]]:
    with psycopg.connect(postgres) as connection:
        tables = ("strangers", "strangers_without_ids")
        return [connection.execute(f"select * from {table} order by 1").fetchall() for table in tables]


def test_a_refused_export_is_not_remembered_and_serves_nobody(oarlock, trained, tmp_path, postgres):
    config = tmp_path / "crm5.toml"
    config.write_text(trained.config.read_text() + f'\n[ledger]\nurl = "sqlite:///{tmp_path / "own.db"}"\n')
    url, _, options = postgres.partition("?")
    _create_tables(postgres)
    target = f"{url}/strangers?{options}"
    result = oarlock("score", "--all", "--output", target, config=config)
    assert (result.code, "was not created by Oarlock" in result.err) == (2, True)
    ledger = Ledger(tmp_path / "own.db")
    assert (list_targets(ledger.engine), ledger.count()) == ([], 0)


def test_the_commands_list_and_forget_a_target(oarlock, make_company, tmp_path):
    config = make_company(accounts=[{"account_id": "a", "created_at": DAY}])
    configured = read_settings(config)
    engine = open_ledger(configured, open_state_dir(configured)).engine
    write_sample_export(tmp_path / "built.parquet", "a")
    export_to(engine, str(tmp_path / "out.csv"), tmp_path / "built.parquet")
    listed = json.loads(oarlock("export-targets", "list", "--json", config=config).out)["targets"]
    assert [(target["target"], target["key_column"]) for target in listed] == [
        (str(tmp_path / "out.csv"), "account_id")
    ]
    (tmp_path / "out.csv").write_text("changed")
    code, message = oarlock("erase", "a", config=config).code, "may still hold the account"
    assert (code, message in oarlock("erase", "a", config=config).err) == (5, True)
    assert oarlock("export-targets", "remove", str(tmp_path / "out.csv"), config=config).code == 0
    assert oarlock("erase", "a", config=config).code == 0
    assert oarlock("export-targets", "remove", "elsewhere.csv", config=config).code == 9
