"""Whether prices are before their discount: asked, with what rows of one plan say about it as evidence."""

from features.drafting.selects.decisions import DecisionLog, Query, Question
from features.drafting.selects.select_draft import SelectDraft

KEY = "price_discount"
CHOICES = {"after": "the price is what is paid", "before": "the discount still has to be taken off the price"}
MIN_PLANS, MOSTLY, SAME_PRICE = 3, 0.9, 0.005
COMPARED = """
with prices as (
    select coalesce({plan}::varchar, '') as plan, coalesce({seats}::varchar, '') as seats,
           {share} > 0 as is_reduced, median({price}) as price
    from {origin} where {share} is not null and {price} > 0 group by 1, 2, 3
)
select count(*), coalesce(sum((abs(reduced.price / usual.price - 1) < {same})::int), 0)
from prices as reduced join prices as usual using (plan, seats) where reduced.is_reduced and not usual.is_reduced
"""


def take_off_discount(draft: SelectDraft, query: Query, decisions: DecisionLog) -> None:
    """Take the discount off the price if that is asked for; nothing is asked if no row has a discount.

    By default prices are before it if most plans, with their seats, cost the same with and without one.
    """
    if "discount" not in draft.columns:
        return
    share, price = _number(draft.columns["discount"]), _number(draft.columns["mrr"])
    (highest,) = query(f"select max({share}) from {draft.origin}")[0]
    if not highest or highest <= 0:
        return
    plan, seats = (draft.columns.get(name, "''") for name in ("plan", "seats"))
    statement = COMPARED.format(plan=plan, seats=seats, share=share, price=price, origin=draft.origin, same=SAME_PRICE)
    plans, same = query(statement)[0]
    is_before = plans >= MIN_PLANS and same / plans >= MOSTLY
    evidence = f"{same:,} of {plans:,} plans with their seats cost the same with and without a discount"
    question = Question(
        KEY, "Are prices before or after their discount?", evidence, CHOICES, "before" if is_before else "after"
    )
    if decisions.ask(question) == "before":
        draft.compute("mrr", f"* (1 - coalesce({share}, 0){' / 100' if highest > 1 else ''})")
        draft.comments.append("mrr: less the discount")


def _number(value: str) -> str:
    return f"try_cast(replace({value}::varchar, ',', '.') as double)"
