"""Erasure: an account is removed everywhere, others stay, and the certificate counts what was removed."""

import json
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.files import read_json, write_json
from configs.state_dir import StateDir
from features.store.account_table import AccountDetails, AccountTable, write_account_table
from serving.api.middleware.idempotency import IdempotencyStore, KeyedRequest, StoredResponse
from serving.exports.field_map import ExportRow, read_field_map, write_export
from serving.exports.targets import parse_target
from serving.ledger.ledger import Ledger
from serving.ledger.write_ahead_log import REJECTED_RECORDS, encode_record
from serving.schemas.responses import ModelDescription
from serving.schemas.serialization import to_json
from serving.security.erasure import erase_account, record_export_target
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
    state.feast.mkdir()
    with sqlite3.connect(state.feast / "packed.db") as online:
        online.execute("create table value_1 (account_id text primary key, numbers blob)")
        online.executemany("insert into value_1 values (?, ?)", [("a", b"secret"), ("b", b"other")])
    Ledger(state.ledger).append([score("a"), score("b"), score("a")], SOURCE)
    return state


def write_sample_export(file: Path, *account_ids: str) -> None:
    from configs.settings import BandSettings

    model = cast(ModelDescription, {"version": 1, "horizon_days": 90})
    rows = [ExportRow(score(name, drivers=[]), AccountDetails(name), model, BandSettings()) for name in account_ids]
    write_export(file, read_field_map(None), [rows])


def test_an_account_is_erased_everywhere_and_others_stay(state, tmp_path):
    engine = Ledger(state.ledger).engine
    write_sample_export(tmp_path / "built.parquet", "a", "b")
    for name in ("out.csv", "out.parquet"):
        parse_target(str(tmp_path / name)).write(tmp_path / "built.parquet", "account_id")
        record_export_target(engine, str(tmp_path / name), "account_id", DAY)
    replies = IdempotencyStore(lambda: engine, lambda: DAY)
    for key, body in (("1", b'{"account_id": "a"}'), ("2", b'{"account_id": "b"}')):
        replies.begin(KeyedRequest("", key, "hash"))
        replies.end(KeyedRequest("", key, "hash"), StoredResponse(200, "application/json", body))

    removed = erase_account(state, engine, "a", DAY)["removed"]
    assert {name: count for name, count in removed.items() if count} == {
        "sqlite packed.db": 1,
        "sqlite accounts.db": 1,
        "files history": 1,
        "files quarantine": 1,
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
