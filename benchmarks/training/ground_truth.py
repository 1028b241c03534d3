"""The model against the truth of simulated companies: how near it comes to the limit that the true probability sets.

    python -m benchmarks.training.ground_truth [--accounts 4000] [--seeds 1 2 3] [--json]

On the newest test snapshots, per seed: AUC of the model and of the true probability (the limit); the share of the
limit's gain in log loss over the base rate that the model reaches, in expectation over the true probability; the gap
between risk and true probability; and how often the family that drives a risk most is the family with the largest true
part, where the truth has a clear one. Figures over seeds come with a t interval.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from benchmarks.accuracy.datasets import MONTHS, BenchmarkDataset, open_simulated
from benchmarks.accuracy.oracle import measure_gain, read_truth, truth_of, with_truth
from benchmarks.accuracy.runner import recipe_of
from features.simulator.model.parameters import Company
from features.store.online_reader import values_from_frame
from serving.scoring.model_bundle import make_bundle
from serving.scoring.scores import Scores, score_values
from serving.treeshap.kernel import Kernel
from training.evaluation.backtest import fit_split, rows_on
from training.labels.definition import CHURNED

SAME_NAME = ("adoption", "value", "support", "relationship", "billing", "onboarding", "engagement")
CAUSES: Mapping[str, str] = {**dict(zip(SAME_NAME, SAME_NAME, strict=True)), "customer_profile": "fit"}  # by family
CLEAR = 0.5  # log-odds by which the largest true part must lead the second to count as clear
NAMES: Mapping[str, str] = {
    "snapshots": "test snapshots",
    "churned": "of which churned",
    "auc": "AUC, model",
    "auc_limit": "AUC, limit",
    "gain_share": "log loss gained over the base rate, share of the limit",
    "gap_to_truth": "mean gap between risk and true probability, by tenths",
    "mean_risk": "mean risk",
    "mean_truth": "mean true probability",
    "clear_causes": "accounts with a clear true cause",
    "top_family_right": "share of them whose top family is that cause",
}


@dataclass(frozen=True)
class GroundTruthResult:
    """What one company showed."""

    snapshots: int
    churned: int
    auc: float
    auc_limit: float
    gain_share: float
    gap_to_truth: float
    mean_risk: float
    mean_truth: float
    clear_causes: int
    top_family_right: float


def main() -> None:
    """Simulate, train and compare per seed; print figures with intervals."""
    parser = argparse.ArgumentParser(description="The model against the truth of simulated companies.")
    parser.add_argument("--accounts", type=int, default=4000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = [
        _compare_on_company(Company(accounts=arguments.accounts, months=MONTHS, seed=seed)) for seed in arguments.seeds
    ]
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
    else:
        _show(pd.DataFrame([asdict(result) for result in results]), arguments.accounts)


def _compare_on_company(company: Company) -> GroundTruthResult:
    with tempfile.TemporaryDirectory() as scratch:
        dataset = open_simulated(company, Path(scratch), lambda _: None)
        assert dataset.company is not None
        return _compare(dataset, read_truth(dataset.company, dataset.settings.label.horizon_days))


def _compare(dataset: BenchmarkDataset, true: pd.DataFrame) -> GroundTruthResult:
    rows, split = dataset.panel.rows, dataset.splits[0]
    model = fit_split(rows, split, recipe_of(dataset))
    test = with_truth(rows_on(rows, split.test), true)
    truth = truth_of(test, float(rows_on(rows, split.train)[CHURNED].mean()))
    bundle = make_bundle(model, Kernel(dataset.settings.state / "compiled"))
    scores = score_values(bundle, values_from_frame(test[model.signal_names], bundle.category_names), threads=2)
    near = measure_gain(truth, scores.risks)
    clear, right = _families(scores, test)
    return GroundTruthResult(
        snapshots=len(test),
        churned=int(truth.churned.sum()),
        auc=float(roc_auc_score(truth.churned, scores.risks)),
        auc_limit=float(roc_auc_score(truth.churned, truth.probability)),
        gain_share=near.share.value,
        gap_to_truth=near.gap_to_truth,
        mean_risk=float(scores.risks.mean()),
        mean_truth=float(truth.probability.mean()),
        clear_causes=clear,
        top_family_right=right,
    )


def _families(scores: Scores, test: pd.DataFrame) -> tuple[int, float]:
    """Accounts whose largest true part leads clearly, and in which share of them its family drives the risk most."""
    families = [family for family in CAUSES if family in scores.families]
    true = test[[f"ahead_{CAUSES[family]}" for family in families]].to_numpy(dtype=float)
    ordered = np.sort(true, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] >= CLEAR
    estimated = scores.family_points[:, [scores.families.index(family) for family in families]]
    return int(clear.sum()), float((estimated.argmax(axis=1) == true.argmax(axis=1))[clear].mean())


def _interval(values: pd.Series) -> str:
    if len(values) < 2:
        return f"{values.mean():.4f}"
    reach = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.4f} ± {reach:.4f}"


def _show(results: pd.DataFrame, accounts: int) -> None:
    table = Table(
        "", "mean ± 95 %", title=f"{len(results)} simulated companies of {accounts} accounts x {MONTHS} months"
    )
    for column, name in NAMES.items():
        table.add_row(name, _interval(results[column]))
    Console().print(table)


if __name__ == "__main__":
    main()
