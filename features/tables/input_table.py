"""The table that a signal is computed from: a raw one, or one derived from it."""

from collections.abc import Mapping
from dataclasses import dataclass

from features.tables.contract import CONTRACT, TableContract
from features.tables.derived import DERIVED, DerivedTable


@dataclass(frozen=True, eq=False)
class InputTable:
    """A table by the name that formulas call it; `contract` is that of the raw table behind it.

    Two are equal only if they are the same object, because contracts cannot be hashed.
    """

    name: str
    contract: TableContract
    derived: DerivedTable | None = None

    @property
    def source(self) -> str:
        """The raw table behind it, which may be the table itself."""
        return self.contract.name


def input_tables(contract: Mapping[str, TableContract], derived: Mapping[str, DerivedTable]) -> dict[str, InputTable]:
    """The tables that signals can be computed from, by name."""
    raw = {name: InputTable(name, table) for name, table in contract.items()}
    return raw | {name: InputTable(name, contract[table.source], table) for name, table in derived.items()}


INPUT_TABLES: Mapping[str, InputTable] = input_tables(CONTRACT, DERIVED)
