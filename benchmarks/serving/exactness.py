"""Exactness: over many served risks, whether drivers add up, horizons never cross, and shares are those of shap.

    python benchmarks/serving/exactness.py [--scores 10000] [--json]

A model is fitted on the shipped extract of crm5 as it is served, and scored through the kernel of the service. Printed
are the largest differences; the script ends with 1 where one is above 1e-9 or two horizons cross.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import shap
from rich.console import Console
from rich.table import Table

from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from features.publishing.pipeline import PublishRequest, publish
from features.store.online_reader import values_from_frame
from features.tables.dataset import read_dataset
from serving.scoring.driver_text import describe_drivers
from serving.scoring.model_bundle import make_bundle
from serving.scoring.scores import Scores, score_values
from serving.treeshap.kernel import Kernel
from training.data.training_set import TrainingSet, build_training_set
from training.evaluation.backtest import backtest_splits, fit_split
from training.labels.definition import describe_label, supported_horizons
from training.model.churn_model import ChurnModel
from training.model.fit import FitConfig

CONFIG = Path(__file__).parents[2] / "configs/crm5.toml"
EXACT = 1e-9
NAMED = 3


def main() -> None:
    """Publish, fit, score, compare, print."""
    parser = argparse.ArgumentParser(description="Whether served risks and drivers are exact.")
    parser.add_argument("--scores", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        settings = read_settings(CONFIG).model_copy(update={"state": Path(scratch)})
        state = open_state_dir(settings)
        panel = _panel(settings, state)
        model = _model(settings, panel)
        rows = panel.rows[model.signal_names].sample(
            arguments.scores, replace=len(panel.rows) < arguments.scores, random_state=0
        )
        bundle = make_bundle(model, Kernel(state.compiled_kernels))
        errors = differences(
            score_values(bundle, values_from_frame(rows.reset_index(drop=True), bundle.category_names)), model
        )
    if arguments.json:
        print(json.dumps(errors, indent=1))
    else:
        _show(errors, arguments.scores)
    sys.exit(any(value > EXACT for value in errors.values()))


def differences(scores: Scores, model: ChurnModel) -> dict[str, float]:
    """The largest differences by what they are of; how far horizons cross is 0 where they never do."""
    horizons = scores.model.calibrator.horizons
    added = {
        f"base and points add up to the risk within {days} days": float(
            np.abs(
                scores.bases_by_horizon[:, i] + scores.points_within(days).sum(axis=1) - scores.risks_by_horizon[:, i]
            ).max()
        )
        for i, days in enumerate(horizons)
    }
    explained = np.asarray(shap.TreeExplainer(model.booster)(scores.matrix).values)
    explained += 0 if model.linear_model is None else model.linear_model.predict_contributions(scores.matrix)
    margins = model.predict_margins(scores.matrix)
    return {
        **added,
        f"the {NAMED} drivers named and the rest add up": _unexplained(scores),
        "shares of the margin are those of shap": float(np.abs(explained - scores.contributions).max()),
        "base margin and shares add up to the margin": float(
            np.abs(model.base_margin + scores.contributions.sum(axis=1) - margins).max()
        ),
        "horizons cross by": float(np.clip(-np.diff(scores.risks_by_horizon, axis=1), 0, None).max(initial=0.0)),
    }


def _unexplained(scores: Scores) -> float:
    missed = []
    for description, risk in zip(describe_drivers(scores, NAMED), scores.risks.tolist(), strict=True):
        named = sum(driver["points"] for driver in [*description["drivers"], *description["protective_drivers"]])
        missed.append(abs(description["base"] + named + description["remaining_points"] - risk))
    return max(missed)


def _panel(settings: Settings, state: StateDir) -> TrainingSet:
    ends = read_dataset(settings.data).observed_until
    assert ends is not None
    publish(settings, state, PublishRequest(ends), lambda *_: None)
    return build_training_set(settings, state, ends)


def _model(settings: Settings, panel: TrainingSet) -> ChurnModel:
    horizons, _ = supported_horizons(settings.label)
    recipe = FitConfig(
        panel.history.signals, settings.training, describe_label(settings.label), {"label": ""}, horizons
    )
    return fit_split(panel.rows, backtest_splits(panel.days, settings)[0], recipe)


def _show(errors: dict[str, float], scores: int) -> None:
    table = Table("what", "largest difference", title=f"{scores:,} scores")
    for name, value in errors.items():
        table.add_row(name, f"{value:.1e}")
    Console().print(table)


if __name__ == "__main__":
    main()
