"""Reads words of the contract that a source writes in its own way: in capitals, or with spaces or hyphens."""

import ibis.expr.types as ir

from features.tables.contract import ColumnContract


def fold_word(text: ir.Value) -> ir.Value:
    """The text as the contract writes words: `" In-App "` is `in_app`; blank text is null."""
    return text.strip().lower().replace(" ", "_").replace("-", "_").nullif("")


def read_word(text: ir.Value, column: ColumnContract) -> ir.Value:
    """The word of the contract that a text stands for; other words of an open column stay as they are."""
    folded = fold_word(text)
    return folded if column.values else folded.isin(column.known_values).ifelse(folded, text)
