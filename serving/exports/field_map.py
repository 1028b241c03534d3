"""Exports: the risks of everyone under the field names another tool uses, as a table that is built chunk by chunk."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from configs.errors import ConfigError
from configs.settings import BandSettings, describe
from features.store.account_table import AccountFacts

KEY = "account_id"
HEALTH_SCORES = (10.0, 7.5, 5.0, 2.5, 0.0)


@dataclass(frozen=True)
class ExportRow:
    """One account as it is exported: its part of the reply, the facts about it, and what all have in common."""

    score: Mapping[str, Any]
    facts: AccountFacts
    model: Mapping[str, Any]
    bands: BandSettings


# Oarlock's names of what can be exported.
FIELDS: dict[str, tuple[pa.DataType, Callable[[ExportRow], Any]]] = {
    "account_id": (pa.string(), lambda one: one.score["account_id"]),
    "name": (pa.string(), lambda one: one.facts.name),
    "owner": (pa.string(), lambda one: one.facts.owner),
    "segment": (pa.string(), lambda one: one.facts.segment),
    "stage": (pa.string(), lambda one: one.facts.stage),
    "parent_id": (pa.string(), lambda one: one.facts.parent_id),
    "risk": (pa.float64(), lambda one: one.score["risk"]),
    "base": (pa.float64(), lambda one: one.score["base"]),
    "health": (pa.float64(), lambda one: health_score(one.score["risk"], one.bands)),
    "band": (pa.string(), lambda one: one.score["band"]),
    "status": (pa.string(), lambda one: one.score["status"]),
    "mrr": (pa.float64(), lambda one: one.score["revenue"]["mrr"]),
    "revenue_at_risk": (pa.float64(), lambda one: one.score["revenue"]["at_risk"]),
    "next_renewal": (pa.date32(), lambda one: one.facts.renews_at and one.facts.renews_at.date()),
    "main_driver": (pa.string(), lambda one: next((driver["text"] for driver in one.score["drivers"]), None)),
    "drivers": (pa.string(), lambda one: "; ".join(driver["text"] for driver in one.score["drivers"])),
    "as_of": (pa.timestamp("s"), lambda one: datetime.fromisoformat(one.score["signals_as_of"])),
    "horizon_days": (pa.int64(), lambda one: one.model["horizon_days"]),
    "model_version": (pa.int64(), lambda one: one.model["version"]),
}


class FieldMap(BaseModel):
    """The field names of a tool, each with Oarlock's for it, in the order of the columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: dict[str, str]

    @property
    def key(self) -> str:
        """The tool's name of the account's id."""
        return next(theirs for theirs, ours in self.fields.items() if ours == KEY)

    @property
    def columns(self) -> pa.Schema:
        """The columns and their types."""
        return pa.schema([(theirs, FIELDS[ours][0]) for theirs, ours in self.fields.items()])

    def table(self, exported: Iterable[ExportRow]) -> pa.Table:
        """The accounts as a table of these columns."""
        some = list(exported)
        values = [[FIELDS[ours][1](one) for one in some] for ours in self.fields.values()]
        return pa.table(values, schema=self.columns)


def read_field_map(path: Path | None) -> FieldMap:
    """The mapping in the file at `path`, every field under Oarlock's own name where none is named.

    Raises ConfigError where it names a field that Oarlock does not have, or not the account's id.
    """
    if path is None:
        return FieldMap(fields={name: name for name in FIELDS})
    hint = "Compare with configs/exports/customer_success.toml."
    try:
        mapped = FieldMap.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as problem:
        raise ConfigError(f"{path}: {describe(problem)}.", hint) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(f"{path} cannot be read: {problem}.", hint) from None
    unknown = [ours for ours in mapped.fields.values() if ours not in FIELDS]
    if unknown:
        raise ConfigError(f"{path}: '{unknown[0]}' is no field of Oarlock's.", f"There are {', '.join(FIELDS)}.")
    if list(mapped.fields.values()).count(KEY) != 1:
        raise ConfigError(f"{path}: exactly one field must be '{KEY}', the key.", hint)
    return mapped


def health_score(risk: float, bands: BandSettings) -> float:
    """A risk as a health score from 10 (no risk) to 0: straight lines between 7.5, 5 and 2.5, where bands are cut."""
    return round(float(np.interp(risk, [0.0, bands.watch, bands.high, bands.critical, 1.0], HEALTH_SCORES)), 2)


def write_export(file: Path, mapped: FieldMap, chunks: Iterable[Iterable[ExportRow]]) -> int:
    """Write the export as Parquet, a chunk at a time; says how many accounts it holds."""
    count = 0
    with pq.ParquetWriter(file, mapped.columns, compression="zstd") as writer:
        for chunk in chunks:
            rows = mapped.table(chunk)
            writer.write_table(rows)
            count += rows.num_rows
    return count
