"""What commands print: tables for people and JSON for machines."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from rich.console import Console

    from cli.context import CliContext

ColumnKind = Literal["text", "id", "number", "band"]
Columns = Mapping[str, ColumnKind]
BAND_STYLES: Mapping[str, str] = {"low": "green", "watch": "yellow", "high": "red", "critical": "bold red"}
PIPE_WIDTH = 10_000  # nothing is wrapped if another program reads the output


def printable(text: str) -> str:
    """The text with characters that would steer a terminal written out.

    >>> print(printable("Acme" + chr(27) + "[2J"))
    Acme\\x1b[2J
    """
    lines = text.split("\n")
    return text if all(map(str.isprintable, lines)) else "\n".join(map(_write_out, lines))


def _write_out(line: str) -> str:
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in line)


@dataclass(frozen=True)
class OutputTable:
    """A table to print: ids and numbers are never broken, numbers are right-aligned, and bands are coloured."""

    columns: Columns
    title: str = ""
    rows: list[tuple[Sequence[str], str]] = field(default_factory=list)

    def add(self, *cells: str, style: str = "") -> None:
        """Add a row; its text is never taken for markup or for a command to the terminal."""
        self.rows.append((tuple(map(printable, cells)), style))

    def print(self, context: "CliContext") -> None:
        """Print the table, as wide as the terminal."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        title = Text(self.title) if self.title else None
        table = Table(
            title=title,
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            show_edge=False,
            pad_edge=False,
        )
        for title, kind in self.columns.items():
            justify = "right" if kind == "number" else "left"
            table.add_column(Text(title), justify=justify, no_wrap=kind != "text", overflow="fold")
        for cells, style in self.rows:
            kinds = self.columns.values()
            shown = [
                Text(cell, BAND_STYLES.get(cell, "") if kind == "band" else "")
                for cell, kind in zip(cells, kinds, strict=True)
            ]
            table.add_row(*shown, style=style)
        open_console(context).print(table)


def open_console(context: "CliContext") -> "Console":
    """The console for tables: as wide as the terminal, or without a limit if another program reads the output."""
    from rich.console import Console

    console = Console(stderr=context.as_json, highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def print_markdown(context: "CliContext", markdown: str) -> None:
    """Print Markdown as text with headings and tables, or as it is if another program reads it."""
    from rich.markdown import Markdown

    console = open_console(context)
    if console.is_terminal:
        console.print(Markdown(markdown))
    else:
        context.echo(markdown)


def format_points(points: float) -> str:
    """A driver's points in percent, with their sign."""
    return f"{points * 100:+.2f}"


def format_percent(share: float, decimals: int = 0) -> str:
    """A share as a percentage."""
    return f"{share * 100:.{decimals}f} %"


def format_count(count: int, singular: str, plural: str = "") -> str:
    """A number of things: 1 account, 1,686 accounts."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"


def format_verdict(verdict: str) -> str:
    """The verdict of a comparison in words."""
    return verdict.replace("non_", "non-").replace("_", " ")


def format_money(amount: float | None) -> str:
    """An amount without decimals; empty if it is not known."""
    return "" if amount is None else f"{amount:,.0f}"


def print_json(content: object) -> None:
    """Print strict JSON: numbers that JSON cannot express become null."""
    try:
        text = json.dumps(content, indent=1, default=_as_text, allow_nan=False)
    except ValueError:
        text = json.dumps(_replace_non_finite(content), indent=1, default=_as_text)
    click.echo(text)


def _as_text(content: object) -> str:
    from configs.clock import format_instant

    return format_instant(content) if isinstance(content, datetime) else str(content)


def _replace_non_finite(content: object) -> object:
    if isinstance(content, dict):
        return {name: _replace_non_finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_replace_non_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
