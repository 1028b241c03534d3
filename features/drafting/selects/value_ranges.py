"""Numbers outside the contract's range: percentages are brought into it, columns of another scale are left out.

Answers to surveys have a scale by kind. Those of 1 to 5 are in the range of 1 to 7, so that only a person can say.
"""

from features.drafting.selects.decisions import DecisionLog, Query, Question
from features.drafting.selects.select_draft import SelectDraft
from features.tables.contract import CONTRACT, EVERY_TABLE, NumberRange

FIVE_POINTS = 5
SCALES = {"of_5": "from 1 to 5, and brought to the scale of the contract", "of_7": "from 1 to 7, as in the contract"}


def fit_value_ranges(draft: SelectDraft, query: Query, decisions: DecisionLog) -> None:
    """Bring the columns of `drafted_TABLE` into their range, or leave out those that are not required."""
    for name, column in EVERY_TABLE[draft.table].columns.items():
        limits = column.range
        if name not in draft.columns or limits is None or limits.maximum is None:
            continue
        low, high = query(f"select min({name}), max({name}) from drafted_{draft.table}")[0]
        if high is None or (high <= limits.maximum and low >= (limits.minimum or 0)):
            continue
        if name == "discount" and 1 < high <= 100 and low >= 0:
            draft.compute(name, "/ 100")
            decisions.note(draft.table, f"discount goes to {high:g}: it is read as percent")
        elif not column.required:
            del draft.columns[name]
            text = f"{name} is {low:g} to {high:g} where the contract has {limits}: left out; map it in that scale"
            decisions.note(draft.table, text)


def fit_answer_scales(draft: SelectDraft, query: Query, decisions: DecisionLog) -> None:
    """Bring the answers of each kind of survey to the contract's scale, if a person agrees that theirs is shorter."""
    if draft.table != "surveys" or "score" not in draft.columns:
        return
    for kind, limits in CONTRACT["surveys"].columns["score"].ranges.items():
        low, high, answers = query(
            f"select min(score), max(score), count(score) from drafted_surveys where lower(trim(kind)) = '{kind}'"
        )[0]
        if answers and (low < limits.limits[0] or high > limits.limits[1]):
            text = f"{kind} answers are {low:g} to {high:g} where the contract has {limits}: map them in that scale"
            decisions.note("surveys", text)
        elif answers and high <= FIVE_POINTS < limits.limits[1] and limits.limits[0] == 1:
            _stretch_five_points(draft, kind, (limits, answers), decisions)


def _stretch_five_points(draft: SelectDraft, kind: str, scale: tuple[NumberRange, int], decisions: DecisionLog) -> None:
    limits, answers = scale
    question = Question(
        f"scale.{kind}",
        f"What is the scale of {kind} answers?",
        f"none of {answers:,} {kind} answers is above {FIVE_POINTS}, and the contract has {limits}",
        SCALES,
        "of_5",
    )
    if decisions.ask(question) == "of_5":
        lowest, highest = limits.limits
        factor = (highest - lowest) / (FIVE_POINTS - lowest)
        is_kind = f"lower(trim({draft.columns['kind']})) = '{kind}'"
        draft.compute("score", f"* case when {is_kind} then {factor:g} else 1 end")
        draft.compute("score", f"+ case when {is_kind} then {lowest - factor * lowest:g} else 0 end")
        draft.comments.append(f"score: {kind} answers of 1 to {FIVE_POINTS} are brought to {limits}")
