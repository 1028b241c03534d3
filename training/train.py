"""Training: from the published history to a registered, evaluated model; the same inputs are never trained on twice."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import pandas as pd

from configs.errors import PromotionRefused
from configs.settings import Settings
from configs.state import State
from features.catalogue import signal_set
from training.baselines import base_rate, one_signal
from training.card import model_card
from training.evaluation import Evaluation, evaluate
from training.fit import Recipe, fit
from training.labels import label_hash
from training.model import ChurnModel, encode
from training.panel import CHURNED, Panel, build_panel
from training.pictures import draw
from training.registry import Registry, Run, Version, open_registry
from training.splits import Days, Split, split_days

Progress = Callable[[str, int, int], None]
STEPS = 5


@dataclass(frozen=True)
class Trained:
    """A version, what was said of it, and whether it was there already."""

    version: Version
    evaluation: dict[str, Any]
    reused: bool


def train(settings: Settings, state: State, known_until: datetime, progress: Progress) -> Trained:
    """Fit, evaluate and register a model on every snapshot mature by `known_until`, or find the one already made.

    Raises NothingToLearn where the history holds no answer to learn from.
    """
    progress("joining the panel", 0, STEPS)
    panel = build_panel(settings, state, known_until)
    days = [day.to_pydatetime() for day in sorted(panel.rows.as_of.unique())]
    split = split_days(days, settings.label, settings.training)
    identity = _identity(settings, panel)
    registry = open_registry(state, settings.name)
    progress("looking for the same model", 1, STEPS)
    found = registry.find(_hash(identity))
    if found:
        progress("found", STEPS, STEPS)
        return Trained(found, registry.evaluation(found), reused=True)
    progress("growing trees", 2, STEPS)
    label = settings.label.model_dump()
    recipe = Recipe(panel.place.signals, settings.training, label, identity)
    model = fit(_on(panel, split.early), _on(panel, split.calibration), _on(panel, split.known), recipe)
    progress("evaluating", 3, STEPS)
    judged = _judge(model, _on(panel, split.test))
    said = _said(model, panel, split, judged)
    with tempfile.TemporaryDirectory() as folder:
        draw(model, _on(panel, split.test), judged, Path(folder))
        (Path(folder) / "model_card.md").write_text(model_card(said), "utf-8")
        progress("logging to MLflow", 4, STEPS)
        parameters = {**settings.training.model_dump(), **label, **identity, "signals": len(model.inputs)}
        version = registry.log(Run(model, said, judged.figures(), parameters, _hash(identity), Path(folder)))
    progress("registered", STEPS, STEPS)
    return Trained(version, said, reused=False)


def promote(registry: Registry, version: Version, force_reason: str = "") -> Version:
    """Make the version champion; raises PromotionRefused for one that was no better than the base rate.

    With a reason it is promoted all the same, and the reason is kept on the version.
    """
    why = no_skill(registry.evaluation(version))
    if why and not force_reason:
        raise PromotionRefused(f"Version {version.number} is not promoted: {why}.", "Overrule with --force --reason.")
    note = {"forced_because": force_reason} if force_reason else {"promoted_because": "it beat its baselines"}
    return registry.promote(version.number, note)


def no_skill(evaluation: dict[str, Any]) -> str:
    """Why the model is no better than a baseline; empty where it is."""
    figures = evaluation["figures"]
    if figures["auc_low"] <= 0.5:
        return f"its AUC of {figures['auc']:.3f} cannot be told from chance (95 % from {figures['auc_low']:.3f})"
    for name, baseline in evaluation["baselines"].items():
        if figures["log_loss"] >= baseline["log_loss"]:
            return (
                f"its log loss of {figures['log_loss']:.4f} is no better than the {baseline['log_loss']:.4f} of {name}"
            )
    return ""


def _on(panel: Panel, days: Days) -> pd.DataFrame:
    return panel.rows[panel.rows.as_of.isin(days)].reset_index(drop=True)


def _judge(model: ChurnModel, test: pd.DataFrame) -> Evaluation:
    return evaluate(test[CHURNED].to_numpy(), model.risks(encode(test, model.inputs)))


def _baselines(model: ChurnModel, known: pd.DataFrame, test: pd.DataFrame) -> dict[str, Evaluation]:
    rules = (base_rate(known, test), one_signal(known, test, model.inputs))
    return {rule.name: evaluate(test[CHURNED].to_numpy(), rule.risks) for rule in rules}


def _said(model: ChurnModel, panel: Panel, split: Split, judged: Evaluation) -> dict[str, Any]:
    """All that is said of a model when it is trained, as JSON keeps it."""
    baselines = _baselines(model, _on(panel, split.known), _on(panel, split.test))
    return {
        "figures": judged.figures(),
        "calibration": judged.calibration.to_dict("records"),
        "is_calibrated": judged.is_calibrated,
        "baselines": {name: one.figures() for name, one in baselines.items()},
        "identity": dict(model.identity),
        "label": dict(model.label),
        "signals": len(model.inputs),
        "dropped": panel.dropped,
        "split": {group: [f"{day:%Y-%m-%d}" for day in days] for group, days in vars(split).items()},
    }


def _identity(settings: Settings, panel: Panel) -> dict[str, str]:
    return {
        "data": panel.data_hash,
        "signal_set": signal_set(panel.place.signals),
        "label": label_hash(settings.label),
        "training": _hash(settings.training.model_dump()),
        "snapshots": _hash({"days": sorted(map(str, panel.rows.as_of.unique()))}),
        "code": _code_hash(),
        "oarlock": installed_version("oarlock"),
    }


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()[:12]


def _code_hash() -> str:
    rooms = [Path(__file__).parent.parent / room for room in ("configs", "features", "training")]
    files = sorted(file for room in rooms for file in room.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
