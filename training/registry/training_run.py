"""A training run as MLflow stores it: the model with its evaluation and provenance, metrics, and files for people."""

# MLflow's signatures are typed in part only.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

from configs.files import write_json
from training.model.churn_model import ChurnModel, save_model
from training.registry.provenance import Provenance

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

    from training.registry.evaluation_record import EvaluationRecord

EVALUATION_FILE, PROVENANCE_FILE = "evaluation.json", "provenance.json"
COLUMN_TYPES = {"number": "double", "category": "string"}


@dataclass(frozen=True)
class TrainingRun:
    """What is logged of one training; `report_folder` holds the model card and its plots, `evaluation` may be missing.

    Two runs of the same `identity` give the same model, so the second is not logged.
    """

    model: ChurnModel
    evaluation: "EvaluationRecord | None"
    provenance: Provenance
    metrics: Mapping[str, float]
    parameters: Mapping[str, object]
    identity: str
    report_folder: Path


def log_model(run: TrainingRun, scratch: Path) -> "ModelInfo":
    """Log the files of a model to the active MLflow run, with `scratch` as a place for temporary files."""
    import mlflow.pyfunc

    folder = scratch / "model"
    folder.mkdir()
    save_model(run.model, folder)
    if run.evaluation:
        write_json(folder / EVALUATION_FILE, run.evaluation.to_json())
    write_json(folder / PROVENANCE_FILE, run.provenance.to_json())
    return mlflow.pyfunc.log_model(
        name="model",
        python_model=str(Path(__file__).with_name("pyfunc.py")),
        artifacts={"model": str(folder)},
        signature=_signature(run.model),
        pip_requirements=[f"oarlock=={installed_version('oarlock')}"],
    )


def _signature(model: ChurnModel) -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    # Written by hand: an inferred signature requires every signal that happens to have no missing values.
    inputs = Schema([ColSpec(COLUMN_TYPES[signal.kind], signal.name, required=False) for signal in model.inputs])
    return ModelSignature(inputs=inputs, outputs=Schema([ColSpec("double", "risk")]))
