"""The ledger: every risk ever given, with its drivers and the versions it came from. Rows are added, never changed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sql
from sqlalchemy import event

METADATA = sql.MetaData()
RISKS = sql.Table(
    "risks",
    METADATA,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("given_at", sql.DateTime, nullable=False),
    sql.Column("request_id", sql.String(64), nullable=False),
    sql.Column("account_id", sql.String, nullable=False),
    sql.Column("as_of", sql.DateTime, nullable=False),
    sql.Column("risk", sql.Double, nullable=False),
    sql.Column("base", sql.Double, nullable=False),
    sql.Column("band", sql.String(16), nullable=False),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("mrr", sql.Double),
    sql.Column("model", sql.String, nullable=False),
    sql.Column("version", sql.Integer, nullable=False),
    sql.Column("label_hash", sql.String(16), nullable=False),
    sql.Column("signal_set", sql.String(16), nullable=False),
    sql.Column("served", sql.Text, nullable=False),
    sql.Index("risks_by_account", "account_id", "as_of"),
    sql.Index("risks_by_day", "as_of"),
)
BUSY_SECONDS = 5


@dataclass(frozen=True)
class Ledger:
    """The ledger of one state folder."""

    file: Path

    @cached_property
    def engine(self) -> sql.Engine:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        engine = sql.create_engine(f"sqlite:///{self.file}", connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _write_ahead)
        METADATA.create_all(engine)
        return engine

    def append(self, scores: Iterable[Mapping[str, Any]], of: Mapping[str, Any]) -> None:
        """Add the scores of one reply; `of` says which request, when, and which model. All of them or none."""
        rows = [_row(score, of) for score in scores]
        if rows:
            with self.engine.begin() as connection:
                connection.execute(RISKS.insert(), rows)

    def risks(self, version: int) -> pd.DataFrame:
        """The last risk that a version gave each snapshot: account_id, as_of, risk, mrr."""
        chosen = sql.select(RISKS.c.id, RISKS.c.account_id, RISKS.c.as_of, RISKS.c.risk, RISKS.c.mrr)
        with self.engine.connect() as connection:
            found = pd.read_sql(chosen.where(RISKS.c.version == version), connection, parse_dates=["as_of"])
        return found.sort_values("id").drop_duplicates(["account_id", "as_of"], keep="last").drop(columns="id")

    def count(self) -> int:
        """How many risks were ever given."""
        with self.engine.connect() as connection:
            return connection.execute(sql.select(sql.func.count()).select_from(RISKS)).scalar_one()


def _row(score: Mapping[str, Any], of: Mapping[str, Any]) -> dict[str, Any]:
    copied = {name: score[name] for name in ("account_id", "risk", "base", "band", "status")}
    as_of = datetime.fromisoformat(score["signals_as_of"])
    return {**of, **copied, "as_of": as_of, "mrr": score["revenue"]["mrr"], "served": json.dumps(score)}


def _write_ahead(connection: Any, _: object) -> None:
    # Readers do not wait for the writer, and a killed process loses nothing that was committed.
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=normal")
