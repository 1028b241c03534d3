"""What the past says of an account's risk: how far refits move it, and what became of similar accounts."""

from dataclasses import dataclass

import numpy as np

from serving.explanations.similar_accounts import SimilarAccounts, find_similar
from serving.scoring.scorer import ScoredAccounts


@dataclass(frozen=True)
class RiskInterval:
    """The bounds of the risk within each horizon in 95 % of refits, as many as `refits`, on resampled accounts."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    main_index: int
    refits: int

    @property
    def main(self) -> tuple[float, float]:
        """The bounds of the risk within the main horizon."""
        return self.low[self.main_index], self.high[self.main_index]


@dataclass(frozen=True)
class PastEvidence:
    """The interval of a risk, and similar past accounts; None of a model that was trained before they were kept.

    The similar accounts are those of every owner, and also None if they are not asked for. `risks_then` are the lowest
    and the highest risk that the model gave them.
    """

    interval: RiskInterval | None
    similar: SimilarAccounts | None
    risks_then: tuple[float, float] | None


def find_past_evidence(scored: ScoredAccounts, segment: str | None, *, with_similar: bool = True) -> PastEvidence:
    """What the past says of the first of the scored accounts."""
    scores, model = scored.scores, scored.champion.model
    margin = float(model.base_margin + scores.contributions[0].sum())
    offset = float(model.segment_offsets(scores.matrix[:1])[0])
    bounds = model.risk_interval(margin, offset)
    interval = None
    if bounds and model.margin_spread:
        low, high = (tuple(risks.tolist()) for risks in bounds)
        interval = RiskInterval(low, high, model.main_horizon_index, model.margin_spread["refits"])
    if model.past is None or not with_similar:
        return PastEvidence(interval, None, None)
    similar = find_similar(model.past, scores.family_contributions[0], segment)
    if not similar.count:
        return PastEvidence(interval, similar, None)
    margins = model.base_margin + np.array([similar.margins.min(), similar.margins.max()])
    low, high = model.calibrator.predict_risks(margins, np.full(2, offset))[:, model.main_horizon_index].tolist()
    return PastEvidence(interval, similar, (low, high))
