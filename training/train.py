"""Training: from the published history to a registered, evaluated model; the same inputs are never trained on twice."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from configs.errors import PromotionRefused
from configs.settings import Settings
from configs.state import State
from features.catalogue import signal_set
from training.card import model_card
from training.fit import Recipe
from training.labels import describe_label, horizons_of, label_hash
from training.lint import Lesson, lint, refuse_labels
from training.model import ChurnModel
from training.panel import Panel, build_panel
from training.pictures import draw
from training.proof import Proof, prove
from training.registry import Registry, Run, Version, open_registry
from training.rolling import fit_on, on, origin_splits
from training.verdict import why_refused

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

    Raises NothingToLearn where the history holds no answer to learn from, LabelsRefused where it would teach wrongly.
    """
    progress("joining the panel", 0, STEPS)
    panel = build_panel(settings, state, known_until)
    days = [day.to_pydatetime() for day in sorted(panel.rows.as_of.unique())]
    splits = origin_splits(days, settings)
    refuse_labels(lint(Lesson(panel.rows, panel.facts, splits[0], panel.place.signals), settings.label, known_until))
    identity = _identity(settings, panel)
    registry = open_registry(state, settings.name)
    progress("looking for the same model", 1, STEPS)
    found = registry.find(_hash(identity))
    if found:
        progress("found", STEPS, STEPS)
        return Trained(found, registry.evaluation(found), reused=True)
    progress("growing trees", 2, STEPS)
    recipe = Recipe(
        panel.place.signals, settings.training, describe_label(settings.label), identity, horizons_of(settings.label)[0]
    )
    model = fit_on(panel.rows, splits[0], recipe)
    progress("judging on past days, against baselines and for leaks", 3, STEPS)
    proof = prove(model, panel, splits, settings)
    said = _said(model, panel, proof)
    with tempfile.TemporaryDirectory() as folder:
        draw(model, on(panel.rows, splits[0].test), proof.judged, Path(folder))
        (Path(folder) / "model_card.md").write_text(model_card(said), "utf-8")
        progress("logging to MLflow", 4, STEPS)
        parameters = {**settings.training.model_dump(), **recipe.label, **identity, "signals": len(model.inputs)}
        version = registry.log(Run(model, said, proof.judged.figures(), parameters, _hash(identity), Path(folder)))
    progress("registered", STEPS, STEPS)
    return Trained(version, said, reused=False)


def promote(registry: Registry, version: Version, force_reason: str = "") -> Version:
    """Make the version champion; raises PromotionRefused for one without skill or with a leak.

    With a reason it is promoted all the same, and the reason is kept on the version.
    """
    why = why_refused(registry.evaluation(version))
    if why and not force_reason:
        raise PromotionRefused(f"Version {version.number} is not promoted: {why}.", "Overrule with --force --reason.")
    note = {"forced_because": force_reason} if force_reason else {"promoted_because": "it beat its baselines"}
    return registry.promote(version.number, note)


def _said(model: ChurnModel, panel: Panel, proof: Proof) -> dict[str, Any]:
    """All that is said of a model when it is trained, as JSON keeps it."""
    return {
        **proof.document,
        "identity": dict(model.identity),
        "label": dict(model.label),
        "signals": len(model.inputs),
        "dropped": panel.dropped,
    }


def _identity(settings: Settings, panel: Panel) -> dict[str, str]:
    return {
        "data": panel.data_hash,
        "signal_set": signal_set(panel.place.signals),
        "label": label_hash(settings.label),
        "horizons": _hash({"days": horizons_of(settings.label)[0]}),
        "training": _hash(settings.training.model_dump()),
        "evaluation": _hash(settings.model_dump(include={"evaluation", "health_score", "leakage"})),
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
