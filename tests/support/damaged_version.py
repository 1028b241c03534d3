"""A registered version whose stored model cannot be read, as after a disk fault."""

from pathlib import Path

from mlflow.artifacts import download_artifacts

from training.model.churn_model import DOCUMENT_FILE
from training.registry.mlflow_registry import Registry
from training.registry.version import Version


def register_damaged_version(registry: Registry, like: Version, folder: Path) -> Version:
    """Register the files of another version, of which one is cut short, from a new folder."""
    client = registry.client
    files = Path(download_artifacts(f"models:/{like.name}/{like.number}", dst_path=str(folder)))
    document = files / "artifacts/model" / DOCUMENT_FILE
    document.write_text(document.read_text("utf-8")[:100], "utf-8")
    stored = client.create_model_version(like.name, files.as_uri(), like.run_id)
    return registry.get(int(stored.version))
