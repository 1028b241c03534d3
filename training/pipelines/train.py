"""Training: from the published history to a registered, evaluated model that was held against the champion.

The same inputs are never trained on twice.
"""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from configs.settings import Settings
from configs.state_dir import State
from features.signals.registry import signal_set
from features.tables.mapping import read_dataset
from training.comparison.compare_versions import Ring, hold_duel, open_ring
from training.data.label_checks import Lesson, lint, refuse_labels
from training.data.time_splits import Split
from training.data.training_set import Panel, build_panel
from training.evaluation.ablation import ablations
from training.evaluation.backtest import fit_on, on, origin_splits
from training.evaluation.driver_stability import measure_stability
from training.labels.departures import describe_label, supported_horizons, label_hash
from training.model.churn_model import ChurnModel
from training.model.fit import Recipe
from training.pipelines.evaluate import Proof, prove
from training.pipelines.tuning import Budget, Found, Notebook, open_search
from training.registry.mlflow_registry import Registry, Run, open_registry
from training.registry.promotion import champion_of
from training.registry.provenance import (
    Provenance,
    code_hash,
    files_of,
    libraries_hash,
    machine,
    sections_of,
    signals_of,
)
from training.registry.version import Version
from training.reports.model_card_html import write_cards
from training.reports.plots import Subject, draw

Progress = Callable[[str, int, int], None]
STEPS = 8


@dataclass(frozen=True)
class Trained:
    """A version, what was said of it, its duel against the champion if there is one, and whether it was there."""

    version: Version
    evaluation: dict[str, Any]
    duel: dict[str, Any] | None
    reused: bool


def train(
    settings: Settings, state: State, known_until: datetime, progress: Progress, *, budget: Budget | None = None
) -> Trained:
    """Fit, evaluate and register a model on every snapshot mature by `known_until`, or find the one already made.

    With a budget, settings of the trees are searched first, and those found count. Raises NothingToLearn where the
    history holds no answer to learn from, LabelsRefused where it would teach wrongly.
    """
    progress("joining the panel", 0, STEPS)
    panel = build_panel(settings, state, known_until)
    splits = origin_splits(panel.days, settings)
    refuse_labels(lint(Lesson(panel.rows, panel.facts, splits[0], panel.place.signals), settings.label, known_until))
    found_settings = _search(settings, state, panel, splits, budget) if budget else None
    settings = _with(settings, found_settings)
    identity = _identity(settings, panel)
    registry = open_registry(state, settings.name)
    progress("looking for the same model", 1, STEPS)
    found = registry.find(_hash(identity))
    ring = open_ring(panel, settings, state)
    if found:
        duel = _duel(registry, found, ring, progress)
        progress("found", STEPS, STEPS)
        return Trained(found, registry.evaluation(found), duel, reused=True)
    progress("growing trees", 2, STEPS)
    recipe = Recipe(
        panel.place.signals, settings.training, describe_label(settings.label), identity, supported_horizons(settings.label)[0]
    )
    model = fit_on(panel.rows, splits[0], recipe)
    progress("making the model again to see which main reasons stay", 3, STEPS)
    known, test = on(panel.rows, splits[0].known), on(panel.rows, splits[0].test)
    stability = measure_stability(model, known, test, settings)
    model = replace(model, clear_lead=stability.lead)
    progress("judging on past days, against baselines and for leaks", 4, STEPS)
    proof = prove(model, panel, splits, settings)
    said = _said(model, panel, proof) | {"stability": asdict(stability), "search": _told(found_settings)}
    said["ablation"] = _ablated(Subject(model, proof.origins[0], said), panel, settings, progress)
    progress("logging to MLflow", 6, STEPS)
    parameters = {**settings.training.model_dump(), **recipe.label, **identity, **machine()}
    made_from = provenance_of(settings, panel, known_until)
    run = Run(model, said, made_from, proof.judged.figures(), parameters, _hash(identity), Path())
    version = _logged(registry, run, Subject(model, proof.origins[0], said))
    performed = {version.number: {one.split.test: one for one in proof.origins}}
    duel = _duel(registry, version, replace(ring, performed=performed), progress)
    progress("registered", STEPS, STEPS)
    return Trained(version, said, duel, reused=False)


def _ablated(subject: Subject, panel: Panel, settings: Settings, progress: Progress) -> list[dict[str, Any]]:
    found = []
    for one in ablations(subject.model, panel, subject.newest, settings):
        progress(f"judged {one.name}", 5, STEPS)
        found.append(asdict(one))
    return found


def _logged(registry: Registry, run: Run, subject: Subject) -> Version:
    """Draw the pictures, write the cards, and register the run with them."""
    with tempfile.TemporaryDirectory() as folder:
        draw(subject, Path(folder))
        write_cards(run.evaluation, Path(folder))
        return registry.log(replace(run, pictures=Path(folder)))


def provenance_of(settings: Settings, panel: Panel, known_until: datetime) -> Provenance:
    """What a model of this panel is made from."""
    return Provenance(
        settings=sections_of(settings),
        days=tuple(f"{day:%Y-%m-%d}" for day in panel.days),
        known_until=known_until.isoformat(),
        files=files_of(read_dataset(settings.data)),
        signals=signals_of(panel.place.signals),
        machine=machine(),
    )


def _duel(registry: Registry, version: Version, ring: Ring, progress: Progress) -> dict[str, Any] | None:
    """The version's duel against the champion, held now where it has not been; None without another champion."""
    champion = champion_of(registry)
    if champion is None or champion.number == version.number:
        return None
    progress(f"duel against version {champion.number}", 7, STEPS)
    said = registry.duel(version)
    if said and said["against"] == champion.number:
        return registry.duel_document(version, champion.number)
    return hold_duel(registry, (version, champion), ring, progress)


def _search(settings: Settings, state: State, panel: Panel, splits: list[Split], budget: Budget) -> Found:
    notebook = Notebook(state.folder / "search.db", _hash(_identity(settings, panel)))
    recipe = Recipe(panel.place.signals, settings.training, describe_label(settings.label), {})
    return open_search(panel.rows, splits, recipe, settings).run(budget, notebook)


def _with(settings: Settings, found: Found | None) -> Settings:
    return settings.model_copy(update={"training": found.training}) if found else settings


def _told(found: Found | None) -> dict[str, Any] | None:
    return found.document() if found else None


def _said(model: ChurnModel, panel: Panel, proof: Proof) -> dict[str, Any]:
    """All that is said of a model when it is trained, as JSON keeps it."""
    return {
        **proof.document,
        "identity": dict(model.identity),
        "label": dict(model.label),
        "signals": len(model.inputs),
        "trees": model.booster.num_trees(),
        "line": model.line is not None,
        "dropped": panel.dropped,
    }


def _identity(settings: Settings, panel: Panel) -> dict[str, str]:
    return {
        "data": panel.data_hash,
        "signal_set": signal_set(panel.place.signals),
        "label": label_hash(settings.label),
        "horizons": _hash({"days": supported_horizons(settings.label)[0]}),
        "training": _hash(settings.training.model_dump()),
        "evaluation": _hash(settings.model_dump(include={"evaluation", "stability", "health_score", "leakage"})),
        "snapshots": _hash({"days": sorted(map(str, panel.rows.as_of.unique()))}),
        "code": code_hash(),
        "libraries": libraries_hash(),
        "oarlock": machine()["oarlock"],
    }


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()[:12]
