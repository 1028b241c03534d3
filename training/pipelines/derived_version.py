"""Derived versions: a version that is made from another without retraining, with its parent's trees."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from configs.errors import NotReady
from training.evaluation.backtest import BacktestFold
from training.model.churn_model import ChurnModel
from training.registry.evaluation_record import EvaluationRecord
from training.registry.mlflow_registry import Registry
from training.registry.provenance import Provenance
from training.registry.training_run import TrainingRun
from training.registry.version import Version
from training.reports.model_card_html import write_model_cards
from training.reports.plots import PlotSubject, draw_plots


@dataclass(frozen=True)
class StoredVersion:
    """All that is stored of a version; with the newest fold of its evaluation there are plots of it, too."""

    model: ChurnModel
    evaluation: EvaluationRecord
    provenance: Provenance
    newest_fold: BacktestFold | None = None


def load_parent(registry: Registry, version: Version) -> StoredVersion:
    """The version that another is derived from; raises NotReady if it has no provenance."""
    provenance = registry.provenance(version)
    if provenance is None:
        raise NotReady(f"Version {version.number} has no stored provenance.", "Run `oarlock train`.")
    return StoredVersion(registry.load_model(version), registry.evaluation(version), provenance)


def register_derived(registry: Registry, derived: StoredVersion, origin: str) -> Version:
    """Register a derived version with its cards, or find the same one registered before; `origin` is shown in lists."""
    identity = f"{origin} {derived.model.calibrator} {dict(derived.model.bands)}"
    return registry.find_by_identity(identity) or register_version(registry, derived, origin, identity)


def register_version(registry: Registry, derived: StoredVersion, origin: str, identity: str) -> Version:
    """Register a version with its cards under this identity."""
    model = derived.model
    with tempfile.TemporaryDirectory() as folder:
        if derived.newest_fold:
            draw_plots(PlotSubject(model, derived.newest_fold, derived.evaluation), Path(folder))
        write_model_cards(derived.evaluation, Path(folder))
        run = TrainingRun(
            model=model,
            evaluation=derived.evaluation,
            provenance=derived.provenance,
            metrics=derived.evaluation.metrics,
            parameters={"origin": origin, **model.identity},
            identity=identity,
            report_folder=Path(folder),
        )
        return registry.log_run(run)
