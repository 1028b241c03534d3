"""The MLflow experiment `<name>-monitoring`: one run for each run of `oarlock monitor`, with its figures as metrics."""

# MLflow's signatures are typed in part only.
# pyright: reportUnknownMemberType=false

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from training.registry.mlflow_registry import Registry
from training.registry.relocation import ARTIFACTS


def log_monitoring(registry: Registry, run_at: datetime, figures: Mapping[str, float], tags: Mapping[str, str]) -> str:
    """Log the figures of a run, which is named by its instant; returns MLflow's id of it. It writes no file."""
    from mlflow.entities import Metric

    client = registry.client
    milliseconds = int(run_at.replace(tzinfo=UTC).timestamp() * 1000)
    metrics = [Metric(name, value, milliseconds, 0) for name, value in figures.items() if math.isfinite(value)]
    run = client.create_run(_experiment_id(registry), milliseconds, dict(tags), f"{run_at:%Y-%m-%d %H:%M:%S}")
    client.log_batch(run.info.run_id, metrics)
    client.set_terminated(run.info.run_id)
    return run.info.run_id


def _experiment_id(registry: Registry) -> str:
    client, name = registry.client, f"{registry.name}-monitoring"
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return experiment.experiment_id
    return client.create_experiment(name, artifact_location=(registry.folder / ARTIFACTS).as_uri())
