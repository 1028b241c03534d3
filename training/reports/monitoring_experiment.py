"""The MLflow experiment `<name>-monitoring`: one run for each run of `oarlock monitor`, with its figures as metrics."""

# MLflow's signatures are typed in part only.
# pyright: reportUnknownMemberType=false

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from training.registry.mlflow_registry import Registry

EPOCH = datetime(1970, 1, 1)


def log_monitoring(registry: Registry, run_at: datetime, figures: Mapping[str, float], tags: Mapping[str, str]) -> str:
    """Log the figures of a run, which is named by its instant; returns MLflow's id of it. It writes no file."""
    from mlflow.entities import Metric

    client = registry.client
    milliseconds = (run_at - EPOCH) // timedelta(milliseconds=1)
    metrics = [Metric(name, value, milliseconds, 0) for name, value in figures.items() if math.isfinite(value)]
    run = client.create_run(_experiment_id(registry), milliseconds, dict(tags), f"{run_at:%Y-%m-%d %H:%M:%S}")
    client.log_batch(run.info.run_id, metrics)
    client.set_terminated(run.info.run_id)
    return run.info.run_id


def last_logged_at(registry: Registry) -> datetime | None:
    """When the last run began that is logged, to the millisecond; None if none is."""
    runs = registry.client.search_runs([_experiment_id(registry)], order_by=["start_time desc"], max_results=1)
    if not runs:
        return None
    return EPOCH + timedelta(milliseconds=runs[0].info.start_time)


def _experiment_id(registry: Registry) -> str:
    client, name = registry.client, f"{registry.name}-monitoring"
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return experiment.experiment_id
    return client.create_experiment(name, artifact_location=registry.artifact_location)
