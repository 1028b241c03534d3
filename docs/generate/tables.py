"""The pages of the raw tables and of the signals."""

from typing import TYPE_CHECKING

from docs.generate.markdown import join, table

if TYPE_CHECKING:
    from features.tables.contract import ColumnContract, TableContract

COLUMNS = ("column", "type", "required", "known from", "meaning")
HEAD = """# Raw tables

The tables that a company brings. All instants are UTC. `accounts` is required, and `subscriptions`, or `usage` if churn
is inactivity. A table that is missing makes its signals absent, not zero.

*Known from* says when a value counts. Without it the value counts from when its row happened, or was recorded
(`recorded_at`)."""


def raw_tables_page() -> str:
    """Every table of the contract with its columns."""
    from features.tables.contract import CONTRACT

    parts = [HEAD]
    for raw_table in CONTRACT.values():
        rows = [
            (f"`{name}`", column.type, "yes" if column.required else "", _known_from(column), column.meaning)
            for name, column in raw_table.columns.items()
        ]
        parts += [f"## {raw_table.name}", _note(raw_table), table(COLUMNS, rows)]
    return join(parts)


def signals_page() -> str:
    """The signal dictionary."""
    from features.reports.dictionary import render_markdown
    from features.signals.registry import catalogue

    return render_markdown(catalogue())


def _note(raw_table: "TableContract") -> str:
    happened = f"A row happened at `{raw_table.at}`." if raw_table.at else "Its rows are known from the start."
    key = " and ".join(f"`{name}`" for name in raw_table.key)
    return f"{happened} Unique by {key}." if key else happened


def _known_from(column: "ColumnContract") -> str:
    later = f"{column.settles_days} days after" if column.settles_days else ""
    start = f"`{column.known_at}`" if column.known_at else "its row" if later else ""
    return f"{later} {start}".strip()
