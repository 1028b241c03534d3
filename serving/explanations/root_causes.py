"""Root causes: the revenue at risk by the families that its risks are made of, and by who can do something about them.

An account's revenue at risk is its revenue times its risk, and the risk is the base and the points of its families. So
the revenue at risk is the sum of the same parts, each times the revenue: exactly, also after rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from configs.rounding import round_parts

NOBODY = "no function is named"


@dataclass(frozen=True)
class RootCause:
    """The part of a family, or of the families of a function, in hundredths; and of how many accounts it raises it."""

    name: str
    families: tuple[str, ...]
    amount: int
    raises: int


@dataclass(frozen=True)
class RootCauses:
    """The revenue at risk of accounts within the main horizon, in hundredths: the base and the parts of families.

    base + families = base + functions = revenue_at_risk, exactly. The base is that of accounts of the same segments
    without signals. Accounts without a known revenue are counted, and in no amount.
    """

    accounts: int
    without_revenue: int
    revenue_at_risk: int
    base: int
    families: Sequence[RootCause]
    functions: Sequence[RootCause]


def find_root_causes(
    mrr: np.ndarray, risks: np.ndarray, points: Mapping[str, np.ndarray], functions: Mapping[str, str]
) -> RootCauses:
    """The causes of the revenue at risk, the largest first; `points` are those of each family, NaN without a risk.

    >>> causes = find_root_causes(
    ...     np.array([100.0, 50.0]), np.array([0.4, 0.1]),
    ...     {"support": np.array([0.3, 0.0]), "value": np.array([0.0, -0.1])}, {"support": "support desk"},
    ... )
    >>> causes.revenue_at_risk, causes.base, [(cause.name, cause.amount, cause.raises) for cause in causes.families]
    (4500, 2000, [('support', 3000, 1), ('value', -500, 0)])
    """
    has_risk = ~np.isnan(risks)
    is_known = has_risk & ~np.isnan(mrr)
    cents = mrr[is_known] * 100
    of_families = {family: values[is_known] for family, values in points.items()}
    explained = sum(of_families.values(), np.zeros(len(cents)))
    parts = [cents @ (risks[is_known] - explained), *(cents @ values for values in of_families.values())]
    total = round(float(cents @ risks[is_known]))
    base, *amounts = round_parts([float(part) for part in parts], total)
    families = [
        RootCause(family, (family,), amount, int((values > 0).sum()))
        for (family, values), amount in zip(of_families.items(), amounts, strict=True)
    ]
    return RootCauses(
        accounts=int(is_known.sum()),
        without_revenue=int(has_risk.sum() - is_known.sum()),
        revenue_at_risk=total,
        base=base,
        families=_largest_first(families),
        functions=_largest_first(_by_function(families, of_families, functions)),
    )


def _by_function(
    families: Sequence[RootCause], points: Mapping[str, np.ndarray], functions: Mapping[str, str]
) -> list[RootCause]:
    """The families of each function together: it raises a risk if their points do in sum."""
    causes: list[RootCause] = []
    for function in dict.fromkeys(functions.get(cause.name, NOBODY) for cause in families):
        own = [cause for cause in families if functions.get(cause.name, NOBODY) == function]
        together = sum((points[cause.name] for cause in own), np.zeros(()))
        names, amount = tuple(cause.name for cause in own), sum(cause.amount for cause in own)
        causes.append(RootCause(function, names, amount, int((together > 0).sum())))
    return causes


def _largest_first(causes: Sequence[RootCause]) -> list[RootCause]:
    return sorted(causes, key=lambda cause: -cause.amount)
