"""The loaded champion: the model bundle that answers now and its version."""

from dataclasses import dataclass
from typing import Any

from serving.scoring.model_bundle import ModelBundle
from training.registry.version import CHAMPION, Version


@dataclass(frozen=True)
class LoadedModel:
    """The model that answers now, as a bundle, and the version it is."""

    model: ModelBundle
    version: Version


def describe_model(champion: LoadedModel) -> dict[str, Any]:
    """Which model gave a risk, and what it answers."""
    return {
        "name": champion.version.name,
        "version": champion.version.number,
        "alias": CHAMPION,
        "horizon_days": champion.model.horizon_days,
        "horizons": list(champion.model.calibrator.horizons),
        "lead_days": champion.model.label["lead_days"],
        "label_hash": champion.model.identity["label"],
        "signal_set": champion.model.identity["signal_set"],
    }
