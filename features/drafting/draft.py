"""Drafts a mapping and settings for a folder of files: recognises its tables, decides, and proposes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from configs.errors import DataError
from features.compute.backends.duckdb import quote_name
from features.discovery.database_tables import DatabaseAddress
from features.drafting.draft_context import DraftContext, DraftRequest
from features.drafting.label_proposal import LabelProposal, propose_labels
from features.drafting.mapping_file import MappingContent, mapping_text, settings_text
from features.drafting.observed_span import ObservedSpan, explain_until, find_complete_from, find_span
from features.drafting.selects.currencies import find_currency
from features.drafting.selects.decisions import Decide, DecisionLog, Question
from features.drafting.selects.future_columns import leave_out_future_columns
from features.drafting.selects.select_draft import SelectDraft
from features.drafting.selects.subscription_rules import decide_end, drop_overwritten_columns
from features.drafting.selects.value_ranges import fit_answer_scales, fit_value_ranges
from features.drafting.table_drafts import draft_tables
from features.drafting.table_profile import TableProfile, profile_table
from features.drafting.unmapped_columns import UnmappedColumn, attribute_lines, find_unmapped
from features.drafting.unused_sources import ask_for_subscriptions, explain_unused


@dataclass(frozen=True)
class Draft:
    """A drafted mapping and settings file, with what was found out on the way."""

    mapping: str
    settings: str
    decisions: DecisionLog
    tables: tuple[TableProfile, ...]
    proposal: LabelProposal
    unused: Mapping[str, str]
    unmapped: tuple[UnmappedColumn, ...] = ()


def draft_files(request: DraftRequest, decide: Decide) -> Draft:
    """The mapping and settings for a folder. Raises DataError if its files are not the tables that are needed."""
    context = DraftContext(request, DecisionLog(decide))
    _require_tables(context)
    draft_tables(context)
    span = find_span(context)
    _apply_rules(context, span.until)
    complete = find_complete_from(context, span.begins)
    profiles = tuple(profile_table(table, _source_of(draft), context.query) for table, draft in context.drafts.items())
    begins = complete[0] if complete else span.begins
    proposal = propose_labels(set(context.drafts), (begins, span.until), context.query)
    content = _mapping_content(context, span, complete)
    unmapped = find_unmapped(content.sources, context.drafts, context.decisions.notes)
    settings = settings_text(request.name, request.mapping_file.name, proposal, attribute_lines(unmapped))
    return Draft(mapping_text(content), settings, context.decisions, profiles, proposal, content.unused, unmapped)


def _mapping_content(
    context: DraftContext, span: ObservedSpan, complete: tuple[datetime, str] | None
) -> MappingContent:
    request, equal_rows = context.request, _equal_rows(context)
    return MappingContent(
        name=request.name,
        currency=find_currency(context.decisions),
        folder=relative_folder(request.folder, request.mapping_file.parent),
        observed_from=complete,
        observed_until=(span.until, explain_until(span), span.is_finished),
        people=_people(context),
        equal_rows=equal_rows,
        sources=[source for source in context.sources if context.is_used(source.name)],
        styles=context.styles,
        drafts=list(context.drafts.values()),
        answers=context.decisions.answers,
        notes=context.decisions.notes,
        unused=_unused(context),
    )


def _require_tables(context: DraftContext) -> None:
    if "subscriptions" not in context.matches and "usage" not in context.matches:
        unit = "table" if isinstance(context.request.address, DatabaseAddress) else "file"
        described = "; ".join(f"{s.name} ({', '.join(list(s.profiles)[:8])})" for s in context.sources)
        raise DataError(
            f"{context.request.origin}: no {unit} is a table of subscriptions or of usage. The {unit}s: {described}.",
            "Subscriptions need an account, a start and a price; usage needs an account and the time of each event.",
        )
    if "subscriptions" not in context.matches:
        used = [match.source for match in context.matches.values()]
        ask_for_subscriptions([s for s in context.sources if s not in used], context.links, context.decisions)


def _apply_rules(context: DraftContext, until: datetime) -> None:
    """Apply the rules that look at the rows of the drafts."""
    if "subscriptions" in context.drafts:
        _apply_end_rules(context, context.drafts["subscriptions"], until)
    for table, draft in context.drafts.items():
        context.materialise(table)
        fit_value_ranges(draft, context.query, context.decisions)
        fit_answer_scales(draft, context.query, context.decisions)
        context.materialise(table)


def _apply_end_rules(context: DraftContext, draft: SelectDraft, until: datetime) -> None:
    for apply_rule in (decide_end, drop_overwritten_columns):
        apply_rule(draft, until, context.query, context.decisions)
        context.materialise("subscriptions")
    accounts, own = context.matches.get("accounts"), context.matches["subscriptions"]
    if accounts:
        leave_out_future_columns(context.drafts["accounts"], accounts, context.query, context.decisions)
    if own.link.through is None and (accounts is None or own.source is not accounts.source):
        leave_out_future_columns(draft, own, context.query, context.decisions)


def _equal_rows(context: DraftContext) -> str | None:
    """What equal rows of usage are, if its files repeat some."""
    for table in ("usage", "touches"):
        draft = context.drafts.get(table)
        if draft is None or draft.match is None:
            continue
        columns = ", ".join(map(quote_name, draft.match.source.profiles))
        counts = f"select count(*) as n from {quote_name(draft.match.source.name)} group by {columns}"
        (extra,) = context.query(f"select coalesce(sum(n - 1), 0)::bigint from ({counts})")[0]
        if extra and len(draft.match.source.loaded.group.files) > 1:
            evidence = f"{extra:,} rows of {table} are equal to another one in every column, over several files"
            choices = {"once": "equal rows are one event", "each": "each is an event of its own"}
            return context.decisions.ask(Question("equal_rows", "What are equal rows?", evidence, choices, "once"))
        if extra:
            context.decisions.note(table, f"{extra:,} rows are equal to another one in every column; each counts")
    return None


def _people(context: DraftContext) -> tuple[str, str]:
    usage = context.drafts.get("usage")
    if usage and "user_id" in usage.columns:
        return "named", "people: usage names its users"
    return "unknown", "people: usage says nothing about users"


def _unused(context: DraftContext) -> dict[str, str]:
    """The sources that no table reads, and why."""
    return {
        source.name: explain_unused(source, context.links.get(source.name))
        for source in context.sources
        if not context.is_used(source.name)
    }


def _source_of(draft: SelectDraft) -> str:
    return draft.match.source.name if draft.match else ""


def relative_folder(folder: Path, base: Path) -> str:
    """A folder as it is written in a mapping in `base`."""
    return Path(os.path.relpath(folder.resolve(), base.resolve())).as_posix()
