"""Numbers outside the contract's range: percentages are brought into it, columns of another scale are left out."""

from features.drafting.selects.decisions import DecisionLog, Query
from features.drafting.selects.select_draft import SelectDraft
from features.tables.contract import CONTRACT


def fit_value_ranges(draft: SelectDraft, query: Query, decisions: DecisionLog) -> None:
    """Bring the columns of `drafted_TABLE` into their range, or leave out those that are not required."""
    for name, column in CONTRACT[draft.table].columns.items():
        limits = column.range
        if name not in draft.columns or limits is None or limits.maximum is None:
            continue
        low, high = query(f"select min({name}), max({name}) from drafted_{draft.table}")[0]
        if high is None or (high <= limits.maximum and low >= (limits.minimum or 0)):
            continue
        if name == "discount" and 1 < high <= 100 and low >= 0:
            draft.columns[name] = f"cast({draft.columns[name]} as double) / 100"
            decisions.note(draft.table, f"discount goes to {high:g}: it is read as percent")
        elif not column.required:
            del draft.columns[name]
            text = f"{name} is {low:g} to {high:g} where the contract has {limits}: left out; map it in that scale"
            decisions.note(draft.table, text)
