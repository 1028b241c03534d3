"""Driver stability: how often the family that raises a risk most changes when the model is refitted.

The model is refitted on bootstrap samples of the accounts, each with another seed. If the first family leads the second
by little, their order is chance; from some lead on it stays. A main reason is given only from that lead on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from configs.settings import Settings
from features.tables.contract import ACCOUNT_ID
from training.data.cluster_bootstrap import bootstrap_weights, sample_accounts
from training.model.attribution import columns_by_family, find_leading_family, sum_by_family
from training.model.churn_model import ChurnModel, MarginSpread, encode
from training.model.ensemble import FittedEnsemble, refit

MAX_SNAPSHOTS = 2_000
SPREAD_BINS = 10


@dataclass(frozen=True)
class DriverStability:
    """How stable the leading family is, over `refits` and `snapshots` with a family that raises the risk.

    `flip_share` is the share of pairs in which the leading family changed. From a lead of `min_lead` over the second
    family, in log-odds, it stays in `min_agreement` of the refits; None if it never does. `clear_share` is the share of
    snapshots with such a lead, `clear_flip_share` how often the leading family of these changed.
    """

    refits: int
    snapshots: int
    min_agreement: float
    flip_share: float
    min_lead: float | None
    clear_share: float
    clear_flip_share: float | None


def measure_stability(
    model: ChurnModel, train: pd.DataFrame, snapshots: pd.DataFrame, settings: Settings
) -> tuple[DriverStability, MarginSpread | None]:
    """The stability of a model fitted on `train`, measured on some of the `snapshots`; the same every time.

    Also how far refits move the margins; None without two refits.
    """
    sample = snapshots.iloc[:: max(len(snapshots) // MAX_SNAPSHOTS, 1)].head(MAX_SNAPSHOTS)
    matrix = encode(sample, model.inputs)
    columns = columns_by_family(model.inputs)
    leading, leads = find_leading_family(sum_by_family(model.predict_contributions(matrix), columns))
    has_leading = leading >= 0
    min_agreement = settings.stability.min_agreement
    if not has_leading.any():
        none = DriverStability(0, 0, min_agreement, flip_share=0, min_lead=None, clear_share=0, clear_flip_share=None)
        return none, None
    refitted: list[np.ndarray] = []
    margins: list[np.ndarray] = []
    for contributions, base_margin in _refit_contributions(model, train, matrix, settings):
        refitted.append(find_leading_family(sum_by_family(contributions, columns))[0])
        margins.append(base_margin + contributions.sum(axis=1))
    has_stayed = np.array([(again == leading)[has_leading] for again in refitted])
    spread = summarize_spread(model.predict_margins(matrix), np.array(margins))
    return _summarize(leads[has_leading], has_stayed, min_agreement), spread


def summarize_spread(margins: np.ndarray, refitted: np.ndarray) -> MarginSpread | None:
    """How far refits move margins: `margins` (snapshots), `refitted` (refits, snapshots); None for fewer than two.

    Each of ten groups of equal size has one standard deviation, pooled over its snapshots: a few refits say little
    about one snapshot, and enough about many.
    """
    if len(refitted) < 2:
        return None
    groups = [group for group in np.array_split(np.argsort(margins, kind="stable"), SPREAD_BINS) if len(group)]
    variances = refitted.var(axis=0, ddof=1)
    return {
        "refits": len(refitted),
        "snapshots": len(margins),
        "margins": [float(np.median(margins[group])) for group in groups],
        "deviations": [float(np.sqrt(variances[group].mean())) for group in groups],
    }


def _refit_contributions(
    model: ChurnModel, train: pd.DataFrame, matrix: np.ndarray, settings: Settings
) -> Iterator[tuple[np.ndarray, float]]:
    training, like = (
        settings.training,
        FittedEnsemble(model.booster, model.booster.num_trees(), model.leaves_per_tree, model.linear_model),
    )
    # Fewer accounts flip more often, so a lead that holds among a sample of them holds among all.
    train = sample_accounts(train, settings.stability.max_snapshots)
    draws = bootstrap_weights(train[ACCOUNT_ID].to_numpy(dtype="str"), settings.stability.refits)
    counts = np.concatenate(list(draws)).astype(int)
    for number in range(len(counts)):
        resampled = train.iloc[np.repeat(np.arange(len(train)), counts[number])]
        reseeded = training.model_copy(update={"seed": training.seed + 1 + number})
        yield refit(resampled, model.inputs, reseeded, like=like).predict_contributions(matrix)


def _summarize(leads: np.ndarray, has_stayed: np.ndarray, min_agreement: float) -> DriverStability:
    """The stability, from leads (snapshots) and whether the leading family stayed (refits, snapshots).

    The agreement rises with the lead: by isotonic regression, which needs no bins.
    """
    agreement = has_stayed.mean(axis=0)
    order = np.argsort(leads, kind="stable")
    fitted = isotonic_regression(agreement[order]).x
    stable = np.flatnonzero(fitted >= min_agreement)
    min_lead = float(leads[order][stable[0]]) if len(stable) else None
    is_clear = leads >= min_lead if min_lead is not None else np.zeros(len(leads), dtype=bool)
    return DriverStability(
        refits=len(has_stayed),
        snapshots=len(leads),
        min_agreement=min_agreement,
        flip_share=float(1 - agreement.mean()),
        min_lead=min_lead,
        clear_share=float(is_clear.mean()),
        clear_flip_share=float(1 - agreement[is_clear].mean()) if is_clear.any() else None,
    )
