"""The text of the mapping that ready mappings are combined to, with the comments of each and what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from features.discovery.loaded_sources import LoadedSource
from features.drafting.mapping_file import comment_lines, currency_lines, quoted, span_lines
from features.drafting.observed_span import ObservedSpan, explain_until
from features.drafting.selects.currencies import find_currency
from features.drafting.selects.decisions import DecisionLog
from features.ready.combined_tables import CombinedTable
from features.ready.part import ReadyPart


@dataclass(frozen=True)
class CombinedMapping:
    """What the mapping of combined parts says."""

    name: str
    folder: str
    complete: tuple[datetime, str] | None
    span: ObservedSpan
    parts: Sequence[ReadyPart]
    tables: Sequence[CombinedTable]
    sources: Sequence[LoadedSource]
    decisions: DecisionLog


def combined_text(mapping: CombinedMapping) -> str:
    """The mapping as TOML."""
    span = mapping.span
    names = ", ".join(part.name for part in mapping.parts)
    usage = next((part.content.people for part in mapping.parts if "usage" in part.tables), "unknown")
    return "\n".join(
        [
            *comment_lines(f"Written by `oarlock init --from {names.replace(' ', '')}`. Read the comments once."),
            f"name = {quoted(mapping.name)}",
            *currency_lines(*find_currency(mapping.decisions)),
            *span_lines(mapping.complete, (span.until, explain_until(span), span.is_finished)),
            f"folder = {quoted(mapping.folder)}",
            f"people = {quoted(usage)}",
            "",
            *(line for remark in _remarks(mapping.decisions) for line in comment_lines(remark)),
            "",
            *(line for source in mapping.sources for line in _source_lines(source)),
            "[tables]",
            *(line for part in mapping.parts for line in comment_lines(f"{part.name}: {part.content.about}")),
            "",
            *(line for table in mapping.tables for line in _table_lines(table)),
        ]
    )


def _remarks(decisions: DecisionLog) -> list[str]:
    return [*map(str, decisions.answers), *map(str, decisions.notes)]


def _source_lines(source: LoadedSource) -> list[str]:
    mapping = source.mapping
    lines = [f"[sources.{source.name}]", f"files = {quoted(mapping.files)}"]
    lines += [line for evidence in source.evidence for line in comment_lines(evidence)]
    lines += [f"encoding = {quoted(mapping.encoding)}"] if mapping.encoding else []
    lines += [f"dates = {quoted(mapping.dates)}"] if mapping.dates else []
    lines += [f"table = {quoted(mapping.table)}"] if mapping.table else []
    return [*lines, ""]


def _table_lines(table: CombinedTable) -> list[str]:
    return [f"{table.text.comments}{table.name} = '''", table.text.select, "'''", ""]
