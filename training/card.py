"""The model card: what a model is for, what it was made from, and how far it can be trusted, in Markdown."""

from typing import Any

FIGURES = ("auc", "average_precision", "lift_at_10", "brier", "log_loss")
NAMES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "lift_at_10": "lift at 10 %",
    "brier": "Brier score",
    "log_loss": "log loss",
}


def model_card(evaluation: dict[str, Any]) -> str:
    """The card of a model from what was said of it when it was trained (see `training/train.py`)."""
    figures, label = evaluation["figures"], evaluation["label"]
    lines = [
        "# Model card",
        "",
        f"The probability that an account leaves within {label['horizon_days']} days"
        f" (lead {label['lead_days']}, grace {label['grace_days']}). Not causal: a driver says what the risk is made"
        " of, not what would change it.",
        "",
        *(f"- {name}: `{value}`" for name, value in sorted(evaluation["identity"].items())),
        f"- signals: {evaluation['signals']}",
        *(f"- days for {group}: {days[0]} to {days[-1]} ({len(days)})" for group, days in evaluation["split"].items()),
        *(f"- snapshots {why}: {count}" for why, count in evaluation["dropped"].items()),
        "",
        f"## On {int(figures['snapshots'])} test snapshots, of which {int(figures['churned'])} churned",
        "",
        f"Mean risk {figures['mean_risk']:.4f}; churn rate {_interval(figures, 'rate')}.",
        "",
        "| | model | " + " | ".join(evaluation["baselines"]) + " |",
        "|---|---|" + "---|" * len(evaluation["baselines"]),
        *(_compared(name, evaluation) for name in FIGURES),
        "",
        "## Calibration",
        "",
        "| snapshots | mean risk | churned | churn rate | 95 % |",
        "|---|---|---|---|---|",
        *(_calibration_line(row) for row in evaluation["calibration"]),
    ]
    return "\n".join(lines) + "\n"


def _interval(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:.4f} [{figures[f'{name}_low']:.4f}, {figures[f'{name}_high']:.4f}]"


def _compared(name: str, evaluation: dict[str, Any]) -> str:
    cells = [evaluation["figures"], *evaluation["baselines"].values()]
    return f"| {NAMES[name]} | " + " | ".join(_interval(one, name) for one in cells) + " |"


def _calibration_line(row: dict[str, float]) -> str:
    interval = f"[{row['low']:.4f}, {row['high']:.4f}]"
    return (
        f"| {row['snapshots']:.0f} | {row['mean_risk']:.4f} | {row['churned']:.0f} | {row['rate']:.4f} | {interval} |"
    )
