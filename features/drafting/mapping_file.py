"""Writes the mapping and the settings file of a draft, with every decision and its evidence as a comment."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from features.discovery.recognition import ProfiledSource
from features.drafting.label_proposal import LabelProposal
from features.drafting.selects.column_expressions import SourceStyle
from features.drafting.selects.decisions import Answer, DataNote
from features.drafting.selects.select_draft import SelectDraft

WIDTH = 118


@dataclass(frozen=True)
class MappingContent:
    """What the mapping of a draft says."""

    name: str
    folder: str
    observed_from: tuple[datetime, str] | None
    observed_until: tuple[datetime, str, bool]
    people: tuple[str, str]
    equal_rows: str | None
    sources: Sequence[ProfiledSource]
    styles: Mapping[str, SourceStyle]
    drafts: Sequence[SelectDraft]
    answers: Sequence[Answer]
    notes: Sequence[DataNote]
    unused: Mapping[str, str]


def mapping_text(content: MappingContent) -> str:
    """The mapping as TOML."""
    return "\n".join(
        [
            *_comment("Drafted by `oarlock init`. Each comment says what a line was decided by: read them once."),
            f"name = {_quoted(content.name)}",
            *_span_lines(content),
            f"folder = {_quoted(content.folder)}",
            *_comment(content.people[1]),
            f"people = {_quoted(content.people[0])}",
            *([f"equal_rows = {_quoted(content.equal_rows)}"] if content.equal_rows else []),
            "",
            *_decision_lines(content),
            *_source_lines(content),
            "[tables]",
            *(line for draft in content.drafts for line in _table_lines(draft)),
        ]
    )


def settings_text(name: str, mapping_file: str, proposal: LabelProposal) -> str:
    """The settings as TOML."""
    reasons = proposal.reasons
    churners = ", ".join(f"{count:,} within {days} days" for days, count in sorted(proposal.churners.items()))
    inactive = [f"inactive_days = {proposal.inactive_days}"] if proposal.inactive_days else []
    return "\n".join(
        [
            *_comment(f"Drafted by `oarlock init` for {name}. The reference of the settings lists all others."),
            'state = "state"',
            "",
            "[data]",
            f"dataset = {_quoted(mapping_file)}",
            "",
            "[snapshots]",
            f"warmup_days = {proposal.warmup_days}",
            "",
            "[label]",
            *_comment(reasons["mode"]),
            f"mode = {_quoted(proposal.mode)}",
            *_comment(f"{reasons['horizon_days']}. Accounts that left around the calibration days: {churners}"),
            f"horizon_days = {proposal.horizon_days}",
            *inactive,
            *_comment(reasons["lead_days"]),
            f"lead_days = {proposal.lead_days}",
            *_comment(reasons["grace_days"]),
            f"grace_days = {proposal.grace_days}",
            "",
            "[evaluation]",
            *_comment(reasons["capacity"]),
            f"capacity = {proposal.capacity}",
            "",
        ]
    )


def with_quarantine(settings: str, evidence: str) -> str:
    """The settings under which rows outside the contract are set aside."""
    lines = ["[data]", *_comment(evidence), 'on_invalid_rows = "quarantine"']
    return settings.replace("[data]", "\n".join(lines), 1)


def _span_lines(content: MappingContent) -> list[str]:
    until, why_until, is_finished = content.observed_until
    lines = []
    if content.observed_from:
        lines += [*_comment(content.observed_from[1]), f"observed_from = {_instant(content.observed_from[0])}"]
    mark = "" if is_finished else "# "
    return [*lines, *_comment(why_until), f"{mark}observed_until = {_instant(until)}"]


def _decision_lines(content: MappingContent) -> list[str]:
    lines = [line for answer in content.answers for line in _comment(str(answer))]
    lines += [line for finding in content.notes for line in _comment(str(finding))]
    lines += [line for name, why in content.unused.items() for line in _comment(f"{name} is not used: {why}")]
    return [*lines, ""] if lines else []


def _source_lines(content: MappingContent) -> list[str]:
    lines = []
    for source in content.sources:
        style, mapping = content.styles[source.name], source.loaded.mapping
        lines += [f"[sources.{source.name}]", f"files = {_quoted(mapping.files)}"]
        for evidence in source.loaded.evidence:
            lines += _comment(evidence)
        lines += [f"encoding = {_quoted(mapping.encoding)}"] if mapping.encoding else []
        lines += [f"decimal = {_quoted(style.decimal)}"] if style.decimal != "." else []
        lines += [f"dates = {_quoted(style.dates)}"] if style.dates else []
        lines += [f"time_zone = {_quoted(style.zone)}"] if style.zone else []
        lines += [f"table = {_quoted(mapping.table)}"] if mapping.table else []
        lines.append("")
    return lines


def _table_lines(draft: SelectDraft) -> list[str]:
    comments = [line for comment in draft.comments for line in _comment(comment)]
    return [*comments, f"{draft.table} = '''", draft.sql(), "'''", ""]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH, break_long_words=False)]


def _quoted(text: str | None) -> str:
    return json.dumps(text, ensure_ascii=False)


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
