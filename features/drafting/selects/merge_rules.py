"""What a list of merges gives: the rows that are merges, and how sure it is that both of their ids are accounts."""

from features.discovery.account_keys import KeyMatch
from features.discovery.recognition import TableMatch
from features.drafting.selects.select_draft import SelectDraft

MIN_KNOWN = 0.5


def explain_unknown_accounts(match: TableMatch, old: KeyMatch, left: KeyMatch) -> str | None:
    """Why merges cannot be followed: too few of their ids are accounts. None if they can."""
    for column, key in ((match.link.column, old), (match.columns["merged_into"], left)):
        if key.repaired < MIN_KNOWN * key.ids:
            share = f"{key.repaired:,} of {key.ids:,} ids in '{column}' of {match.source.name} are in accounts"
            return (
                f"{share}, so that these merges are not mapped: keep merged accounts in accounts, or map their ids to"
                " the account that is left"
            )
    return None


def complete_merges(draft: SelectDraft, match: TableMatch, keys: tuple[KeyMatch, KeyMatch], repair: str) -> None:
    """Choose the rows that are merges, with both ids written alike, and say why they are taken for merges."""
    old, left = keys
    draft.columns["merged_into"] = repair.format(id=f"{draft.columns['merged_into']}::varchar")
    draft.conditions.append(f"{draft.columns['merged_into']} <> {draft.columns['account_id']}")
    names = f"'{match.link.column}' is the old account ({old.repaired:,} of {old.ids:,} ids are accounts)"
    into = f"'{match.columns['merged_into']}' the one that is left ({left.repaired:,} of {left.ids:,})"
    draft.comments.append(f"{names}, {into}, '{match.columns['merged_at']}' when they became one")
