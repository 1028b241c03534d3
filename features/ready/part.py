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
from features.compute.backends.duckdb import quote_name

READY_FOLDER = Path(__file__).parents[2] / "configs" / "datasets" / "ready"
PLAIN_NAME, JSON_KEY = re.compile(r"[A-Za-z_]\w*"), re.compile(r"[^'\"\\]+")
TABLE_BLOCK = re.compile(r"(?ms)^((?:#[^\n]*\n)*)(\w+) = '''\n(.*?)\n'''$")


class MatchKey(BaseModel):
    """What holds the id of an account in a source, and the column that names its row to a person.

    It is the column `key`, or the value under `key` in the JSON of a `column`. `value` is an expression for it that
    stands for nothing else, with KEY for the key, and `keys` the query for all keys in that column.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    key: str
    label: str = ""
    column: str = ""
    value: str = ""
    keys: str = ""

    @property
    def needed_column(self) -> str:
        """The column without which there is no id."""
        return self.column or self.key

    @property
    def expression(self) -> str:
        """The id in SQL, as the selects write it. Raises ConfigError for a key that JSON paths cannot have."""
        if self.column and not JSON_KEY.fullmatch(self.key):
            raise ConfigError(f"'{self.key}' is no key that a mapping can read.", "Rename it in the export.")
        name = self.key if self.column or PLAIN_NAME.fullmatch(self.key) else quote_name(self.key)
        return self.value.replace("KEY", name) if self.value else f"{self.source}.{name}"


class MergedIds(BaseModel):
    """A query for the ids of accounts that were merged away, with the one that is left; both are values of `key`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    ids: str


class NamedColumn(BaseModel):
    """A column of the company's own that a person names, in place of `name` in the selects."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    name: str
    question: str
    evidence: str
    likely: str


class CurrencyCases(BaseModel):
    """A query for the currencies of all amounts, and the text in the selects that the rates take the place of.

    Amounts are in minor units such as cents, or in units of 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    codes: str
    case: str
    minor_units: bool = True


class CountedLimit(BaseModel):
    """What the contract cannot say: a query for the number of rows that it concerns, and of all rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    select: str


def _to_files(value: object) -> object:
    return value["files"] if isinstance(value, dict) and value.keys() == {"files"} else value


class ReadyFile(BaseModel):
    """The content of a file in `configs/datasets/ready`.

    `optional` columns may be missing, which is noted; `variant_columns` may be, too, as a matter of course.
    `optional_tables` may lack their files. `fallback_tables` are used only if no other mapping gives them.
    `overwritten` columns of accounts may change when an account leaves: a signal of one would know the future.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    about: str
    people: Literal["named", "counted", "unknown"] = "unknown"
    optional: tuple[str, ...] = ()
    variant_columns: tuple[str, ...] = ()
    optional_tables: tuple[str, ...] = ()
    fallback_tables: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()
    sources: dict[str, Annotated[str, BeforeValidator(_to_files)]]
    tables: dict[str, str]
    match: MatchKey
    currency: CurrencyCases | None = None
    merged: MergedIds | None = None
    named_columns: dict[str, NamedColumn] = {}
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

    def without(self, *tables: str) -> "ReadyPart":
        """The part without some of its tables."""
        return replace(self, tables={name: text for name, text in self.tables.items() if name not in tables})

    def has_text(self, pattern: str) -> bool:
        """Whether one of its selects has what a regular expression matches."""
        return any(re.search(pattern, text.select) for text in self.tables.values())

    def with_text(self, pattern: str, text: str) -> "ReadyPart":
        """The part with another text for what a regular expression matches in its queries."""

        def change(query: str) -> str:
            return re.sub(pattern, lambda _: text, query)

        tables = {name: replace(table, select=change(table.select)) for name, table in self.tables.items()}
        counts = {
            name: count.model_copy(update={"select": change(count.select)}) for name, count in self.counts.items()
        }
        currency, merged = self.content.currency, self.content.merged
        content = self.content.model_copy(
            update={
                "currency": currency and currency.model_copy(update={"codes": change(currency.codes)}),
                "merged": merged and merged.model_copy(update={"ids": change(merged.ids)}),
            }
        )
        return replace(self, content=content, tables=tables, counts=counts)

    def with_table(self, table: str, text: TableText) -> "ReadyPart":
        """The part with another select for one of its tables."""
        return replace(self, tables={**self.tables, table: text})

    def cast_columns(self, pattern: str) -> set[str]:
        """The columns that are the first group of what a regular expression matches in its selects and counts."""
        selects = [text.select for text in (*self.tables.values(), *self.counts.values())]
        return {match[1] for select in selects for match in re.finditer(pattern, select)}

    def with_match(self, key: str) -> "ReadyPart":
        """The part with another column, or key in its column of JSON, that holds the id of the account."""
        match = self.match.model_copy(update={"key": key})
        # A column may stand for something else, too, such as in a join; an expression of its own is only the id.
        end = "" if self.match.value else " as account_id"
        moved = self.with_text(re.escape(self.match.expression + end) + r"(?!\w)", match.expression + end)
        return replace(moved, content=moved.content.model_copy(update={"match": match}))


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
