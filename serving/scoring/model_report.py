"""What people want to know of the models, written at each promotion: pages read it without MLflow.

model_report.json    every registered version, and the evaluation of the champion
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from configs.errors import NotReady
from configs.files import JsonObject, read_json, write_json
from configs.state_dir import StateDir

if TYPE_CHECKING:
    from training.registry.mlflow_registry import Registry, VersionRecord
    from training.registry.version import Version

LISTED_METRICS = ("auc", "log_loss")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ListedVersion(_Record):
    """One registered version; `metrics` has values with their bounds under NAME_low and NAME_high."""

    number: int
    alias: str | None
    registered_at: datetime
    origin: str
    snapshots: int
    churned: int
    metrics: Mapping[str, float]
    verdict: str | None
    compared_with: int | None


class CalibrationGroup(_Record):
    """A tenth of the snapshots by risk: the mean risk, and the churn rate with its interval."""

    snapshots: int
    mean_risk: float
    churned: float
    rate: float
    low: float
    high: float


class ChampionEvaluation(_Record):
    """What the champion is judged by; see `EvaluationRecord` in training/registry/evaluation_record.py."""

    signal_count: int
    tree_count: int
    is_calibrated: bool
    capacity: int
    split: Mapping[str, tuple[str, ...]]
    label: Mapping[str, object]
    metrics: Mapping[str, float]
    calibration: tuple[CalibrationGroup, ...]
    segments: Mapping[str, Mapping[str, float]]


class ModelReport(_Record):
    """Every version, newest first, and the evaluation of the champion; None if it cannot be read any more."""

    champion: int
    versions: tuple[ListedVersion, ...]
    evaluation: ChampionEvaluation | None


def write_model_report(state: StateDir, registry: "Registry", champion: "Version") -> None:
    """Write the report of a champion."""
    versions = [_listed_version(record) for record in registry.version_records()]
    content = {"champion": champion.number, "versions": versions, "evaluation": _evaluation(registry, champion)}
    write_json(state.model_report, content)


def read_model_report(state: StateDir) -> ModelReport:
    """The report; raises NotReady if it is missing or of another release."""
    hint = "Run `oarlock promote` again: it writes the report anew."
    try:
        return ModelReport.model_validate(read_json(state.model_report))
    except FileNotFoundError:
        raise NotReady("There is no report of the model yet.", hint) from None
    except (OSError, ValueError, ValidationError) as error:
        raise NotReady(f"{state.model_report} cannot be read: {type(error).__name__}.", hint) from None


def _evaluation(registry: "Registry", champion: "Version") -> JsonObject | None:
    try:
        return registry.evaluation(champion).to_json()
    except NotReady:  # of a release whose format is no longer read: the version is served all the same
        return None


def _listed_version(record: "VersionRecord") -> dict[str, object]:
    names = [f"{name}{bound}" for name in LISTED_METRICS for bound in ("", "_low", "_high")]
    comparison = record.comparison
    return {
        "number": record.version.number,
        "alias": record.version.alias,
        "registered_at": f"{record.registered_at:%Y-%m-%dT%H:%M:%S}",
        "origin": record.parameters.get("origin", "trained"),
        "snapshots": int(record.metrics.get("snapshots", 0)),
        "churned": int(record.metrics.get("churned", 0)),
        "metrics": {name: record.metrics[name] for name in names if name in record.metrics},
        "verdict": comparison["verdict"] if comparison else None,
        "compared_with": comparison["compared_with"] if comparison else None,
    }
