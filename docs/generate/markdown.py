"""Markdown: paragraphs and tables."""

from collections.abc import Iterable


def join(parts: Iterable[str]) -> str:
    """Paragraphs as a page; empty ones are left out.

    >>> join(["# Title", "", "Text."])
    '# Title\\n\\nText.\\n'
    """
    return "\n\n".join(part for part in parts if part) + "\n"


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; a bar in a cell is escaped.

    >>> print(table(["a", "b"], [["1", "x|y"]]))
    | a | b |
    | --- | --- |
    | 1 | x\\|y |
    """
    head = list(columns)
    lines = [head, ["---"] * len(head), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def first_line(docstring: str | None) -> str:
    """The promise of a docstring."""
    return (docstring or "").partition("\n")[0]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
