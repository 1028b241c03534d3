"""The currencies of a vendor's amounts, which are in minor units such as cents."""

from features.drafting.selects.currencies import ask_rates, currency_of_rates
from features.drafting.selects.decisions import DecisionLog, Query
from features.ready.part import ReadyPart

# https://docs.stripe.com/currencies: ISK and UGX have no minor unit, but are written as if they had two decimals.
NO_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])


def convert_amounts(part: ReadyPart, query: Query, decisions: DecisionLog) -> ReadyPart:
    """The part with a rate for each currency that its amounts have; a person gives those of several.

    Raises ConfigError for an answer that lacks one.
    """
    cases = part.content.currency
    if cases is None or not part.has_text(cases.case):
        return part
    codes = sorted({str(code).strip().upper() for (code,) in query(cases.codes) if code})
    if not codes:
        return part.with_text(cases.case, "when null then null")
    if len(codes) == 1:
        decisions.note(part.name, f"all prices are in {codes[0]}, and so is MRR")
        rates = {codes[0]: 1.0}
    else:
        evidence = f"prices of {part.name} have {len(codes)} currencies, and amounts cannot be added across them"
        rates = ask_rates(codes, evidence, decisions)
    decisions.currencies[part.name] = currency_of_rates(rates)
    unit = _minor_unit if cases.minor_units else lambda _: 1.0
    text = " ".join(f"when '{code.lower()}' then {rate * unit(code):.10g}" for code, rate in rates.items())
    return part.with_text(cases.case, text)


def _minor_unit(code: str) -> float:
    return 1.0 if code in NO_DECIMALS else 0.001 if code in THREE_DECIMALS else 0.01
