"""Accuracy on the whole of crm5: churn within 60 days, seen from 2023-05-01, out of time, against a plain LightGBM.

    python benchmarks/accuracy_crm5.py /path/to/crm5 [--json]

The protocol: accounts known for at least 28 days; everything the model saw had its answer before the test day. The
rival is LightGBM untuned (200 trees, learning rate 0.05, 31 leaves) on the same signals and the same rows.
"""

import argparse
import json
import tempfile
from datetime import datetime
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from configs.settings import Settings, read_settings
from configs.state import open_state
from features.publish import Days, publish
from training.evaluation import Cases, Evaluation, evaluate
from training.fit import Recipe, fit
from training.model import ChurnModel, encode
from training.panel import CHURNED, Panel, build_panel
from training.splits import split_days

ENDS = datetime(2023, 7, 1)
CONFIG = Path(__file__).parent.parent / "configs/crm5.toml"
KNOWN_FOR_DAYS = 28
PLAIN = {"objective": "binary", "learning_rate": 0.05, "num_leaves": 31, "verbose": -1, "seed": 7, "num_threads": 2}
PLAIN_TREES = 200


def main() -> None:
    """Publish, fit, judge, print."""
    parser = argparse.ArgumentParser(description="Accuracy on the whole of crm5.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        settings = _settings(asked.folder, Path(scratch))
        state = open_state(settings)
        publish(settings, state, Days(ENDS), lambda *_: None)
        found = _judge(settings, build_panel(settings, state, ENDS))
    if asked.json:
        print(json.dumps({name: one.figures() for name, one in found.items()}, indent=1))
    else:
        _show(found)


def _settings(folder: Path, scratch: Path) -> Settings:
    read = read_settings(CONFIG)
    return read.model_copy(update={"state": scratch, "data": read.data.model_copy(update={"folder": folder.resolve()})})


def _judge(settings: Settings, panel: Panel) -> dict[str, Evaluation]:
    days = [day.to_pydatetime() for day in sorted(panel.rows.as_of.unique())]
    split = split_days(days, settings.label, settings.training)
    early, calibration, known, test = (
        panel.rows[panel.rows.as_of.isin(group)].reset_index(drop=True)
        for group in (split.early, split.calibration, split.known, split.test)
    )
    recipe = Recipe(panel.place.signals, settings.training, settings.label.model_dump(), {"label": ""})
    model = fit(early, calibration, known, recipe)
    scope = test[test.tenure >= KNOWN_FOR_DAYS].reset_index(drop=True)
    churned, matrix = scope[CHURNED].to_numpy(), encode(scope, model.inputs)
    return {
        name: evaluate(Cases(churned), risks, settings.evaluation)
        for name, risks in (
            ("Oarlock", model.risks(matrix)),
            ("LightGBM untuned, same signals", _plain(model, known, matrix)),
        )
    }


def _plain(model: ChurnModel, known: pd.DataFrame, matrix: np.ndarray) -> np.ndarray:
    categories = [i for i, one in enumerate(model.inputs) if one.kind == "category"]
    data = lightgbm.Dataset(encode(known, model.inputs), known[CHURNED].to_numpy(), categorical_feature=categories)
    return np.asarray(lightgbm.train(PLAIN, data, PLAIN_TREES).predict(matrix))


def _show(found: dict[str, Evaluation]) -> None:
    console = Console()
    first = next(iter(found.values()))
    title = f"crm5, {first.snapshots} test snapshots, {first.churned} churned, churn rate {first.rate}"
    table = Table("", "AUC", "average precision", "lift at 10 %", "log loss", "mean risk", title=title)
    for name, one in found.items():
        figures = (one.auc, one.average_precision, one.lift_at_10, one.log_loss)
        table.add_row(name, *map(str, figures), f"{one.mean_risk:.4f}")
    console.print(table)
    console.print(f"mean risk within the interval of the churn rate: {first.is_calibrated}")
    console.print(first.calibration.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
