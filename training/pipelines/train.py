"""Training: from the published history to a registered, evaluated model that was held against the champion.

The same inputs are never trained on twice.
"""

import hashlib
import tempfile
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from features.compute.fingerprints import signal_set
from features.tables.mapping import read_dataset
from training.comparison.compare_versions import ComparisonContext, build_comparison_context, compare_and_record
from training.data.label_checks import LabelledSplit, check_labels, raise_for_faults
from training.data.time_splits import TimeSplit
from training.data.training_set import TrainingSet, build_training_set
from training.evaluation.ablation import run_ablations
from training.evaluation.backtest import backtest_splits, fit_split, rows_on
from training.evaluation.driver_stability import measure_stability
from training.labels.departures import describe_label, label_hash, supported_horizons
from training.model.churn_model import ChurnModel
from training.model.fit import FitConfig
from training.pipelines.evaluate import ModelEvaluation, evaluate_model
from training.pipelines.tuning import SearchBudget, TrialStorage, TuningResult, prepare_search
from training.registry.mlflow_registry import Registry, TrainingRun, open_registry
from training.registry.promotion import current_champion
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
from training.reports.model_card_html import write_model_cards
from training.reports.plots import PlotSubject, draw_plots

STEPS = 8


@dataclass(frozen=True)
class TrainingResult:
    """A version, what was said of it, its duel against the champion if there is one, and whether it was there."""

    version: Version
    evaluation: dict[str, Any]
    comparison: dict[str, Any] | None
    reused: bool


def train(
    settings: Settings,
    state: StateDir,
    known_until: datetime,
    progress: Progress,
    *,
    budget: SearchBudget | None = None,
) -> TrainingResult:
    """Fit, evaluate and register a model on every snapshot mature by `known_until`, or find the one already made.

    With a budget, settings of the trees are searched first, and those found count. Raises NothingToLearn where the
    history holds no answer to learn from, LabelsRefused where it would teach wrongly.
    """
    progress("joining the panel", 0, STEPS)
    panel = build_training_set(settings, state, known_until)
    splits = backtest_splits(panel.days, settings)
    raise_for_faults(
        check_labels(
            LabelledSplit(panel.rows, panel.context, splits[0], panel.history.signals), settings.label, known_until
        )
    )
    found_settings = _search(settings, state, panel, splits, budget) if budget else None
    settings = _with(settings, found_settings)
    identity = model_identity(settings, panel)
    registry = open_registry(state, settings.name)
    progress("looking for the same model", 1, STEPS)
    found = registry.find_by_identity(_hash(identity))
    ring = build_comparison_context(panel, settings, state)
    if found:
        duel = _duel(registry, found, ring, progress)
        progress("found", STEPS, STEPS)
        return TrainingResult(found, registry.evaluation(found), duel, reused=True)
    progress("growing trees", 2, STEPS)
    recipe = FitConfig(
        panel.history.signals,
        settings.training,
        describe_label(settings.label),
        identity,
        supported_horizons(settings.label)[0],
    )
    model = fit_split(panel.rows, splits[0], recipe)
    progress("making the model again to see which main reasons stay", 3, STEPS)
    known, test = rows_on(panel.rows, splits[0].train), rows_on(panel.rows, splits[0].test)
    stability = measure_stability(model, known, test, settings)
    model = replace(model, main_reason_min_lead=stability.min_lead)
    progress("judging on past days, against baselines and for leaks", 4, STEPS)
    proof = evaluate_model(model, panel, splits, settings)
    said = _said(model, panel, proof) | {"stability": asdict(stability), "search": _told(found_settings)}
    said["ablation"] = _ablated(PlotSubject(model, proof.folds[0], said), panel, settings, progress)
    progress("logging to MLflow", 6, STEPS)
    parameters = {**settings.training.model_dump(), **recipe.label, **identity, **machine()}
    made_from = provenance_of(settings, panel, known_until)
    run = TrainingRun(model, said, made_from, proof.scorecard.metrics(), parameters, _hash(identity), Path())
    version = _logged(registry, run, PlotSubject(model, proof.folds[0], said))
    performed = {version.number: {one.split.test: one for one in proof.folds}}
    duel = _duel(registry, version, replace(ring, performed=performed), progress)
    progress("registered", STEPS, STEPS)
    return TrainingResult(version, said, duel, reused=False)


def _ablated(subject: PlotSubject, panel: TrainingSet, settings: Settings, progress: Progress) -> list[dict[str, Any]]:
    found = []
    for one in run_ablations(subject.model, panel, subject.newest_fold, settings):
        progress(f"judged {one.name}", 5, STEPS)
        found.append(asdict(one))
    return found


def _logged(registry: Registry, run: TrainingRun, subject: PlotSubject) -> Version:
    """Draw the pictures, write the cards, and register the run with them."""
    with tempfile.TemporaryDirectory() as folder:
        draw_plots(subject, Path(folder))
        write_model_cards(run.evaluation, Path(folder))
        return registry.log_run(replace(run, report_folder=Path(folder)))


def provenance_of(settings: Settings, panel: TrainingSet, known_until: datetime) -> Provenance:
    """What a model of this panel is made from."""
    return Provenance(
        settings=sections_of(settings),
        days=tuple(f"{day:%Y-%m-%d}" for day in panel.days),
        known_until=known_until.isoformat(),
        files=files_of(read_dataset(settings.data)),
        signals=signals_of(panel.history.signals),
        machine=machine(),
    )


def _duel(registry: Registry, version: Version, ring: ComparisonContext, progress: Progress) -> dict[str, Any] | None:
    """The version's duel against the champion, held now where it has not been; None without another champion."""
    champion = current_champion(registry)
    if champion is None or champion.number == version.number:
        return None
    progress(f"duel against version {champion.number}", 7, STEPS)
    said = registry.last_comparison(version)
    if said and said["against"] == champion.number:
        return registry.load_comparison(version, champion.number)
    return compare_and_record(registry, (version, champion), ring, progress)


def _search(
    settings: Settings, state: StateDir, panel: TrainingSet, splits: list[TimeSplit], budget: SearchBudget
) -> TuningResult:
    notebook = TrialStorage(state.folder / "search.db", _hash(model_identity(settings, panel)))
    recipe = FitConfig(panel.history.signals, settings.training, describe_label(settings.label), {})
    return prepare_search(panel.rows, splits, recipe, settings).run(budget, notebook)


def _with(settings: Settings, found: TuningResult | None) -> Settings:
    return settings.model_copy(update={"training": found.training}) if found else settings


def _told(found: TuningResult | None) -> dict[str, Any] | None:
    return found.document() if found else None


def _said(model: ChurnModel, panel: TrainingSet, proof: ModelEvaluation) -> dict[str, Any]:
    """All that is said of a model when it is trained, as JSON keeps it."""
    return {
        **proof.document,
        "identity": dict(model.identity),
        "label": dict(model.label),
        "signals": len(model.inputs),
        "trees": model.booster.num_trees(),
        "line": model.linear_model is not None,
        "dropped": panel.excluded,
    }


def model_identity(settings: Settings, panel: TrainingSet) -> dict[str, str]:
    """Hashes of all that decides which model is trained; with equal ones it is not trained again."""
    return {
        "data": panel.data_hash,
        "signal_set": signal_set(panel.history.signals),
        "directions": _hash({signal.name: (signal.direction, signal.actionable) for signal in panel.history.signals}),
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
