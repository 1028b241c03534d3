"""Rolling origins: the model as it would have been made on several past days, each judged on what came after.

The model of an origin is fitted exactly as the one that is served, on what was known on its test day (Tashman, 2000, on
rolling-origin evaluation). The spread over origins says how much one test day is worth.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from configs.errors import NothingToLearn
from configs.settings import Settings
from training.data.time_splits import Days, Split, split_days
from training.data.training_set import CHURNED
from training.evaluation.baselines import Baseline, baselines
from training.evaluation.scorecard import Cases, Evaluation, evaluate
from training.model.churn_model import ChurnModel, encode
from training.model.fit import LongerRows, Recipe, fit

KEY, REVENUE = "account_id", "mrr"
Made = Callable[[pd.DataFrame, Split], ChurnModel]


@dataclass(frozen=True)
class Origin:
    """One origin: the test snapshots with their answers, and the risks that model and baselines gave them.

    `risks` are those within the main horizon, `risks_within` those within each, by its days.
    """

    split: Split
    test: pd.DataFrame
    risks: np.ndarray
    baselines: tuple[Baseline, ...]
    risks_within: Mapping[int, np.ndarray] = field(default_factory=dict)


def fit_on(rows: pd.DataFrame, split: Split, recipe: Recipe) -> ChurnModel:
    """The model of one split, as it is served."""
    longer = [LongerRows(one.horizon_days, on(rows, one.early), on(rows, one.calibration)) for one in split.longer]
    return fit(on(rows, split.early), on(rows, split.calibration), on(rows, split.known), recipe, longer=longer)


def on(rows: pd.DataFrame, days: Days) -> pd.DataFrame:
    """The snapshots of these days."""
    return rows[rows.as_of.isin(days)].reset_index(drop=True)


def origin_splits(days: list[datetime], settings: Settings) -> list[Split]:
    """The newest split and earlier ones, newest first, their test days far enough apart; as many as the days allow."""
    apart = timedelta(days=settings.evaluation.fold_spacing_days or settings.label.horizon_days)
    found = [split_days(days, settings.label, settings.training)]
    while len(found) < settings.evaluation.backtest_folds:
        earlier = [day for day in days if day + apart <= found[-1].test[0]]
        try:
            found.append(split_days(earlier, settings.label, settings.training))
        except NothingToLearn:
            break
    return found


def judge(model: ChurnModel, rows: pd.DataFrame, split: Split, settings: Settings) -> Origin:
    """The risks of a model and of its baselines on the test days of its split.

    Raises NothingToLearn where nobody churned or nobody stayed there.
    """
    known, test = on(rows, split.known), on(rows, split.test)
    refuse_one_answer(test)
    simple = baselines(known, test, model.inputs, settings.health_score.weights)
    each = dict(zip(model.calibrator.horizons, model.risks_within(encode(test, model.inputs)).T, strict=True))
    return Origin(split, test, each[model.horizon_days], simple, each)


def refuse_one_answer(test: pd.DataFrame) -> None:
    """Raise NothingToLearn for test snapshots that no risk can be told right or wrong by."""
    churned = int(test[CHURNED].sum())
    if churned in {0, len(test)}:
        who = "nobody churned" if churned == 0 else "everyone churned"
        message = f"Of {len(test)} test snapshots of {test.as_of.max():%Y-%m-%d} {who}: no risk can be judged on them."
        raise NothingToLearn(message, "Test on more days (training.test_snapshots), or bring a longer history.")


def earlier_origins(
    rows: pd.DataFrame, splits: list[Split], recipe: Recipe, settings: Settings
) -> tuple[list[Origin], dict[str, str]]:
    """Every origin but the newest, and why any of them could not be fitted, by its test day."""
    found, skipped = [], {}
    for split in splits[1:]:
        try:
            found.append(judge(fit_on(rows, split, recipe), rows, split, settings))
        except NothingToLearn as problem:
            skipped[f"{split.test[-1]:%Y-%m-%d}"] = problem.message
    return found, skipped


def cases(origins: list[Origin]) -> Cases:
    """The snapshots of all origins, in their order."""
    test = pd.concat([one.test for one in origins], ignore_index=True)
    revenue = test[REVENUE].to_numpy(dtype="float64") if REVENUE in test else None
    return Cases(test[CHURNED].to_numpy(), test[KEY].to_numpy(dtype="str"), revenue, test.as_of.to_numpy())


def risks_of(origins: list[Origin]) -> np.ndarray:
    """The model's risks over all origins, in their order."""
    return np.concatenate([one.risks for one in origins])


def rivals(origins: list[Origin]) -> list[Baseline]:
    """Each baseline over all origins, in their order; it keeps the name it has at the newest."""
    newest, places = origins[0].baselines, range(len(origins[0].baselines))
    pooled = [np.concatenate([one.baselines[place].risks for one in origins]) for place in places]
    return [Baseline(b.name, risks, b.must_be_beaten) for b, risks in zip(newest, pooled, strict=True)]


def unseen_accounts(rows: pd.DataFrame, split: Split, recipe: Recipe, settings: Settings) -> Evaluation | None:
    """How well the newest origin is told by models that never saw the account; None where that is not asked for.

    Accounts fall into `group_kfold` groups by a hash of their name; each group is judged by a fit on the others.
    """
    folds = settings.evaluation.group_kfold
    if folds < 2:
        return None
    fold = rows[KEY].map(lambda name: zlib.crc32(str(name).encode()) % folds)
    parts = [_held_out(rows, fold == number, split, recipe) for number in range(folds)]
    return evaluate(cases(parts), risks_of(parts), settings.evaluation)


def _held_out(rows: pd.DataFrame, held: pd.Series, split: Split, recipe: Recipe) -> Origin:
    test = on(rows[held], split.test)
    model = fit_on(rows[~held], split, replace(recipe, horizons=()))
    return Origin(split, test, model.risks(encode(test, model.inputs)), ())
