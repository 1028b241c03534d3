"""Score truth: what the bands that were served said of each account in a quarter, against what happened to it."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from configs.settings import Settings
from features.publishing.open_dataset import OpenDataset
from features.rate_interval import wilson_bounds
from features.tables.contract import ACCOUNT_ID
from monitoring.outcomes.served_scores import read_bands, read_served_snapshots
from serving.ledger.ledger import Ledger
from serving.ledger.served_outcomes import OutcomeRate, QuarterTruth
from training.labels.build import build_labels, find_next_departures
from training.labels.definition import CHURNED, DATED_MODES, is_mature, label_hash

FLAGGED = ("high", "critical")
MIN_LEFT = 20  # of fewer accounts that left, a share of revenue has no interval
SAMPLES, SEED = 500, 17


def follow_flags(opened: OpenDataset, settings: Settings, ledger: Ledger, known_until: datetime) -> pd.DataFrame:
    """The first risk that was served of each account in each quarter, if its answer is known by an instant.

    Has id, account_id, as_of, quarter, band, mrr, currency, churned and lead_days, NaN if the account did not leave on
    a day. A revenue in another currency than the newest is not known: it cannot be added.
    """
    known_until = opened.known_until(known_until)
    served = read_served_snapshots(ledger, label_hash(settings.label), known_until).drop(columns="risk")
    served = served[is_mature(served, settings.label, known_until)].sort_values("as_of", kind="stable")
    served["quarter"] = served.as_of.dt.to_period("Q").astype(str)
    rows = served.drop_duplicates([ACCOUNT_ID, "quarter"]).reset_index(drop=True).astype({"as_of": "datetime64[us]"})
    rows[CHURNED] = build_labels(opened.tables, rows[[ACCOUNT_ID, "as_of"]], settings.label, known_until)
    rows = rows.dropna(subset=[CHURNED]).reset_index(drop=True)
    rows = rows.merge(read_bands(ledger, rows["id"].tolist()), on="id")
    rows["mrr"] = rows.mrr.where(rows.currency.isna() | (rows.currency == newest_currency(rows)))
    rows["lead_days"] = np.nan
    if settings.label.mode in DATED_MODES:
        left_at = find_next_departures(opened.tables, rows, settings.label)
        rows["lead_days"] = ((left_at - rows.as_of).dt.total_seconds() / 86_400).where(rows[CHURNED] == 1)
    return rows


def newest_currency(rows: pd.DataFrame) -> str | None:
    """The currency of the newest risk that names one; None if none does."""
    named = rows.dropna(subset=["currency"]).sort_values(["as_of", "id"])
    return None if named.empty else str(named.currency.iloc[-1])


def judge_flags(rows: pd.DataFrame) -> Sequence[QuarterTruth]:
    """The truth of each quarter, oldest first; `rows` are those of `follow_flags`."""
    return [_judge(str(quarter), quarter_rows) for quarter, quarter_rows in rows.groupby("quarter", sort=True)]


def _judge(quarter: str, rows: pd.DataFrame) -> QuarterTruth:
    is_flagged, has_left = rows.band.isin(FLAGGED).to_numpy(), (rows[CHURNED] == 1).to_numpy()
    flagged, left, caught = int(is_flagged.sum()), int(has_left.sum()), int((is_flagged & has_left).sum())
    mrr = rows.mrr.to_numpy("float64")
    has_lost = has_left & ~np.isnan(mrr)
    lost, flagged_mrr = mrr[has_lost], (mrr * is_flagged)[has_lost]
    lead = rows.lead_days[is_flagged & has_left].median()
    return QuarterTruth(
        quarter=quarter,
        accounts=len(rows),
        flagged=flagged,
        left=left,
        caught=caught,
        missed=left - caught,
        false_alarms=flagged - caught,
        recall=_rate(caught, left),
        precision=_rate(caught, flagged),
        lead_days=None if pd.isna(lead) else float(lead),
        left_without_mrr=int((has_left & ~has_lost).sum()),
        revenue_lost=float(lost.sum()),
        revenue_caught=float(flagged_mrr.sum()),
        revenue_share=_share(flagged_mrr, lost),
    )


def _share(part: np.ndarray, total: np.ndarray) -> OutcomeRate | None:
    """The share of revenue with a bootstrap of accounts; None if too few left, or all or none of it was flagged."""
    if len(total) < MIN_LEFT or not 0 < part.sum() < total.sum():
        return None
    from scipy.stats import bootstrap  # it takes half a second to import

    def ratio(parts: np.ndarray, totals: np.ndarray, axis: int = -1) -> np.ndarray:
        return parts.sum(axis=axis) / totals.sum(axis=axis)

    sampled = bootstrap(
        (part, total), ratio, n_resamples=SAMPLES, paired=True, vectorized=True, method="percentile", rng=SEED
    ).confidence_interval
    return OutcomeRate(float(part.sum() / total.sum()), float(sampled.low), float(sampled.high))


def _rate(part: int, total: int) -> OutcomeRate | None:
    return OutcomeRate(part / total, *wilson_bounds(part, total)) if total else None
