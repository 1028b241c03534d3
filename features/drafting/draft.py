"""Drafts a mapping and settings for a folder of files: recognises its tables, decides, and proposes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from configs.errors import DataError
from features.compute.backends.duckdb import quote_name
from features.discovery.account_keys import REPAIRS, KeyMatch, compare_keys, find_links
from features.discovery.column_profile import ColumnProfile, profile_column
from features.discovery.loaded_sources import load_sources
from features.discovery.recognition import ProfiledSource, TableMatch, match_tables
from features.discovery.source_files import FileGroup, group_files
from features.drafting.column_expressions import SourceStyle
from features.drafting.decisions import Decide, Notebook, Query, Question
from features.drafting.future_columns import leave_out_future_columns
from features.drafting.label_proposal import LabelProposal, propose_labels
from features.drafting.mapping_file import MappingContent, mapping_text, settings_text
from features.drafting.row_filters import (
    convert_currencies,
    leave_out_deleted,
    leave_out_test_accounts,
    leave_out_trials,
)
from features.drafting.select_draft import SelectDraft, draft_select, materialise
from features.drafting.subscription_rules import (
    complete_subscription,
    decide_end,
    drop_overwritten_columns,
    find_end_in_accounts,
)
from features.drafting.table_profile import TableProfile, profile_table
from features.drafting.unused_sources import ask_for_subscriptions, explain_unused
from features.ingestion.files.csv_source import connection_of
from features.publishing.data_span import count_events_by_day, last_covered_day
from features.tables.contract import CONTRACT
from features.tables.mapping import is_text
from features.tables.raw_table import RawTable

FINISHED_AFTER_DAYS = 8
LATE_DAYS, STRAY_SHARE = 60, 0.001
FIRST_DEPARTURE = """select min(left_at) from (select account_id, max(ended_at) as left_at,
bool_or(ended_at is null) as runs from drafted_subscriptions group by 1) where not runs"""
AMOUNTS = {"subscriptions": "mrr", "invoices": "amount"}


@dataclass(frozen=True)
class Draft:
    """A drafted mapping and settings file, with what was found out on the way."""

    mapping: str
    settings: str
    notebook: Notebook
    tables: tuple[TableProfile, ...]
    proposal: LabelProposal
    unused: Mapping[str, str]


@dataclass(frozen=True)
class DraftRequest:
    """The folder to draft for, where the files will be, and the present time."""

    folder: Path
    mapping_file: Path
    now: datetime
    scratch: Path

    @property
    def name(self) -> str:
        """The name of the data set."""
        return self.folder.resolve().name


class _Workshop:
    """The sources and drafts of a run, on one backend."""

    def __init__(self, request: DraftRequest, notebook: Notebook) -> None:
        self.request, self.notebook = request, notebook
        groups = group_files(request.folder)
        _note_copies(groups, notebook)
        self.backend, loaded = load_sources(groups, request.scratch)
        connection = connection_of(self.backend)
        self.query: Query = lambda sql: connection.execute(sql).fetchall()
        self.sources = [
            ProfiledSource(source, {name: profile_column(connection, source.name, name) for name in source.columns})
            for source in loaded
        ]
        self.links = find_links(connection, self.sources)
        self.matches = {match.table: match for match in match_tables(self.sources, self.links)}
        self.styles = _common_styles(
            self.sources, {source.name: _source_style(source, notebook) for source in self.sources}
        )
        self.drafts: dict[str, SelectDraft] = {}
        self.rows: dict[str, RawTable] = {}

    def style(self, table: str) -> SourceStyle:
        """How the source of a table writes numbers and dates."""
        match = self.drafts[table].match or self.matches.get(table) or next(iter(self.matches.values()))
        return self.styles[match.source.name]

    def materialise(self, table: str) -> None:
        """Compute a draft, so that rules can look at its rows."""
        self.rows[table] = materialise(self.backend, self.drafts[table], self.style(table))


def draft_files(request: DraftRequest, decide: Decide) -> Draft:
    """The mapping and settings for a folder. Raises DataError if its files are not the tables that are needed."""
    shop = _Workshop(request, Notebook(decide))
    _require_tables(shop)
    keys = _compare_account_keys(shop)
    for table in shop.matches:
        _draft_table(shop, table, keys.get(table))
    _draft_missing_accounts(shop)
    begins, until, is_finished = _find_span(shop)
    _apply_end_rules(shop, until)
    _drop_out_of_range(shop)
    for table in shop.drafts:
        shop.materialise(table)
    unused, complete = _unused(shop), _observed_from(shop, begins)
    profiles = tuple(profile_table(table, _source_of(draft), shop.query) for table, draft in shop.drafts.items())
    span = (complete[0] if complete else begins, until)
    proposal = propose_labels(set(shop.drafts), span, shop.query)
    content = MappingContent(
        name=request.name,
        folder=_relative(request.folder, request.mapping_file.parent),
        observed_from=complete,
        observed_until=(until, _why_until(until, is_finished), is_finished),
        people=_people(shop),
        equal_rows=_equal_rows(shop),
        sources=[source for source in shop.sources if _is_used(shop, source.name)],
        styles=shop.styles,
        drafts=list(shop.drafts.values()),
        answers=shop.notebook.answers,
        notes=shop.notebook.notes,
        unused=unused,
    )
    settings = settings_text(request.name, request.mapping_file.name, proposal)
    return Draft(mapping_text(content), settings, shop.notebook, profiles, proposal, unused)


def _note_copies(groups: Sequence[FileGroup], notebook: Notebook) -> None:
    for group in groups:
        for copy, original in group.copies:
            notebook.note(group.name, f"{copy.name} is a copy of {original.name}, to the byte, and is left out")


def _source_style(source: ProfiledSource, notebook: Notebook) -> SourceStyle:
    profiles = source.profiles.values()
    has_comma = any(profile.counts["comma_not_thousands"] for profile in profiles if profile.is_number)
    has_point = any(p.counts["number"] > p.counts["integer"] for p in profiles if p.is_number)
    decimal = "," if has_comma and not has_point else "."
    return SourceStyle(decimal, _date_order(source, notebook), _time_zone(source, notebook))


def _time_zone(source: ProfiledSource, notebook: Notebook) -> str | None:
    """The zone of times that are written without one; None for UTC, and for a source without such times."""
    local = _local_columns(source)
    if not local or not all(map(is_text, source.loaded.group.files)):
        return None
    example = f"{local[0].name} = {local[0].values[0]}"
    mixed = sum(profile.counts["zoned"] for profile in local)
    evidence = f"{local[0].local_times:,} times have none" + (f", and {mixed:,} have one" if mixed else "")
    question = Question(
        f"time_zone.{source.name}",
        f"In which time zone are the times of '{source.name}', such as {example}? UTC, or a name such as Europe/Berlin",
        evidence,
        default="UTC",
    )
    zone = notebook.ask(question)
    return None if zone == "UTC" else zone


def _common_styles(sources: Sequence[ProfiledSource], styles: Mapping[str, SourceStyle]) -> dict[str, SourceStyle]:
    """The styles under which one select may read several sources: a mark or zone of one is that of all, if it can be.

    A decimal comma beside decimal points of another source is replaced in the selects instead.
    """
    has_point = any(
        p.counts["number"] > p.counts["integer"] for source in sources for p in source.profiles.values() if p.is_number
    )
    has_comma = any(style.decimal == "," for style in styles.values())
    decimal = "," if has_comma and not has_point else "."
    zones = {style.zone for source in sources if _local_columns(source) for style in (styles[source.name],)}
    zone = zones.pop() if len(zones) == 1 else None
    return {name: replace(style, decimal=decimal, zone=style.zone or zone) for name, style in styles.items()}


def _local_columns(source: ProfiledSource) -> list[ColumnProfile]:
    return [profile for profile in source.profiles.values() if profile.is_instant and profile.local_times > 0]


def _date_order(source: ProfiledSource, notebook: Notebook) -> str | None:
    """The order of day and month of a source; a person says it if both fit every date."""
    columns = [profile for profile in source.profiles.values() if profile.counts["ordered"] and profile.is_instant]
    if not columns:
        return None
    orders = [order for order in ("day_first", "month_first") if all(order in p.date_orders for p in columns)]
    example = f"{columns[0].name} = {columns[0].values[0]}"
    if len(orders) == 1:
        notebook.note(source.name, f"dates are {orders[0].replace('_', ' ')}: the other order does not fit every row")
        return orders[0]
    evidence = "both orders fit every date" if orders else "neither order fits every date"
    question = Question(
        f"dates.{source.name}",
        f"In '{source.name}', which comes first in {example}: the day or the month?",
        evidence,
        {"day_first": "the day comes first", "month_first": "the month comes first"},
    )
    return notebook.ask(question)


def _require_tables(shop: _Workshop) -> None:
    if "subscriptions" not in shop.matches and "usage" not in shop.matches:
        described = "; ".join(f"{s.name} ({', '.join(list(s.profiles)[:8])})" for s in shop.sources)
        raise DataError(
            f"{shop.request.folder}: no file is a table of subscriptions or of usage. Files: {described}.",
            "Subscriptions need an account, a start and a price; usage needs an account and the time of each event.",
        )
    if "subscriptions" not in shop.matches:
        used = [match.source for match in shop.matches.values()]
        ask_for_subscriptions([s for s in shop.sources if s not in used], shop.links, shop.notebook)


def _compare_account_keys(shop: _Workshop) -> dict[str, KeyMatch]:
    """How the ids of each table match those of the accounts, by the source that holds the ids."""
    accounts = shop.matches.get("accounts")
    if accounts is None:
        return {}
    key = (accounts.source.name, accounts.link.column)
    connection = connection_of(shop.backend)
    return {
        table: compare_keys(
            connection, (match.link.through or match.source.name, match.link.through_account or match.link.column), key
        )
        for table, match in shop.matches.items()
        if table != "accounts" and match.source is not accounts.source
    }


def _common_repair(keys: Mapping[str, KeyMatch]) -> str:
    """The repair of ids that any table needs; it is applied to all, so that they stay equal."""
    needed = {match.repair for match in keys.values() if match.repaired > match.matched and not match.collisions}
    return max(needed, key=list(REPAIRS).index, default="as written")


def _draft_table(shop: _Workshop, table: str, key: KeyMatch | None) -> None:
    match, notebook = shop.matches[table], shop.notebook
    repair = _common_repair(_compare_account_keys(shop))
    draft = draft_select(match, shop.styles[match.source.name], notebook, REPAIRS[repair])
    shop.drafts[table] = draft
    if repair != "as written" and table == "accounts":
        notebook.note("accounts", f"ids are compared {repair}: only so do those of other tables match")
    if key and key.repaired < key.ids:
        shown = ", ".join(key.unknown)
        unknown = f"{key.ids - key.repaired:,} of {key.ids:,} accounts are not in accounts, such as {shown}"
        notebook.note(table, f"{unknown}; `oarlock validate` counts their rows")
    if table == "accounts":
        leave_out_test_accounts(draft, match.source, shop.query, notebook)
    if table == "subscriptions":
        complete_subscription(draft, match, notebook)
        leave_out_trials(draft, match.source, shop.query, notebook)
        if "accounts" in shop.matches:
            find_end_in_accounts(draft, shop.matches["accounts"], notebook)
    leave_out_deleted(draft, match.source, shop.query, notebook)
    _follow_accounts(shop, draft)
    if table in AMOUNTS:
        convert_currencies(draft, match.source, AMOUNTS[table], notebook)
    _fill_constants(draft, match, notebook)


def _follow_accounts(shop: _Workshop, draft: SelectDraft) -> None:
    """Leave out the rows of the accounts that are left out."""
    accounts = shop.drafts.get("accounts")
    if accounts is None or accounts is draft or not accounts.conditions:
        return
    conditions = " and ".join(accounts.conditions)
    left_out = f"select {accounts.columns['account_id']} from {accounts.origin} where not ({conditions})"
    draft.conditions.append(f"coalesce({draft.columns['account_id']} not in ({left_out}), true)")


def _fill_constants(draft: SelectDraft, match: TableMatch, notebook: Notebook) -> None:
    """Constants for required words that no column has."""
    if draft.table == "usage" and "event" not in draft.columns:
        draft.columns["event"] = f"'{match.source.name}'"
        draft.comments.append("event: no column names a kind of event, so that all are of one kind")
    if draft.table == "surveys" and "kind" not in draft.columns:
        score = match.profile("score")
        kind = "nps" if score and {"0", "6", "7", "8", "9", "10"} & set(score.values) else "csat"
        draft.columns["kind"] = f"'{kind}'"
        draft.comments.append(f"kind: {kind}, by the range of the scores")
    if draft.table == "touches" and "kind" not in draft.columns:
        draft.columns["kind"] = "'call'"
        notebook.note("touches", "no column says how an account was contacted: all are taken for calls")


def _draft_missing_accounts(shop: _Workshop) -> None:
    """Accounts from the table that defines the accounts at risk, or their day of creation if only that is missing."""
    for table in shop.drafts:
        shop.materialise(table)
    table = "subscriptions" if "subscriptions" in shop.drafts else "usage"
    base, at = shop.drafts[table], CONTRACT[table].at
    if "accounts" not in shop.drafts:
        created = base.columns[at or ""]
        columns = {"account_id": base.columns["account_id"], "created_at": f"min(cast({created} as timestamp))"}
        conditions = [*base.conditions, f"{base.columns['account_id']} is not null"]
        shop.drafts = {
            "accounts": SelectDraft("accounts", base.match, columns, base.origin, conditions, group_by="1"),
            **shop.drafts,
        }
        shop.drafts["accounts"].comments.append(f"no file is a table of accounts: they are those of {table}")
        base.conditions.append(f"{base.columns['account_id']} is not null")
        shop.notebook.note("accounts", f"no file is a table of accounts: they are those of {table}")
    elif "created_at" not in shop.drafts["accounts"].columns:
        accounts = shop.drafts["accounts"]
        first = (
            f"{base.columns['account_id']} as first_id, min(cast({base.columns[at or '']} as timestamp)) as first_at"
        )
        join = f"(select {first} from {base.origin} group by 1) as first_row"
        accounts.origin += f" join {join} on {accounts.columns['account_id']} = first_row.first_id"
        accounts.columns["created_at"] = "first_row.first_at"
        accounts.comments.append(f"created_at: the first {at} of {table}")
    for name in ("accounts", table):
        shop.materialise(name)


def _find_span(shop: _Workshop) -> tuple[datetime, datetime, bool]:
    """The first day with events, the midnight after the last one, and whether the files seem to grow no more."""
    rows = count_events_by_day(shop.rows, shop.request.now)
    if not rows:
        raise DataError(f"{shop.request.folder}: no table has a row with a date before today.", "Are the dates right?")
    last = last_covered_day(rows)
    first = -last_covered_day({-day: count for day, count in rows.items()})
    until = datetime.combine(date.fromordinal(last) + timedelta(days=1), datetime.min.time())
    begins = datetime.combine(date.fromordinal(first), datetime.min.time())
    strays = sum(count for day, count in rows.items() if not first <= day <= last)
    if strays:
        shop.notebook.note("data", f"{strays:,} rows are far before or after all others")
    _note_future_rows(shop)
    return begins, until, shop.request.now - until > timedelta(days=FINISHED_AFTER_DAYS)


def _note_future_rows(shop: _Workshop) -> None:
    for table, raw in shop.rows.items():
        at = raw.contract.at
        if at and at in raw.source_columns:
            (later,) = shop.query(f"select count(*) from drafted_{table} where {at} > timestamp '{shop.request.now}'")[
                0
            ]
            if later:
                shop.notebook.note(table, f"{later:,} rows are dated after today ({at}), and no label uses them")


def _apply_end_rules(shop: _Workshop, until: datetime) -> None:
    draft = shop.drafts.get("subscriptions")
    if draft is None:
        return
    decide_end(draft, until, shop.query, shop.notebook)
    shop.materialise("subscriptions")
    drop_overwritten_columns(draft, until, shop.query, shop.notebook)
    shop.materialise("subscriptions")
    accounts = shop.matches.get("accounts")
    if accounts:
        leave_out_future_columns(
            shop.drafts["accounts"], accounts.source, accounts.link.column, shop.query, shop.notebook
        )
    own = shop.matches["subscriptions"]
    if own.link.through is None and (accounts is None or own.source is not accounts.source):
        leave_out_future_columns(draft, own.source, own.link.column, shop.query, shop.notebook)


def _drop_out_of_range(shop: _Workshop) -> None:
    """Bring percentages into the contract's range, and leave out columns of another scale."""
    for table, draft in shop.drafts.items():
        shop.materialise(table)
        for name, column in CONTRACT[table].columns.items():
            limits = column.range
            if name not in draft.columns or limits is None or limits.maximum is None:
                continue
            low, high = shop.query(f"select min({name}), max({name}) from drafted_{table}")[0]
            if high is None or (high <= limits.maximum and low >= (limits.minimum or 0)):
                continue
            if name == "discount" and 1 < high <= 100 and low >= 0:
                draft.columns[name] = f"cast({draft.columns[name]} as double) / 100"
                shop.notebook.note(table, f"discount goes to {high:g}: it is read as percent")
            elif not column.required:
                del draft.columns[name]
                shop.notebook.note(
                    table,
                    f"{name} is {low:g} to {high:g} where the contract has {limits}: left out; map it in that scale",
                )


def _equal_rows(shop: _Workshop) -> str | None:
    """What equal rows of usage are, if its files repeat some."""
    for table in ("usage", "touches"):
        draft = shop.drafts.get(table)
        if draft is None or draft.match is None:
            continue
        columns = ", ".join(map(quote_name, draft.match.source.profiles))
        counts = f"select count(*) as n from {quote_name(draft.match.source.name)} group by {columns}"
        (extra,) = shop.query(f"select coalesce(sum(n - 1), 0)::bigint from ({counts})")[0]
        if extra and len(draft.match.source.loaded.group.files) > 1:
            evidence = f"{extra:,} rows of {table} are equal to another one in every column, over several files"
            choices = {"once": "equal rows are one event", "each": "each is an event of its own"}
            return shop.notebook.ask(Question("equal_rows", "What are equal rows?", evidence, choices, "once"))
        if extra:
            shop.notebook.note(table, f"{extra:,} rows are equal to another one in every column; each counts")
    return None


def _people(shop: _Workshop) -> tuple[str, str]:
    usage = shop.drafts.get("usage")
    if usage and "user_id" in usage.columns:
        return "named", "people: usage names its users"
    return "unknown", "people: usage says nothing about users"


def _observed_from(shop: _Workshop, begins: datetime) -> tuple[datetime, str] | None:
    """From when the tables are complete, if usage, invoices or departures begin later than subscriptions."""
    first = []
    for table, at in (("usage", "occurred_at"), ("invoices", "issued_at")):
        if table in shop.drafts:
            (instant,) = shop.query(f"select quantile_disc({at}, {STRAY_SHARE}) from drafted_{table}")[0]
            first.append((instant, f"{table} begins here"))
    if "subscriptions" in shop.drafts and "ended_at" in shop.drafts["subscriptions"].columns:
        (instant,) = shop.query(FIRST_DEPARTURE)[0]
        first.append((instant, "the first account left here: who left before is not in the files"))
    latest, text = max((item for item in first if item[0]), default=(begins, ""))
    if latest - begins < timedelta(days=LATE_DAYS):
        return None
    return latest.replace(
        hour=0, minute=0, second=0, microsecond=0
    ), f"{text}. Older rows count, older snapshots do not"


def _why_until(until: datetime, is_finished: bool) -> str:
    last = f"the last day with events is {until - timedelta(days=1):%Y-%m-%d}"
    if is_finished:
        return f"{last}, so that the extract seems finished. Remove the line if these files are updated"
    return f"{last}: the files seem to be updated, so that the end moves with them. A finished extract confirms it here"


def _unused(shop: _Workshop) -> dict[str, str]:
    """The sources that no table reads, and why."""
    return {
        source.name: explain_unused(source, shop.links.get(source.name))
        for source in shop.sources
        if not _is_used(shop, source.name)
    }


def _is_used(shop: _Workshop, name: str) -> bool:
    quoted = quote_name(name)
    return any(f" {quoted} " in f" {draft.origin} ".replace("\n", " ") for draft in shop.drafts.values())


def _source_of(draft: SelectDraft) -> str:
    return draft.match.source.name if draft.match else ""


def _relative(folder: Path, base: Path) -> str:
    import os

    return Path(os.path.relpath(folder.resolve(), base.resolve())).as_posix()
