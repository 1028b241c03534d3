"""Drafts the select of each table that was recognised, and that of the accounts if no file is a table of them."""

from collections.abc import Mapping

from features.discovery.account_keys import REPAIRS, KeyMatch, compare_keys
from features.discovery.recognition import TableMatch
from features.drafting.draft_context import DraftContext
from features.drafting.selects.currencies import convert_currencies
from features.drafting.selects.decisions import DecisionLog
from features.drafting.selects.discounts import take_off_discount
from features.drafting.selects.merge_rules import complete_merges, explain_unknown_accounts
from features.drafting.selects.row_filters import (
    leave_out_deleted,
    leave_out_test_accounts,
    leave_out_trials,
)
from features.drafting.selects.select_draft import SelectDraft, draft_select
from features.drafting.selects.subscription_rules import complete_subscription, find_end_in_accounts
from features.tables.contract import ACCOUNT_MERGES, CONTRACT


def draft_tables(context: DraftContext) -> None:
    """Draft every table that was recognised, and the accounts."""
    _require_merged_accounts(context)
    keys = _compare_account_keys(context)
    for table in context.matches:
        _draft_table(context, table, keys)
    _draft_missing_accounts(context)


def _require_merged_accounts(context: DraftContext) -> None:
    """Leave out a list of merges if most of its ids are no accounts."""
    match = context.matches.get(ACCOUNT_MERGES.name)
    if match and (fault := explain_unknown_accounts(match, *_compare_merged_ids(context, match))):
        context.decisions.note(match.table, fault)
        del context.matches[match.table]


def _compare_merged_ids(context: DraftContext, match: TableMatch) -> tuple[KeyMatch, KeyMatch]:
    """How the ids of both accounts of the merges match those of the accounts."""
    accounts, columns = context.matches["accounts"], (match.link.column, match.columns["merged_into"])
    key = (accounts.source.name, accounts.link.column)
    old, left = (compare_keys(context.connection, (match.source.name, column), key) for column in columns)
    return old, left


def _compare_account_keys(context: DraftContext) -> dict[str, KeyMatch]:
    """How the ids of each table match those of the accounts, by the source that holds the ids."""
    accounts = context.matches.get("accounts")
    if accounts is None:
        return {}
    key = (accounts.source.name, accounts.link.column)
    return {
        table: compare_keys(context.connection, _ids_of(match), key)
        for table, match in context.matches.items()
        if table != "accounts" and match.source is not accounts.source
    }


def _ids_of(match: TableMatch) -> tuple[str, str]:
    """The source and its column that hold the account ids of a table."""
    link = match.link
    return link.through or match.source.name, link.through_account or link.column


def _common_repair(keys: Mapping[str, KeyMatch]) -> str:
    """The repair of ids that any table needs; it is applied to all, so that they stay equal."""
    needed = {match.repair for match in keys.values() if match.repaired > match.matched and not match.collisions}
    return max(needed, key=list(REPAIRS).index, default="as written")


def _draft_table(context: DraftContext, table: str, keys: Mapping[str, KeyMatch]) -> None:
    match, decisions = context.matches[table], context.decisions
    repair, key = _common_repair(keys), keys.get(table)
    draft = draft_select(match, context.styles[match.source.name], decisions, REPAIRS[repair])
    context.drafts[table] = draft
    if repair != "as written" and table == "accounts":
        decisions.note("accounts", f"ids are compared {repair}: only so do those of other tables match")
    if key and key.repaired < key.ids:
        shown = ", ".join(key.unknown)
        unknown = f"{key.ids - key.repaired:,} of {key.ids:,} accounts are not in accounts, such as {shown}"
        decisions.note(table, f"{unknown}; `oarlock validate` counts their rows")
    if table == "accounts":
        leave_out_test_accounts(draft, match.source, context.query, decisions)
    if table == "subscriptions":
        complete_subscription(draft, match, context.query, decisions)
        if "mrr" in match.columns:
            take_off_discount(draft, context.query, decisions)
        leave_out_trials(draft, match.source, context.query, decisions)
        if "accounts" in context.matches:
            find_end_in_accounts(draft, context.matches["accounts"], decisions)
    if table == ACCOUNT_MERGES.name:
        complete_merges(draft, match, _compare_merged_ids(context, match), REPAIRS[repair])
    leave_out_deleted(draft, match.source, context.query, decisions)
    _follow_accounts(context, draft)
    convert_currencies(draft, match.source, context.query, decisions)
    _fill_constants(draft, match, decisions)


def _follow_accounts(context: DraftContext, draft: SelectDraft) -> None:
    """Leave out the rows of the accounts that are left out."""
    accounts = context.drafts.get("accounts")
    if accounts is None or accounts is draft or not accounts.conditions:
        return
    conditions = " and ".join(accounts.conditions)
    left_out = f"select {accounts.columns['account_id']} from {accounts.origin} where not ({conditions})"
    draft.conditions.append(f"coalesce({draft.columns['account_id']} not in ({left_out}), true)")


def _fill_constants(draft: SelectDraft, match: TableMatch, decisions: DecisionLog) -> None:
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
        decisions.note("touches", "no column says how an account was contacted: all are taken for calls")


def _draft_missing_accounts(context: DraftContext) -> None:
    """Accounts from the table that defines the accounts at risk, or their day of creation if only that is missing."""
    for table in context.drafts:
        context.materialise(table)
    table = "subscriptions" if "subscriptions" in context.drafts else "usage"
    if "accounts" not in context.drafts:
        _draft_accounts_of(context, table)
    elif "created_at" not in context.drafts["accounts"].columns:
        _take_creation_from(context.drafts["accounts"], context.drafts[table])
    for name in ("accounts", table):
        context.materialise(name)


def _draft_accounts_of(context: DraftContext, table: str) -> None:
    """A table of the accounts that have a row in another one."""
    base, text = context.drafts[table], f"no file is a table of accounts: they are those of {table}"
    account, created = base.columns["account_id"], base.columns[CONTRACT[table].at or ""]
    columns = {"account_id": account, "created_at": f"min(cast({created} as timestamp))"}
    base.conditions.append(f"{account} is not null")
    accounts = SelectDraft("accounts", base.match, columns, base.origin, [*base.conditions], [text], group_by="1")
    context.drafts = {"accounts": accounts, **context.drafts}
    context.decisions.note("accounts", text)


def _take_creation_from(accounts: SelectDraft, base: SelectDraft) -> None:
    """The first row of an account in another table is when it was created."""
    at = CONTRACT[base.table].at or ""
    first = f"{base.columns['account_id']} as first_id, min(cast({base.columns[at]} as timestamp)) as first_at"
    join = f"(select {first} from {base.origin} group by 1) as first_row"
    accounts.origin += f" join {join} on {accounts.columns['account_id']} = first_row.first_id"
    accounts.columns["created_at"] = "first_row.first_at"
    accounts.comments.append(f"created_at: the first {at} of {base.table}")
