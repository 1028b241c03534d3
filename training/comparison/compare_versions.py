"""Challenge: two versions made again on the same past days by their own recipes, so that a duel can tell them apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from configs.errors import NothingToLearn, NotReady
from configs.settings import Settings
from configs.state_dir import State
from features.store.feast_store import open_history, read_history
from features.store.history import complete_days
from training.comparison.non_inferiority import Duel, Flips, fight, incomparable, main_families
from training.data.time_splits import Days
from training.data.training_set import CHURNED, Panel, build_panel, snapshots_of
from training.evaluation.backtest import KEY, REVENUE, Origin, cases, fit_on, on, origin_splits, risks_of
from training.evaluation.paired_difference import Bout
from training.evaluation.scorecard import Cases
from training.labels.departures import supported_horizons
from training.model.churn_model import ChurnModel, encode
from training.model.fit import Recipe
from training.model.recalibration import out_of_fold, unlearned_days
from training.registry.mlflow_registry import Registry, open_registry
from training.registry.provenance import Provenance, as_logged, as_trained
from training.registry.version import Version

Progress = Callable[[str, int, int], None]
SEGMENT = "segment"


@dataclass(frozen=True)
class Contender:
    """One side of a duel: the number of its version, its model, and what it was made from (None: not kept)."""

    number: int
    model: ChurnModel
    provenance: Provenance | None


@dataclass(frozen=True)
class Ring:
    """Where a duel is held: the panel with its days, and the newest day published, whose explanations are compared.

    `performed` holds, by number, what versions are already known to have risked on past days.
    """

    panel: Panel
    settings: Settings
    newest: pd.DataFrame
    performed: Mapping[int, Mapping[Days, Origin]] = field(default_factory=dict)


def duel(
    settings: Settings, state: State, versions: tuple[Version, Version], known_until: datetime, progress: Progress
) -> dict[str, Any]:
    """Hold a challenger (the first) against the other on the question that it answers, and keep the duel."""
    registry = open_registry(state, settings.name)
    made_from = registry.provenance(versions[0])
    progress("joining the panel", 0, 1)
    asked = (
        {name: getattr(as_logged(settings, made_from), name) for name in ("label", "snapshots")} if made_from else {}
    )
    asked_settings = settings.model_copy(update=asked)
    ring = open_ring(build_panel(asked_settings, state, known_until), asked_settings, state)
    return hold_duel(registry, versions, ring, progress)


def open_ring(panel: Panel, settings: Settings, state: State) -> Ring:
    """The ring over this panel."""
    newest = snapshots_of(panel.place, complete_days(panel.place)[-1:])
    return Ring(panel, settings, read_history(open_history(state, panel.place, settings.name), newest))


def hold_duel(registry: Registry, versions: tuple[Version, Version], ring: Ring, progress: Progress) -> dict[str, Any]:
    """Hold a challenger (the first) against the other, and keep the duel with it."""
    try:
        challenger, other = (_contender(registry, one) for one in versions)
    except NotReady as problem:
        duel = incomparable(problem.message)
    else:
        duel = challenge(challenger, other, ring, progress)
    held = {
        "challenger": versions[0].number,
        "champion": versions[1].number,
        "margins": ring.settings.comparison.model_dump(),
    }
    document = {**held, **duel.document()}
    registry.keep_duel(*versions, document)
    return document


def challenge(challenger: Contender, champion: Contender, ring: Ring, progress: Progress) -> Duel:
    """The duel of two versions; each is made again on the very same past days as it was made when it was trained."""
    why = why_incomparable(challenger, champion, ring) or _why_astray(challenger, ring) or _why_astray(champion, ring)
    if why:
        return incomparable(why)
    flips = flips_between(challenger.model, champion.model, ring)
    if _same_trees(challenger, champion):
        return fight(as_they_are(challenger, champion, ring), flips, ring.settings.evaluation, ring.settings.comparison)
    sides = [ring.performed.get(one.number) or perform(one, ring, progress) for one in (challenger, champion)]
    bout = bout_of(*sides)
    if bout is None:
        return incomparable("there is no past day on which both could be made and judged")
    return fight(bout, flips, ring.settings.evaluation, ring.settings.comparison)


def why_incomparable(challenger: Contender, champion: Contender, ring: Ring) -> str:
    """Why no snapshot could tell the two apart, in one clause; empty where they can be compared."""
    for one in (challenger, champion):
        if one.provenance is None:
            return f"version {one.number} was made before runs kept what they were made from; train again"
        missing = sorted(set(one.model.names) - set(ring.panel.rows.columns))
        if missing:
            return f"version {one.number} needs the signal '{missing[0]}', which this data no longer gives"
        try:
            as_trained(one.provenance.settings["training"])
        except ValidationError:
            return f"version {one.number} was trained with settings that are no longer known"
    asked, answered = challenger.model.identity["label"], champion.model.identity["label"]
    if asked != answered:
        ours, theirs = (_asks(one.model) for one in (challenger, champion))
        return f"they answer different questions: {ours} ({asked}) and {theirs} ({answered})"
    return ""


def perform(contender: Contender, ring: Ring, progress: Progress) -> dict[Days, Origin]:
    """What the contender, made again on each past day by its recipe, risked there; by test days."""
    recipe = recipe_of(contender, ring)
    # Both are judged on the same test days, whatever the recipe says of how its calibrator learns.
    training = recipe.training.model_copy(update={"test_snapshots": ring.settings.training.test_snapshots})
    splits = origin_splits(ring.panel.days, ring.settings.model_copy(update={"training": training}))
    found = {}
    for place, split in enumerate(splits):
        progress(f"making version {contender.number} again on {split.test[-1]:%Y-%m-%d}", place, len(splits))
        try:
            model = fit_on(ring.panel.rows, split, recipe)
        except NothingToLearn:
            continue
        test = on(ring.panel.rows, split.test)
        found[split.test] = Origin(split, test, model.risks(encode(test, model.inputs)), ())
    return found


def recipe_of(contender: Contender, ring: Ring) -> Recipe:
    """The recipe that the contender was made by, over the signals as they are declared now."""
    assert contender.provenance is not None
    declared = {one.name: one for one in ring.panel.place.signals}
    model = contender.model
    return Recipe(
        tuple(declared[name] for name in model.names),
        as_trained(contender.provenance.settings["training"]),
        dict(model.label),
        dict(model.identity),
        tuple(days for days in supported_horizons(ring.settings.label)[0] if days in model.calibrator.horizons),
    )


def bout_of(challenger: Mapping[Days, Origin], champion: Mapping[Days, Origin]) -> Bout | None:
    """The days on which both performed, newest first; None where there is none."""
    common = sorted(challenger.keys() & champion.keys(), reverse=True)
    if not common:
        return None
    ours, theirs = ([side[days] for days in common] for side in (challenger, champion))
    test = pd.concat([one.test for one in ours], ignore_index=True)
    segments = test[SEGMENT].to_numpy(dtype=object) if SEGMENT in test else None
    return Bout(cases(ours), risks_of(ours), risks_of(theirs), segments)


def as_they_are(challenger: Contender, champion: Contender, ring: Ring) -> Bout:
    """Two versions of the same trees, as they are served, on days after all that either was calibrated on anew.

    Where no such day is mature yet they are judged on the days of the calibration itself, one that was fitted on them
    by accounts that were left out of its fit. Where neither was calibrated anew the newest days count.
    """
    released = sorted({name for one in (challenger, champion) for name in _calibrated_on(one)})
    days = later = ring.panel.days[-ring.settings.training.test_snapshots :]
    if released:
        later = unlearned_days([datetime.fromisoformat(released[-1])], ring.panel.days, ring.settings.label)
        days = later or [day for day in ring.panel.days if f"{day:%Y-%m-%d}" in released]
    rows = on(ring.panel.rows, tuple(days))

    def risks(one: Contender) -> np.ndarray:
        fitted_there = not later and _calibrated_on(one)
        return out_of_fold(one.model, rows) if fitted_there else one.model.risks(encode(rows, one.model.inputs))

    segments = rows[SEGMENT].to_numpy(dtype=object) if SEGMENT in rows else None
    revenue = rows[REVENUE].to_numpy(dtype="float64") if REVENUE in rows else None
    of = Cases(rows[CHURNED].to_numpy(), rows[KEY].to_numpy(dtype="str"), revenue, rows.as_of.to_numpy())
    return Bout(of, risks(challenger), risks(champion), segments)


def flips_between(challenger: ChurnModel, champion: ChurnModel, ring: Ring) -> Flips:
    """On the newest day, how many accounts that either would put within capacity have another main family."""
    matrices = [encode(ring.newest, one.inputs) for one in (challenger, champion)]
    called = np.zeros(len(ring.newest), dtype=bool)
    told = []
    for model, matrix in zip((challenger, champion), matrices, strict=True):
        shares = model.contributions(matrix, ring.settings.training.threads)
        riskiest = np.argsort(-model.risks(matrix), kind="stable")
        called[riskiest[: ring.settings.evaluation.capacity]] = True
        told.append(np.array(main_families(shares, [one.family for one in model.inputs])))
    flipped = int((told[0] != told[1])[called].sum())
    return Flips(f"{ring.newest.as_of.iloc[0]:%Y-%m-%d}", int(called.sum()), flipped)


def _contender(registry: Registry, version: Version) -> Contender:
    return Contender(version.number, registry.load(version), registry.provenance(version))


def _same_trees(challenger: Contender, champion: Contender) -> bool:
    """Whether one was released from the trees of the other, so that no recipe tells them apart."""
    released = any(one.provenance and one.provenance.parent for one in (challenger, champion))
    return bool(released) and challenger.model.is_alike(champion.model)


def _why_astray(one: Contender, ring: Ring) -> str:
    """Why a calibration made anew is not that of its days: what is served strays from what they give; else empty."""
    rows = on(ring.panel.rows, tuple(day for day in ring.panel.days if f"{day:%Y-%m-%d}" in _calibrated_on(one)))
    if rows.empty:
        return ""
    astray = float(np.abs(one.model.risks(encode(rows, one.model.inputs)) - out_of_fold(one.model, rows)).mean())
    most = ring.settings.comparison.calibration_margin
    if astray <= most:
        return ""
    strays = f"the calibration of version {one.number} strays by {astray:.4f} from what its days give"
    return f"{strays}, and {most} is the most allowed"


def _calibrated_on(one: Contender) -> tuple[str, ...]:
    """The days that a version was calibrated on anew; none where its trees were grown with it."""
    return one.provenance.calibrated_on if one.provenance else ()


def _asks(model: ChurnModel) -> str:
    label = model.label
    return f"'{label['mode']}' within {label['horizon_days']} days"
