"""The table of outages in the documentation, which the test of the outages writes and compares itself with."""

from collections.abc import Mapping
from pathlib import Path

from tests.support.outages.faults import FAULTS
from tests.support.outages.operations import OPERATIONS, Outcome
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "reference" / "outages.md"
ANSWERS, SENTENCES = "## Answers", "## What is said"
Cell = tuple[str, str]


def read_promises(page: Path = PAGE) -> dict[Cell, Cell]:
    """The answer and the sentence that the page promises for each outage and operation."""
    text = page.read_text()
    answers = _rows(text.partition(ANSWERS)[2].partition(SENTENCES)[0])
    sentences = {(fault, operation): sentence for fault, operation, sentence in _rows(text.partition(SENTENCES)[2])}
    return {
        (fault, operation): (answer, sentences.get((fault, operation), ""))
        for fault, *row in answers
        for operation, answer in zip(OPERATIONS, row, strict=True)
    }


def write_promises(outcomes: Mapping[Cell, Outcome], page: Path = PAGE) -> None:
    """Write these cells into both tables of the page; the others, and what stands before them, stay."""
    seen = {cell: (outcome.answer, outcome.sentence) for cell, outcome in outcomes.items()}
    cells = read_promises(page) | seen
    rows = [[fault, *(cells.get((fault, name), ("", ""))[0] for name in OPERATIONS)] for fault in FAULTS]
    ordered = [(fault, name) for fault in FAULTS for name in OPERATIONS]
    said = [[*cell, cells[cell][1]] for cell in ordered if cells.get(cell, ("", ""))[1]]
    introduction = page.read_text().partition(ANSWERS)[0]
    answers = _table(["", *OPERATIONS], rows)
    sentences = _table(["outage", "operation", "message"], said)
    page.write_text(f"{introduction}{ANSWERS}\n\n{answers}\n\n{SENTENCES}\n\n{sentences}\n")


def _table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
