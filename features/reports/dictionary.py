"""The dictionary: the catalogue as people read it, in Markdown and as one HTML page that needs nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from features.signals.base import Signal
from features.signals.registry import FAMILIES, is_table, source_of

TEMPLATE = Path(__file__).with_name("dictionary.html.jinja")
DIRECTIONS = {1: "a higher value can only raise the risk", -1: "a higher value can only lower the risk", 0: "learned"}
COLUMNS = ("Signal", "Meaning", "Unit", "Looks back", "Actionable", "Direction", "Tables")


@dataclass(frozen=True)
class Entry:
    """What the dictionary says about one signal, in words."""

    name: str
    family: str
    sentence: str
    unit: str
    looks_back: str
    actionable: str
    direction: str
    tables: tuple[str, ...]
    coverage: str


def entries(signals: Iterable[Signal], coverage: Mapping[str, float] | None = None) -> dict[str, list[Entry]]:
    """The entries of each family that has any, by name; `coverage` is the share of snapshots that have the value."""
    found = tuple(signals)
    tables = tables_of(found)
    listed = [_entry(one, tables[one.name], (coverage or {}).get(one.name)) for one in found]
    by_family = {family: [one for one in listed if one.family == family] for family in FAMILIES}
    return {family: _by_stem(members) for family, members in by_family.items() if members}


def as_markdown(signals: Iterable[Signal], coverage: Mapping[str, float] | None = None) -> str:
    """The catalogue as Markdown, a table per family."""
    columns = (*COLUMNS, "Coverage") if coverage else COLUMNS
    families = entries(signals, coverage)
    lines = ["# Signals", "", f"{sum(map(len, families.values()))} signals in {len(families)} families."]
    for family, members in families.items():
        lines += ["", f"## {family.capitalize()} ({len(members)})", ""]
        lines += [_line(columns), _line(["---"] * len(columns))]
        lines += [_line(_cells(one)[: len(columns)]) for one in members]
    return "\n".join(lines) + "\n"


def as_html(signals: Iterable[Signal], coverage: Mapping[str, float] | None = None) -> str:
    """The catalogue as one HTML page that can be searched and filtered, without anything from elsewhere."""
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(TEMPLATE.read_text("utf-8")).render(
        families=entries(signals, coverage), with_coverage=bool(coverage)
    )


def _entry(one: Signal, tables: tuple[str, ...], coverage: float | None) -> Entry:
    return Entry(
        name=one.name,
        family=one.family,
        sentence=one.sentence,
        unit=one.unit or one.kind,
        looks_back="without limit" if one.days is None else f"{one.days} days",
        actionable="yes" if one.actionable else "no",
        direction=DIRECTIONS[one.direction],
        tables=tables,
        coverage="" if coverage is None else f"{coverage:.0%}",
    )


def tables_of(signals: tuple[Signal, ...]) -> dict[str, tuple[str, ...]]:
    """The raw tables each signal needs, also by way of the signals that it is made of."""
    needed: dict[str, tuple[str, ...]] = {}
    for one in signals:
        found = [(source_of(name),) if is_table(name) else needed.get(name, ()) for name in one.inputs]
        needed[one.name] = tuple(dict.fromkeys(table for tables in found for table in tables))
    return needed


def _by_stem(members: list[Entry]) -> list[Entry]:
    """By name, the windows of one signal from short to long."""

    def place(one: Entry) -> tuple[str, int]:
        stem, _, window = one.name.rpartition("_")
        return (stem, int(window[:-1])) if window[:-1].isdigit() else (one.name, 0)

    return sorted(members, key=place)


def _cells(one: Entry) -> list[str]:
    cells = [one.sentence, one.unit, one.looks_back, one.actionable, one.direction, ", ".join(one.tables), one.coverage]
    return [f"`{one.name}`", *(cell.replace("|", "\\|") for cell in cells)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
