"""The pages of the raw tables and of the signals."""

from typing import TYPE_CHECKING

from docs.generate.markdown import join, table

if TYPE_CHECKING:
    from features.tables.contract import ColumnContract, TableContract

COLUMNS = ("column", "type", "required", "allowed", "known from", "meaning")
HEAD = """# Raw tables

The tables that a company brings. All instants are UTC. `accounts` is required, and `subscriptions`, or `usage` if churn
is inactivity. A table that is missing makes its signals absent, not zero.

A column of a CSV file is text that is cast to these types: a number has a decimal point (or the mark that its source
declares) and no thousands separator, an instant is ISO 8601 or in the order or format of its source, a flag is true,
yes, t, y or 1, or false, no, f, n or 0, in any case. See [CSV files](../how-to/bring-your-own-data.md#csv-files).

*Allowed* says which words and numbers a column may hold. Words are read in any case, and with spaces or hyphens for
underscores: `In-App` is `in_app`. A row with another word or number breaks the contract. No number may be NaN or
infinite.

Of several rows with one key, one counts: the one with the latest `recorded_at`, then with the latest of its other
instants, then with the highest of its other values, in the order of the columns, an empty one last. The others break
the contract. A row in which a part of the key is empty repeats no other, so all anonymous answers of a survey count.

*Known from* says when a value counts. Without it the value counts from when its row happened, or was recorded
(`recorded_at`)."""


def raw_tables_page() -> str:
    """Every table of the contract with its columns."""
    from features.tables.contract import ACCOUNT_MERGES, CONTRACT

    parts = [HEAD]
    for raw_table in (*CONTRACT.values(), ACCOUNT_MERGES):
        rows = [
            (
                f"`{name}`",
                column.type,
                "yes" if column.required else "",
                _allowed(column),
                _known_from(column),
                column.meaning,
            )
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


def _allowed(column: "ColumnContract") -> str:
    words = column.values or column.known_values
    listed = ", ".join(f"`{word}`" for word in words)
    by_word = ", ".join(f"{limits} for `{word}`" for word, limits in column.ranges.items())
    return (
        by_word
        or (str(column.range) if column.range else "")
        or (f"such as {listed}" if column.known_values else listed)
    )


def _known_from(column: "ColumnContract") -> str:
    later = f"{column.settles_days} days after" if column.settles_days else ""
    start = f"`{column.known_at}`" if column.known_at else "its row" if later else ""
    return f"{later} {start}".strip()
