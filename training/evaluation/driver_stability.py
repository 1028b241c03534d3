"""Stability: how often the family that raises a risk most is another one when the model is made again.

Trees, and the line beside them, are made again on bootstrap samples of the accounts, each with another seed. Where the
first family leads the second by little, their order is chance; from some lead on it stays. Only from there on is a main
reason said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from configs.settings import Settings
from training.data.cluster_bootstrap import of_some_accounts, resamples
from training.model.attribution import by_family, leading, members_of
from training.model.churn_model import ChurnModel, encode
from training.model.ensemble import learn_alike

KEY = "account_id"
MOST_SNAPSHOTS = 2_000


@dataclass(frozen=True)
class Stability:
    """Over `refits` and `snapshots` with a family that raises the risk: in which share of pairs the first one flipped.

    `lead` is that of the first family over the second, in log-odds, from which on it stays in `stays` of the refits;
    None where it never does. `clear` is the share of snapshots with such a lead, `flipped_when_clear` how often these
    flipped all the same.
    """

    refits: int
    snapshots: int
    stays: float
    flipped: float
    lead: float | None
    clear: float
    flipped_when_clear: float | None


def measure_stability(model: ChurnModel, known: pd.DataFrame, seen: pd.DataFrame, settings: Settings) -> Stability:
    """The stability of a model made from `known` on some of the `seen` snapshots; the same every time."""
    some = seen.iloc[:: max(len(seen) // MOST_SNAPSHOTS, 1)].head(MOST_SNAPSHOTS)
    matrix = encode(some, model.inputs)
    members = members_of(model.inputs)
    first, leads = leading(by_family(model.contributions(matrix), members))
    there = first >= 0
    if not there.any():
        return Stability(
            0, 0, settings.stability.min_agreement, flipped=0.0, lead=None, clear=0.0, flipped_when_clear=None
        )
    stayed = np.array(
        [
            leading(by_family(shares, members))[0][there] == first[there]
            for shares in _shares_again(model, known, matrix, settings)
        ]
    )
    return _told(leads[there], stayed, settings.stability.min_agreement)


def _shares_again(
    model: ChurnModel, known: pd.DataFrame, matrix: np.ndarray, settings: Settings
) -> Iterator[np.ndarray]:
    training, trees, has_line = settings.training, model.booster.num_trees(), model.line is not None
    # What fewer accounts say flips more often, so a lead that holds among them holds among all.
    known = of_some_accounts(known, settings.stability.max_snapshots)
    drawn = np.concatenate(list(resamples(known[KEY].to_numpy(dtype="str"), settings.stability.refits)))
    for number, counts in enumerate(drawn):
        sample = known.iloc[np.repeat(np.arange(len(known)), counts.astype(int))]
        other = training.model_copy(update={"seed": training.seed + 1 + number})
        again = learn_alike(sample, model.inputs, other, trees=trees, with_line=has_line)
        yield again.shares(matrix)[0]


def _told(leads: np.ndarray, stayed: np.ndarray, stays: float) -> Stability:
    """Leads (snapshots) and whether the first family stayed (refits, snapshots), made a threshold.

    How often it stays rises with the lead: by isotonic regression, which needs no bins.
    """
    rate = stayed.mean(axis=0)
    order = np.argsort(leads, kind="stable")
    rising = isotonic_regression(rate[order]).x
    enough = np.flatnonzero(rising >= stays)
    lead = float(leads[order][enough[0]]) if len(enough) else None
    clear = leads >= lead if lead is not None else np.zeros(len(leads), dtype=bool)
    return Stability(
        refits=len(stayed),
        snapshots=len(leads),
        stays=stays,
        flipped=float(1 - rate.mean()),
        lead=lead,
        clear=float(clear.mean()),
        flipped_when_clear=float(1 - rate[clear].mean()) if clear.any() else None,
    )
