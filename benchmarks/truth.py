"""The model against the truth of simulated companies: how near it comes to the limit that the true probability sets.

    python benchmarks/truth.py [--accounts 4000] [--seeds 1 2 3] [--json]

On the same test snapshots, per seed: AUC and log loss of the model, of the true probability (the limit) and of the base
rate; the gap between risk and true probability; and how often the family that drives a risk most is the family with the
largest true part, where the truth has a clear one. Figures over seeds come with a t interval.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as arrow
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student
from sklearn.metrics import log_loss, roc_auc_score

from configs.settings import Settings, read_settings
from configs.state import open_state
from features.dataset import read_dataset
from features.online import values_of
from features.publish import Days, publish
from features.simulate.company import Company
from features.simulate.folder import simulate
from serving.bundle import make_bundle
from serving.kernel import Kernel
from serving.scoring import Scores, score
from training.evaluation import calibration_table
from training.fit import Recipe, fit
from training.panel import CHURNED, Panel, build_panel
from training.splits import split_days

CONFIG = Path(__file__).parent.parent / "configs/oarlock.toml"
MONTHS = 24
CAUSES = ("adoption", "value", "support", "relationship", "billing", "onboarding", "engagement", "fit")
CLEAR = 0.5  # log-odds by which the largest true part must lead the second to count as clear


@dataclass(frozen=True)
class Found:
    """What one company showed."""

    snapshots: int
    churned: int
    auc: float
    auc_limit: float
    auc_share: float
    log_loss: float
    log_loss_limit: float
    log_loss_base: float
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
    asked = parser.parse_args()
    found = [_one_company(asked.accounts, seed) for seed in asked.seeds]
    if asked.json:
        print(json.dumps([asdict(one) for one in found], indent=1))
    else:
        _show(pd.DataFrame([asdict(one) for one in found]), asked.accounts)


def _one_company(accounts: int, seed: int) -> Found:
    with tempfile.TemporaryDirectory() as scratch:
        company = Path(scratch) / "company"
        simulate(Company(accounts=accounts, months=MONTHS, seed=seed), company, workers=2)
        settings = _settings(company, Path(scratch))
        state = open_state(settings)
        ends = read_dataset(settings.data).observed_until
        assert ends is not None
        publish(settings, state, Days(ends), lambda *_: None)
        return _compare(settings, build_panel(settings, state, ends), _truth(company))


def _settings(company: Path, scratch: Path) -> Settings:
    read = read_settings(CONFIG)
    return read.model_copy(update={"state": scratch, "data": read.data.model_copy(update={"folder": company})})


def _truth(company: Path) -> pd.DataFrame:
    rows = arrow.dataset(company / "truth/risks").to_table().to_pandas()
    return rows.assign(as_of=pd.to_datetime(rows.as_of).astype("datetime64[us]"))


def _compare(settings: Settings, panel: Panel, truth: pd.DataFrame) -> Found:
    days = [day.to_pydatetime() for day in sorted(panel.rows.as_of.unique())]
    split = split_days(days, settings.label, settings.training)
    early, calibration, known, test = (
        panel.rows[panel.rows.as_of.isin(group)].reset_index(drop=True)
        for group in (split.early, split.calibration, split.known, split.test)
    )
    recipe = Recipe(panel.place.signals, settings.training, settings.label.model_dump(), {"label": ""})
    model = fit(early, calibration, known, recipe)
    both = test.merge(truth, on=["account_id", "as_of"], validate="one_to_one")
    bundle = make_bundle(model, Kernel(settings.state / "compiled"))
    scores = score(bundle, values_of(both[model.names], bundle.categories), threads=2)
    return _figures(scores, both, float(known[CHURNED].mean()))


def _figures(scores: Scores, both: pd.DataFrame, base_rate: float) -> Found:
    churned, truth = both[CHURNED].to_numpy(), both.churn_90.to_numpy(dtype=float)
    auc, limit = float(roc_auc_score(churned, scores.risks)), float(roc_auc_score(churned, truth))
    losses = [float(log_loss(churned, p)) for p in (scores.risks, truth, np.full(len(churned), base_rate))]
    by_risk = calibration_table(truth, scores.risks)
    gap = np.average((by_risk.mean_risk - by_risk.churned / by_risk.snapshots).abs(), weights=by_risk.snapshots)
    clear, right = _families(scores, both)
    return Found(
        snapshots=len(both),
        churned=int(churned.sum()),
        auc=auc,
        auc_limit=limit,
        auc_share=(auc - 0.5) / (limit - 0.5),
        log_loss=losses[0],
        log_loss_limit=losses[1],
        log_loss_base=losses[2],
        gain_share=(losses[2] - losses[0]) / (losses[2] - losses[1]),
        gap_to_truth=float(gap),
        mean_risk=float(scores.risks.mean()),
        mean_truth=float(truth.mean()),
        clear_causes=clear,
        top_family_right=right,
    )


def _families(scores: Scores, both: pd.DataFrame) -> tuple[int, float]:
    """Accounts whose largest true part leads clearly, and in which share of them its family drives the risk most."""
    causes = [family for family in CAUSES if family in scores.families]
    true = both[[f"ahead_{family}" for family in causes]].to_numpy(dtype=float)
    ordered = np.sort(true, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] >= CLEAR
    told = scores.family_points[:, [scores.families.index(family) for family in causes]]
    return int(clear.sum()), float((told.argmax(axis=1) == true.argmax(axis=1))[clear].mean())


def _interval(values: pd.Series) -> str:
    if len(values) < 2:
        return f"{values.mean():.4f}"
    reach = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.4f} ± {reach:.4f}"


def _show(found: pd.DataFrame, accounts: int) -> None:
    names: Mapping[str, str] = {
        "snapshots": "test snapshots",
        "churned": "of which churned",
        "auc": "AUC, model",
        "auc_limit": "AUC, limit",
        "auc_share": "AUC above chance, share of the limit",
        "log_loss": "log loss, model",
        "log_loss_limit": "log loss, limit",
        "log_loss_base": "log loss, base rate",
        "gain_share": "log loss gained over the base rate, share of the limit",
        "gap_to_truth": "mean gap between risk and true probability, by tenths",
        "mean_risk": "mean risk",
        "mean_truth": "mean true probability",
        "clear_causes": "accounts with a clear true cause",
        "top_family_right": "share of them whose top family is that cause",
    }
    table = Table("", "mean ± 95 %", title=f"{len(found)} simulated companies of {accounts} accounts x {MONTHS} months")
    for column, name in names.items():
        table.add_row(name, _interval(found[column]))
    Console().print(table)


if __name__ == "__main__":
    main()
