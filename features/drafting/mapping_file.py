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
from features.tables.mapping import SourceMapping

WIDTH = 118


@dataclass(frozen=True)
class MappingContent:
    """What the mapping of a draft says."""

    name: str
    currency: tuple[str | None, str]
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
            *comment_lines("Drafted by `oarlock init`. Each comment says what a line was decided by: read them once."),
            f"name = {quoted(content.name)}",
            *currency_lines(*content.currency),
            *span_lines(content.observed_from, content.observed_until),
            f"folder = {quoted(content.folder)}",
            *comment_lines(content.people[1]),
            f"people = {quoted(content.people[0])}",
            *([f"equal_rows = {quoted(content.equal_rows)}"] if content.equal_rows else []),
            "",
            *_decision_lines(content),
            *_source_lines(content),
            "[tables]",
            *(line for draft in content.drafts for line in _table_lines(draft)),
        ]
    )


def settings_text(name: str, mapping_file: str, proposal: LabelProposal, attributes: Sequence[str] = ()) -> str:
    """The settings as TOML; `attributes` are lines at its end."""
    reasons = proposal.reasons
    churners = ", ".join(f"{count:,} within {days} days" for days, count in sorted(proposal.churners.items()))
    inactive = [f"inactive_days = {proposal.inactive_days}"] if proposal.inactive_days else []
    return "\n".join(
        [
            *comment_lines(f"Drafted by `oarlock init` for {name}. The reference of the settings lists all others."),
            'state = "state"',
            "",
            "[data]",
            f"dataset = {quoted(mapping_file)}",
            "",
            "[snapshots]",
            f"warmup_days = {proposal.warmup_days}",
            "",
            "[label]",
            *comment_lines(reasons["mode"]),
            f"mode = {quoted(proposal.mode)}",
            *comment_lines(f"{reasons['horizon_days']}. Accounts that left around the calibration days: {churners}"),
            f"horizon_days = {proposal.horizon_days}",
            *inactive,
            *comment_lines(reasons["lead_days"]),
            f"lead_days = {proposal.lead_days}",
            *comment_lines(reasons["grace_days"]),
            f"grace_days = {proposal.grace_days}",
            "",
            "[evaluation]",
            *comment_lines(reasons["capacity"]),
            f"capacity = {proposal.capacity}",
            "",
            *([*attributes, ""] if attributes else []),
        ]
    )


def with_quarantine(settings: str, evidence: str) -> str:
    """The settings under which rows outside the contract are set aside."""
    lines = ["[data]", *comment_lines(evidence), 'on_invalid_rows = "quarantine"']
    return settings.replace("[data]", "\n".join(lines), 1)


def span_lines(observed_from: tuple[datetime, str] | None, observed_until: tuple[datetime, str, bool]) -> list[str]:
    """The lines of a mapping that say from when to when its tables are complete, with the reasons.

    An end that moves with the files is a comment.
    """
    until, why_until, is_finished = observed_until
    lines = []
    if observed_from:
        lines += [*comment_lines(observed_from[1]), f"observed_from = {_instant(observed_from[0])}"]
    mark = "" if is_finished else "# "
    return [*lines, *comment_lines(why_until), f"{mark}observed_until = {_instant(until)}"]


def currency_lines(currency: str | None, reason: str) -> list[str]:
    """The line of a mapping that names the currency, with the reason; a comment if it is not known."""
    line = f"currency = {quoted(currency)}" if currency else '# currency = "EUR"'
    return [*comment_lines(reason), line]


def comment_lines(text: str) -> list[str]:
    """A text as comments of TOML."""
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH, break_long_words=False)]


def quoted(text: str | None) -> str:
    """A text as a string of TOML."""
    return json.dumps(text, ensure_ascii=False)


def read_assumptions(mapping: str) -> list[str]:
    """What a drafted mapping assumed, by the comments that are still in it.

    >>> read_assumptions("# Assumed a = b: it is so. Evidence: 3 of" + chr(10) + "# 4 rows." + chr(10) + "# usage: x")
    ['Assumed a = b: it is so. Evidence: 3 of 4 rows.']
    """
    assumptions, text = [], ""
    for line in mapping.splitlines():
        if not line.startswith("# "):
            text = ""
        elif line.startswith("# Assumed ") or text:
            text = f"{text} {line[2:]}".strip()
            if "Evidence: " in text and text.endswith("."):
                assumptions.append(text)
                text = ""
    return assumptions


def _decision_lines(content: MappingContent) -> list[str]:
    lines = [line for answer in content.answers for line in comment_lines(str(answer))]
    lines += [line for finding in content.notes for line in comment_lines(str(finding))]
    lines += [line for name, why in content.unused.items() for line in comment_lines(f"{name} is not used: {why}")]
    return [*lines, ""] if lines else []


def _source_lines(content: MappingContent) -> list[str]:
    lines = []
    for source in content.sources:
        style, mapping = content.styles[source.name], source.loaded.mapping
        lines += [f"[sources.{source.name}]", *_place_lines(mapping)]
        for evidence in source.loaded.evidence:
            lines += comment_lines(evidence)
        lines += [f"encoding = {quoted(mapping.encoding)}"] if mapping.encoding else []
        lines += [f"decimal = {quoted(style.decimal)}"] if style.decimal != "." else []
        lines += [f"dates = {quoted(style.dates)}"] if style.dates else []
        lines += [f"time_zone = {quoted(style.zone)}"] if style.zone else []
        lines += [f"table = {quoted(mapping.table)}"] if mapping.table else []
        lines.append("")
    return lines


def _place_lines(mapping: SourceMapping) -> list[str]:
    if mapping.database is None:
        endpoint = [f"endpoint = {quoted(mapping.endpoint)}"] if mapping.endpoint else []
        return [f"files = {quoted(mapping.files)}", *endpoint]
    password = [f"password_env = {quoted(mapping.password_env)}"] if mapping.password_env else []
    return [f"database = {quoted(mapping.database)}", *password]


def _table_lines(draft: SelectDraft) -> list[str]:
    comments = [line for comment in draft.comments for line in comment_lines(comment)]
    return [*comments, f"{draft.table} = '''", draft.sql(), "'''", ""]


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
