"""How much each signal alone tells about churn, by family, on the mature snapshots of the demo's simulated company.

    python benchmarks/features/signal_auc.py [--config configs/oarlock.toml] [--top 3] [--json]

Run `oarlock demo` first. The AUC of a signal is that of its values as they are (the larger of both directions), a
missing value counting as a rank of its own below all others; categories are ranked by their churn rate on the other
half of the accounts. The n is the snapshots with a value.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.signals.base import Signal
from features.tables.dataset import read_dataset
from training.data.training_set import build_training_set
from training.labels.definition import CHURNED


def main() -> None:
    """Rank the signals of each family by what they tell alone."""
    parser = argparse.ArgumentParser(description="How much each signal alone tells about churn, by family.")
    parser.add_argument("--config", type=Path, default=Path("configs/oarlock.toml"))
    parser.add_argument("--top", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    settings = read_settings(arguments.config)
    ends = read_dataset(settings.data).observed_until
    assert ends is not None
    panel = build_training_set(settings, open_state_dir(settings), ends)
    table = pd.DataFrame([_measure_signal(signal, panel.rows) for signal in panel.history.signals])
    best = (
        table.sort_values("auc", ascending=False).groupby("family").head(arguments.top).sort_values(["family", "auc"])
    )
    if arguments.json:
        print(json.dumps(table.to_dict("records"), indent=1))
    else:
        _show(best[::-1], len(panel.rows), int(panel.rows[CHURNED].sum()))


def _measure_signal(signal: Signal, rows: pd.DataFrame) -> dict[str, object]:
    ranks = _by_category(rows[signal.name], rows) if signal.kind == "category" else rows[signal.name].astype("float64")
    auc = float(roc_auc_score(rows[CHURNED], ranks.fillna(ranks.min() - 1 if ranks.notna().any() else 0)))
    return {
        "family": signal.family,
        "signal": signal.name,
        "auc": max(auc, 1 - auc),
        "n": int(rows[signal.name].notna().sum()),
    }


def _by_category(values: pd.Series, rows: pd.DataFrame) -> pd.Series:
    half = pd.util.hash_array(rows.account_id.to_numpy(dtype=object)) % 2 == 0
    groups = values.astype("string").fillna("missing")
    rates = [groups.map(rows[CHURNED][side].groupby(groups[side]).mean()) for side in (half, ~half)]
    return pd.Series(np.where(half, rates[1], rates[0]).astype("float64"), index=values.index)


def _show(best: pd.DataFrame, snapshots: int, churned: int) -> None:
    table = Table("family", "signal", "AUC alone", "n", title=f"{snapshots:,} snapshots, {churned} churned")
    for row in best.to_dict("records"):
        table.add_row(row["family"], row["signal"], f"{row['auc']:.3f}", f"{row['n']:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
