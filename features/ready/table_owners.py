"""Decides which of several ready mappings gives which table."""

from collections import defaultdict
from collections.abc import Sequence

from configs.errors import ConfigError
from features.drafting.selects.decisions import DecisionLog
from features.ready.part import ReadyPart

ACCOUNTS = "accounts"
# Of these, several mappings may have rows: what happened is added up, but a contract or invoice is not counted twice.
ADDED_UP = frozenset({"usage", "tickets", "touches", "surveys", "contacts"})


def share_tables(parts: Sequence[ReadyPart], decisions: DecisionLog) -> list[ReadyPart]:
    """The parts without the tables that another one gives better; the one with the accounts comes first.

    Raises ConfigError if none has accounts, or if two have contracts.
    """
    parts = _without_fallbacks(parts, decisions)
    owners: dict[str, list[str]] = defaultdict(list)
    for part in parts:
        for table in part.tables:
            owners[table].append(part.name)
    if ACCOUNTS not in owners:
        names = " and ".join(part.name for part in parts)
        raise ConfigError(f"{names} give no accounts.", "Add one that does, such as stripe, to --from.")
    for table, names in owners.items():
        if len(names) > 1 and table not in ADDED_UP | {ACCOUNTS}:
            raise ConfigError(f"{' and '.join(names)} both give {table}.", "Combine only one of them.")
    base = owners[ACCOUNTS][0]
    return sorted(parts, key=lambda part: part.name != base)


def _without_fallbacks(parts: Sequence[ReadyPart], decisions: DecisionLog) -> list[ReadyPart]:
    """The parts without the tables that they only give if no other does."""
    better = {part.name: _better_owners(part, parts) for part in parts}
    for name, tables in better.items():
        for table, owner in tables.items():
            decisions.note(name, f"its {table} are not used: those of {owner} are")
    return [part.without(*better[part.name]) for part in parts]


def _better_owners(part: ReadyPart, parts: Sequence[ReadyPart]) -> dict[str, str]:
    """The fallback tables of a part that others give, too, each with its first owner."""
    fallbacks = [table for table in part.content.fallback_tables if table in part.tables]
    owners = {
        table: [other.name for other in parts if other is not part and _gives(other, table)] for table in fallbacks
    }
    return {table: names[0] for table, names in owners.items() if names}


def _gives(part: ReadyPart, table: str) -> bool:
    return table in part.tables and table not in part.content.fallback_tables
