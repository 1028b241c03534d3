"""Outcomes of what was served: the mature risks of every version that served, compared with what happened.

A version that is replaced every month has no mature risk while it is champion. So every version is judged by what it
served, whichever is champion now. Only risks that were served before their answer was known count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.pipeline import OpenDataset, open_dataset
from monitoring.observed_vs_expected import ObservedVsExpected, compare_observed_with_expected, non_overlapping_days
from serving.ledger.ledger import open_ledger
from training.data.training_set import observed_labels
from training.labels.definition import label_hash, matures_at

DAY_ZERO = datetime(2000, 1, 1)


@dataclass(frozen=True)
class ServedOutcomes:
    """The outcome of each version with a mature risk, the last one to serve first, and of all versions together."""

    by_version: Mapping[int, ObservedVsExpected]
    pooled: ObservedVsExpected

    def judged(self, min_mature: int) -> tuple[tuple[int, ...], ObservedVsExpected]:
        """The versions to judge by and their outcome: the last one with enough mature risks, or all together."""
        for version, outcome in self.by_version.items():
            if outcome.snapshots >= min_mature:
                return (version,), outcome
        return tuple(self.by_version), self.pooled


def compare_served_outcomes(settings: Settings, state: StateDir, known_until: datetime) -> ServedOutcomes:
    """Compare every risk that was served and is mature by `known_until`."""
    risks = _mature_risks(settings, state, known_until)
    dataset = open_dataset(settings, state)
    order = risks.groupby("version").as_of.max().sort_index(ascending=False).sort_values(ascending=False, kind="stable")
    last_served: pd.DataFrame = risks.drop_duplicates(["account_id", "as_of"], keep="last")
    by_version = {int(v): risks[risks.version.isin([v])] for v in order.index}
    return ServedOutcomes(
        {version: _compare(dataset, settings, rows, known_until) for version, rows in by_version.items()},
        _compare(dataset, settings, last_served, known_until),
    )


def _mature_risks(settings: Settings, state: StateDir, known_until: datetime) -> pd.DataFrame:
    matures_after = matures_at(DAY_ZERO, settings.label) - DAY_ZERO
    risks = open_ledger(settings, state).served_risks(label_hash(settings.label), known_until - matures_after)
    return risks[(risks.scored_at - risks.as_of).lt(matures_after)]


def _compare(
    dataset: OpenDataset, settings: Settings, risks: pd.DataFrame, known_until: datetime
) -> ObservedVsExpected:
    days = non_overlapping_days(list(risks.as_of.unique()), settings.label.horizon_days)
    chosen = risks[risks.as_of.isin(days)].reset_index(drop=True).astype({"as_of": "datetime64[us]"})
    churned = observed_labels(dataset, settings, chosen[["account_id", "as_of"]], known_until)
    return compare_observed_with_expected(chosen.risk, churned, settings.monitoring.confidence)
