"""A ready mapping: the tables of one vendor, with what identifies its accounts and what its tables cannot say."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from configs.errors import ConfigError

READY_FOLDER = Path(__file__).parents[2] / "configs" / "datasets" / "ready"
TABLE_BLOCK = re.compile(r"(?ms)^((?:#[^\n]*\n)*)(\w+) = '''\n(.*?)\n'''$")


class MatchKey(BaseModel):
    """The column of a source that holds the id of an account, and the one that names its row to a person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    key: str
    label: str


class CurrencyCases(BaseModel):
    """A query for the currencies of all amounts, and the text in the selects that the rates take the place of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codes: str
    case: str


class CountedLimit(BaseModel):
    """What the contract cannot say: a query for the number of rows that it concerns, and of all rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    select: str


def _to_files(value: object) -> object:
    return value["files"] if isinstance(value, dict) and value.keys() == {"files"} else value


class ReadyFile(BaseModel):
    """The content of a file in `configs/datasets/ready`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    about: str
    people: Literal["named", "counted", "unknown"] = "unknown"
    optional: tuple[str, ...] = ()
    optional_tables: tuple[str, ...] = ()
    sources: dict[str, Annotated[str, BeforeValidator(_to_files)]]
    tables: dict[str, str]
    match: MatchKey
    currency: CurrencyCases | None = None
    counts: dict[str, CountedLimit] = {}


@dataclass(frozen=True)
class TableText:
    """A select as it is written, with the comments above it."""

    comments: str
    select: str


@dataclass(frozen=True)
class ReadyPart:
    """A ready mapping that is fitted to somebody's files step by step."""

    content: ReadyFile
    tables: Mapping[str, TableText]
    counts: Mapping[str, CountedLimit]

    @property
    def name(self) -> str:
        """The name of the vendor."""
        return self.content.name

    @property
    def match(self) -> MatchKey:
        """What identifies its accounts."""
        return self.content.match

    def without(self, table: str) -> "ReadyPart":
        """The part without one of its tables."""
        return replace(self, tables={name: text for name, text in self.tables.items() if name != table})

    def with_text(self, pattern: str, text: str) -> "ReadyPart":
        """The part with another text for what a regular expression matches in its selects and counts."""
        tables = {
            name: replace(table, select=re.sub(pattern, text, table.select)) for name, table in self.tables.items()
        }
        counts = {
            name: count.model_copy(update={"select": re.sub(pattern, text, count.select)})
            for name, count in self.counts.items()
        }
        return replace(self, tables=tables, counts=counts)

    def with_match(self, column: str) -> "ReadyPart":
        """The part with another column that holds the id of the account."""
        key = f"{self.match.source}.{self.match.key}"
        moved = self.with_text(rf"\b{re.escape(key)} as account_id\b", f"{self.match.source}.{column} as account_id")
        match = self.match.model_copy(update={"key": column})
        return replace(moved, content=self.content.model_copy(update={"match": match}))


def part_names() -> list[str]:
    """The names of all ready mappings."""
    return sorted(file.stem for file in READY_FOLDER.glob("*.toml"))


@cache
def read_part(name: str) -> ReadyPart:
    """A ready mapping as it is shipped. Raises ConfigError for a name that none has."""
    if name not in part_names():
        raise ConfigError(f"There is no ready mapping '{name}'.", f"Choose among {', '.join(part_names())}.")
    text = (READY_FOLDER / f"{name}.toml").read_text("utf-8")
    content = ReadyFile(**tomllib.loads(text))
    blocks = {table: TableText(comments, select) for comments, table, select in TABLE_BLOCK.findall(text)}
    return ReadyPart(content, blocks, content.counts)
