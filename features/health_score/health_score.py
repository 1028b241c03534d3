"""The health score: 0 to 100, weighted by hand. It is no risk, and nothing that serves risks reads it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.rounding import round_parts
from features.health_score.parts import HealthPart, HealthParts

if TYPE_CHECKING:
    import pandas as pd

MIN_FAMILIES = 2
FULL = 100


@dataclass(frozen=True)
class AccountHealth:
    """The score of an account and its points by part, which add up to it exactly.

    A part whose signal is not known of the account is not there. If too little is known, there is no score and no part.
    """

    account_id: str
    score: int | None
    points: Mapping[str, int]


def score_accounts(rows: "pd.DataFrame", parts: HealthParts, families: Mapping[str, str]) -> Sequence[AccountHealth]:
    """The health of each account (the index of `rows`, a column per signal), the lowest score first, unknown ones last.

    `families` has the family of each signal; a signal that `rows` lacks is not known of any account.
    """
    present = [part for part in parts.part if part.signal in rows]
    columns = {part.name: rows[part.signal].to_numpy("float64") for part in present}
    scored = [
        _score_account(str(account), {part: float(columns[part.name][row]) for part in present}, parts, families)
        for row, account in enumerate(rows.index)
    ]
    return sorted(scored, key=lambda health: (health.score is None, health.score, health.account_id))


def _score_account(
    account_id: str, values: Mapping[HealthPart, float], parts: HealthParts, families: Mapping[str, str]
) -> AccountHealth:
    filled = {part: value for part, value in values.items() if not math.isnan(value)}
    weight, total = sum(part.weight for part in filled), sum(part.weight for part in parts.part)
    if weight * FULL < parts.least_weight * total or len({families[part.signal] for part in filled}) < MIN_FAMILIES:
        return AccountHealth(account_id, None, {})
    weights = _limit_families(filled, families)
    points = [FULL * weights[part] * part.share_of(value) for part, value in filled.items()]
    score = round(sum(points))
    rounded = round_parts(points, score)
    return AccountHealth(account_id, score, {part.name: n for part, n in zip(filled, rounded, strict=True)})


def _limit_families(parts: Collection[HealthPart], families: Mapping[str, str]) -> dict[HealthPart, float]:
    """The share of each part in the whole score: as weighted, but no family has more than half."""
    by_family: dict[str, float] = {}
    for part in parts:
        family = families[part.signal]
        by_family[family] = by_family.get(family, 0.0) + part.weight
    total = sum(by_family.values())
    limited = {family: min(weight, total - weight) for family, weight in by_family.items()}
    scale = {family: limited[family] / by_family[family] / sum(limited.values()) for family in by_family}
    return {part: part.weight * scale[families[part.signal]] for part in parts}
