"""Released: a version made of another without retraining, judged, registered with its parent's name, and held."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from configs.errors import ConfigError, NotReady
from configs.settings import BandSettings, Settings, describe
from configs.state_dir import State
from features.store.feast_store import open_history, read_history
from features.store.publication import published_edition
from training.comparison.compare_versions import Ring, hold_duel, open_ring
from training.data.training_set import CHURNED, build_panel, snapshots_of
from training.evaluation.backtest import REVENUE, on
from training.evaluation.baselines import baselines_out_of_fold
from training.evaluation.paired_difference import by_segment, compared
from training.evaluation.scorecard import Cases, evaluate
from training.model.churn_model import SEGMENT, ChurnModel, encode
from training.model.recalibration import KEY, bands_by_calls, out_of_fold, recalibrated, unlearned_days
from training.registry.mlflow_registry import Registry, Run, open_registry
from training.registry.promotion import champion_of
from training.registry.provenance import Provenance, as_logged
from training.registry.version import Version
from training.reports.model_card_html import write_cards

Progress = Callable[[str, int, int], None]


def recalibrate(
    settings: Settings, state: State, parent: Version, known_until: datetime, progress: Progress
) -> tuple[Version, dict[str, Any] | None]:
    """A new version: the parent's trees, calibrated on the newest mature days; with its duel against the champion.

    Raises NothingToLearn where too little is known since the trees were grown.
    """
    registry = open_registry(state, settings.name)
    model, said, made_from = _parent(registry, parent)
    logged = as_logged(settings, made_from)
    asked = settings.model_copy(update={"label": logged.label, "snapshots": logged.snapshots})
    progress("joining the panel", 0, 3)
    panel = build_panel(asked, state, known_until)
    known = [datetime.fromisoformat(day) for day in said["split"]["known"]]
    days = unlearned_days(known, panel.days, asked.label)[-logged.training.calibration_snapshots :]
    rows = on(panel.rows, tuple(days))
    progress("calibrating", 1, 3)
    made = recalibrated(model, rows, logged.training.min_churned)
    names = tuple(f"{day:%Y-%m-%d}" for day in days)
    told = f"recalibrated from {parent.number}"
    run = _run(
        made,
        said | _judged(made, rows, names, asked),
        replace(made_from, parent=parent.number, calibrated_on=names),
        told,
    )
    version = _log(registry, run)
    progress("duel", 2, 3)
    return version, _against_champion(registry, version, open_ring(panel, asked, state), progress)


def reband(settings: Settings, state: State, parent: Version, bands: BandSettings) -> Version:
    """A new version: the parent with bands of its own; every risk stays as it is."""
    registry = open_registry(state, settings.name)
    model, said, made_from = _parent(registry, parent)
    made = replace(model, bands=bands.model_dump())
    return _log(registry, _run(made, said, replace(made_from, parent=parent.number), f"bands of {parent.number}"))


def bands_of(
    settings: Settings,
    state: State,
    parent: Version,
    asked: tuple[tuple[float, float, float] | None, tuple[int, int, int] | None],
) -> BandSettings:
    """The bands asked for, by cuts of the risk or by how many accounts of the newest day shall reach each.

    Raises ConfigError where they do not rise.
    """
    cuts, calls = asked
    try:
        if calls:
            place, as_of = published_edition(state)
            newest = read_history(open_history(state, place, settings.name), snapshots_of(place, [as_of]))
            model = open_registry(state, settings.name).load(parent)
            return BandSettings(**bands_by_calls(model.risks(encode(newest, model.inputs)), calls))
        return BandSettings(**dict(zip(("watch", "high", "critical"), cuts or (), strict=True)))
    except ValueError as problem:  # pydantic's is one too
        why = describe(problem) if isinstance(problem, ValidationError) else str(problem)
        raise ConfigError(f"These are no bands: {why}.", "Say them from watch to critical.") from None


def _parent(registry: Registry, parent: Version) -> tuple[ChurnModel, dict[str, Any], Provenance]:
    made_from = registry.provenance(parent)
    if made_from is None:
        raise NotReady(f"Version {parent.number} was made before runs kept what they were made from.", "Train again.")
    return registry.load(parent), registry.evaluation(parent), made_from


def _judged(model: ChurnModel, rows: pd.DataFrame, days: tuple[str, ...], settings: Settings) -> dict[str, Any]:
    """What is said anew of a recalibrated model, on accounts that its calibration was not fitted on.

    Its baselines are learned on the same other accounts, so that they know the level of those days too.
    """
    revenue = rows[REVENUE].to_numpy(dtype="float64") if REVENUE in rows else None
    of = Cases(rows[CHURNED].to_numpy(), rows[KEY].to_numpy(dtype="str"), revenue, rows.as_of.to_numpy())
    risks = out_of_fold(model, rows)
    judged = evaluate(of, risks, settings.evaluation)
    simple = baselines_out_of_fold(rows, model.inputs, settings.health_score.weights)
    segments = rows[SEGMENT].to_numpy(dtype=object) if SEGMENT in rows else np.array([])
    return {
        "figures": judged.figures(),
        "calibration": judged.calibration.to_dict("records"),
        "is_calibrated": judged.is_calibrated,
        "recalibrated_on": list(days),
        "baselines": {one.name: evaluate(of, one.risks, settings.evaluation).figures() for one in simple},
        "comparisons": compared(of, risks, simple, settings.evaluation),
        "segments": {k: v.figures() for k, v in by_segment(of, risks, segments, settings.evaluation).items()},
    }


def _run(model: ChurnModel, said: dict[str, Any], made_from: Provenance, made: str) -> Run:
    figures = {name: value for name, value in said["figures"].items() if isinstance(value, int | float)}
    identity = f"{made} {model.calibrator} {dict(model.bands)}"
    return Run(model, said, made_from, figures, {"made": made, **model.identity}, identity, Path())


def _log(registry: Registry, run: Run) -> Version:
    """Register it, or find the one that is the same already."""
    found = registry.find(run.identity)
    if found:
        return found
    with tempfile.TemporaryDirectory() as folder:
        write_cards(run.evaluation, Path(folder))
        return registry.log(replace(run, pictures=Path(folder)))


def _against_champion(registry: Registry, version: Version, ring: Ring, progress: Progress) -> dict[str, Any] | None:
    champion = champion_of(registry)
    if champion is None or champion.number == version.number:
        return None
    return hold_duel(registry, (version, champion), ring, progress)
