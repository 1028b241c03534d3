"""Pictures of a trained model: what moves its risks (SHAP), how true they are, and the model card in words."""

from pathlib import Path

import numpy as np
import pandas as pd

from training.evaluation import Evaluation
from training.model import ChurnModel, encode

SHOWN_SIGNALS = 15
SHOWN_SNAPSHOTS = 2_000


def draw(model: ChurnModel, rows: pd.DataFrame, evaluation: Evaluation, folder: Path) -> None:
    """Write shap_summary.png and calibration.png to the folder."""
    import matplotlib as mpl

    mpl.use("Agg")
    _shap_summary(model, rows.head(SHOWN_SNAPSHOTS), folder / "shap_summary.png")
    _calibration(evaluation, folder / "calibration.png")


def _shap_summary(model: ChurnModel, rows: pd.DataFrame, file: Path) -> None:
    import shap
    from matplotlib import pyplot

    matrix = encode(rows, model.inputs)
    explained = shap.Explanation(
        values=model.contributions(matrix),
        base_values=np.full(len(rows), model.base_margin),
        data=matrix,
        feature_names=[one.label for one in model.inputs],
    )
    shap.plots.beeswarm(explained, max_display=SHOWN_SIGNALS, show=False)
    pyplot.xlabel("share of the margin (log-odds before calibration); red: high value, blue: low")
    _save(file)


def _calibration(evaluation: Evaluation, file: Path) -> None:
    from matplotlib import pyplot

    table = evaluation.calibration
    figure, axes = pyplot.subplots(figsize=(6, 6))
    spread = [table.rate - table.low, table.high - table.rate]
    axes.errorbar(table.mean_risk, table.rate, yerr=spread, fmt="o", capsize=3, label="tenth of the accounts, 95 %")
    top = max(table.mean_risk.max(), table.high.max()) * 1.05
    axes.plot([0, top], [0, top], color="grey", linewidth=1, label="risk = rate")
    axes.set(xlabel="mean risk", ylabel="churn rate", title=f"Calibration, n = {evaluation.snapshots}")
    axes.legend()
    figure.tight_layout()
    _save(file)


def _save(file: Path) -> None:
    from matplotlib import pyplot

    pyplot.savefig(file, dpi=110, bbox_inches="tight")
    pyplot.close("all")
