"""The signal dictionary: the catalogue for people to read, in Markdown and as one self-contained HTML page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from features.signals.base import Signal, family_label
from features.signals.families import family_order

TEMPLATE = Path(__file__).with_name("dictionary.html.jinja")
DIRECTIONS = {1: "a higher value can only raise the risk", -1: "a higher value can only lower the risk", 0: "learned"}
COLUMNS = ("Signal", "Label", "Meaning", "Unit", "Looks back", "Actionable", "Effect on risk", "Tables")


@dataclass(frozen=True)
class SignalEntry:
    """The entry of one signal in the dictionary, in words."""

    name: str
    label: str
    family: str
    sentence: str
    unit: str
    looks_back: str
    actionable: str
    direction: str
    tables: tuple[str, ...]
    coverage: str


def dictionary_entries(
    signals: Iterable[Signal], coverage: Mapping[str, float] | None = None
) -> dict[str, list[SignalEntry]]:
    """The entries of each family that has signals, by name; `coverage` is the share of snapshots with a value."""
    signals = tuple(signals)
    tables = required_tables(signals)
    listed = [_entry(signal, tables[signal.name], (coverage or {}).get(signal.name)) for signal in signals]
    families = family_order(signal.family for signal in signals)
    by_family = {family: [entry for entry in listed if entry.family == family] for family in families}
    return {family: sorted(members, key=_stem_and_window) for family, members in by_family.items() if members}


def render_markdown(signals: Iterable[Signal], coverage: Mapping[str, float] | None = None) -> str:
    """The catalogue as Markdown, a table per family."""
    columns = (*COLUMNS, "Coverage") if coverage else COLUMNS
    families = dictionary_entries(signals, coverage)
    lines = ["# Signals", "", f"{sum(map(len, families.values()))} signals in {len(families)} families."]
    for family, members in families.items():
        lines += ["", f"## {_heading(family)} ({len(members)})", ""]
        lines += [_line(columns), _line(["---"] * len(columns))]
        lines += [_line(_cells(entry)[: len(columns)]) for entry in members]
    return "\n".join(lines) + "\n"


def render_html(signals: Iterable[Signal], coverage: Mapping[str, float] | None = None) -> str:
    """The catalogue as one HTML page with search and filters that loads nothing from other files or hosts."""
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return page.from_string(TEMPLATE.read_text("utf-8")).render(
        families=dictionary_entries(signals, coverage), heading=_heading, with_coverage=bool(coverage)
    )


def required_tables(signals: tuple[Signal, ...]) -> dict[str, tuple[str, ...]]:
    """The raw tables each signal needs, including those of the signals that it is computed from."""
    tables: dict[str, tuple[str, ...]] = {}
    for signal in signals:
        needed = [(signal.table.source,)] if signal.table else [tables.get(name, ()) for name in signal.inputs]
        tables[signal.name] = tuple(dict.fromkeys(table for group in needed for table in group))
    return tables


def _entry(signal: Signal, tables: tuple[str, ...], coverage: float | None) -> SignalEntry:
    return SignalEntry(
        name=signal.name,
        label=signal.label,
        family=signal.family,
        sentence=f"{signal.sentence} If empty: {signal.absent}." if signal.absent else signal.sentence,
        unit=signal.unit or signal.kind,
        looks_back="all history" if signal.days is None else f"{signal.days} days",
        actionable="yes" if signal.actionable else "no",
        direction=DIRECTIONS[signal.direction],
        tables=tables,
        coverage="" if coverage is None else f"{coverage:.0%}",
    )


def _heading(family: str) -> str:
    return family_label(family).capitalize()


def _stem_and_window(entry: SignalEntry) -> tuple[str, int]:
    """Sorts by name, and the windows of one signal from short to long."""
    stem, _, window = entry.name.rpartition("_")
    return (stem, int(window[:-1])) if window[:-1].isdigit() else (entry.name, 0)


def _cells(entry: SignalEntry) -> list[str]:
    texts = [entry.label, entry.sentence, entry.unit, entry.looks_back, entry.actionable, entry.direction]
    return [
        f"`{entry.name}`",
        *(cell.replace("|", "\\|") for cell in (*texts, ", ".join(entry.tables), entry.coverage)),
    ]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
