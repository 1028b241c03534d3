"""Exported fields: every account's risk under the field names of another tool, written in chunks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from configs.clock import parse_instant
from configs.errors import ConfigError
from configs.sections.bands import BandSettings
from configs.validation import TomlFormat
from features.store.account_table import AccountDetails
from features.tables.contract import ACCOUNT_ID
from serving.schemas.responses import ModelDescription, Score
from serving.scoring.driver_text import find_main_driver, find_standout

FIELD_MAP_FILE = TomlFormat(
    name="field map",
    if_missing="Correct its path, or leave it out.",
    if_invalid="Compare with configs/exports/customer_success.toml.",
)
SHARES = ("risk", "base")
MONEY = ("mrr", "revenue_at_risk")
DEFAULT_DECIMALS = 2
HEALTH_SCORES = (10.0, 7.5, 5.0, 2.5, 0.0)


@dataclass(frozen=True)
class ExportRow:
    """An account to export: its score, its row of the account table, and the model and bands that all share."""

    score: Score
    facts: AccountDetails
    model: ModelDescription | None
    bands: BandSettings


def _main_driver(score: Score) -> str | None:
    driver = find_main_driver(score["drivers"])
    return driver["text"] if driver else None


def _reasons(score: Score) -> str:
    """The drivers that name what stands out."""
    return "; ".join(driver["text"] for driver in score["drivers"] if find_standout(driver))


# Every field that can be exported, by Oarlock's name.
FIELDS: dict[str, tuple[pa.DataType, Callable[[ExportRow], object]]] = {
    "account_id": (pa.string(), lambda row: row.score["account_id"]),
    "name": (pa.string(), lambda row: row.facts.name),
    "owner": (pa.string(), lambda row: row.facts.owner),
    "segment": (pa.string(), lambda row: row.facts.segment),
    "stage": (pa.string(), lambda row: row.facts.stage),
    "parent_id": (pa.string(), lambda row: row.facts.parent_id),
    "risk": (pa.float64(), lambda row: row.score["risk"]),
    "base": (pa.float64(), lambda row: row.score["base"]),
    "health": (pa.float64(), lambda row: health_score(row.score["risk"], row.bands)),
    "band": (pa.string(), lambda row: row.score["band"]),
    "status": (pa.string(), lambda row: row.score["status"]),
    "mrr": (pa.float64(), lambda row: row.score["revenue"]["mrr"]),
    "revenue_at_risk": (pa.float64(), lambda row: row.score["revenue"]["revenue_at_risk"]),
    "currency": (pa.string(), lambda row: row.score["revenue"].get("currency")),
    "next_renewal": (pa.date32(), lambda row: row.facts.renews_at and row.facts.renews_at.date()),
    "main_driver": (pa.string(), lambda row: _main_driver(row.score)),
    "drivers": (pa.string(), lambda row: _reasons(row.score)),
    "as_of": (pa.timestamp("s", tz="UTC"), lambda row: parse_instant(row.score["signals_as_of"])),
    "horizon_days": (pa.int64(), lambda row: row.model["horizon_days"] if row.model else None),
    "model_version": (pa.int64(), lambda row: row.model["version"] if row.model else None),
}


def _to_mapped_field(value: object) -> object:
    return {"field": value} if isinstance(value, str) else value


class MappedField(BaseModel):
    """One of Oarlock's fields, and how the tool wants its number: as a percentage, with so many decimals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    unit: Literal["as_is", "percent"] = "as_is"
    """`percent` writes a share of 0.8827 as 88.27, as a percent field of Salesforce expects it."""
    decimals: Annotated[int, Field(ge=0, le=15)] | None = None
    """Undeclared: 2 for percentages and money; a share is written as it is."""

    @model_validator(mode="after")
    def _fits_the_field(self) -> "MappedField":
        if self.unit == "percent" and self.field not in SHARES:
            raise ValueError(f"'{self.field}' is not a share, so it has no percentage; {' and '.join(SHARES)} are")
        return self

    @property
    def decimals_written(self) -> int | None:
        is_rounded = self.unit == "percent" or self.field in MONEY
        return DEFAULT_DECIMALS if self.decimals is None and is_rounded else self.decimals

    def value(self, row: ExportRow) -> object:
        """The value of an account, in the unit and with the decimals of the tool."""
        value = FIELDS[self.field][1](row)
        if not isinstance(value, float):
            return value
        scaled = value * 100 if self.unit == "percent" else value
        return scaled if self.decimals_written is None else round(scaled, self.decimals_written)


class FieldMap(BaseModel):
    """A tool's field names, each with Oarlock's field, in the order of the columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: dict[str, Annotated[MappedField, BeforeValidator(_to_mapped_field)]]

    @property
    def key_column(self) -> str:
        """The tool's name for the account's id."""
        return next(external_name for external_name, mapped in self.fields.items() if mapped.field == ACCOUNT_ID)

    @property
    def arrow_schema(self) -> pa.Schema:
        """The columns and their types."""
        return pa.schema([(external_name, FIELDS[mapped.field][0]) for external_name, mapped in self.fields.items()])

    def to_table(self, exported: Iterable[ExportRow]) -> pa.Table:
        """The accounts as a table of these columns."""
        rows = list(exported)
        values = [[mapped.value(row) for row in rows] for mapped in self.fields.values()]
        return pa.table(values, schema=self.arrow_schema)


def read_field_map(path: Path | None) -> FieldMap:
    """The mapping in the file at `path`, or every field under Oarlock's own name without a file.

    Raises ConfigError if it names an unknown field or leaves out the account's id.
    """
    if path is None:
        return FieldMap(fields={name: MappedField(field=name) for name in FIELDS})
    field_map = FIELD_MAP_FILE.read(path, FieldMap)
    fields = [mapped.field for mapped in field_map.fields.values()]
    unknown = [field for field in fields if field not in FIELDS]
    if unknown:
        raise ConfigError(
            f"{path}: '{unknown[0]}' is not a field of Oarlock's.", f"The fields are {', '.join(FIELDS)}."
        )
    if fields.count(ACCOUNT_ID) != 1:
        raise ConfigError(f"{path}: exactly one field must be '{ACCOUNT_ID}', the key.", FIELD_MAP_FILE.if_invalid)
    return field_map


def health_score(risk: float, bands: BandSettings) -> float:
    """A risk as a health score from 10 (no risk) to 0: linear between 7.5, 5 and 2.5 at the thresholds of the bands."""
    return round(float(np.interp(risk, [0.0, *bands.thresholds, 1.0], HEALTH_SCORES)), 2)


def write_export(file: Path, field_map: FieldMap, chunks: Iterable[Iterable[ExportRow]]) -> int:
    """Write the export as Parquet, a chunk at a time; returns the number of accounts."""
    count = 0
    with pq.ParquetWriter(file, field_map.arrow_schema, compression="zstd") as writer:
        for chunk in chunks:
            rows = field_map.to_table(chunk)
            writer.write_table(rows)
            count += rows.num_rows
    return count
