"""Bands: a version with bands of its own is derived from another; every risk stays the same."""

from dataclasses import replace

from pydantic import ValidationError

from configs.errors import ConfigError
from configs.sections.bands import BANDS, BandSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from configs.validation import describe_validation_error
from features.own_signals.own_catalogue import open_catalogue
from features.store.feast_store import open_history_store, read_historical_signals
from features.store.history import published_history
from training.data.training_set import snapshots_on
from training.model.churn_model import encode
from training.model.recalibration import thresholds_for_sizes
from training.pipelines.derived_version import load_parent, register_derived
from training.registry.mlflow_registry import open_registry
from training.registry.version import Version


def set_bands(settings: Settings, state: StateDir, parent: Version, bands: BandSettings) -> Version:
    """Register a version with the model of its parent and these bands."""
    registry = open_registry(state, settings.name)
    stored = load_parent(registry, parent)
    derived = replace(
        stored,
        model=replace(stored.model, bands=bands.model_dump()),
        provenance=replace(stored.provenance, parent=parent.number),
    )
    return register_derived(registry, derived, f"bands of {parent.number}")


def bands_from_thresholds(thresholds: tuple[float, float, float]) -> BandSettings:
    """The bands that begin at these risks; raises ConfigError if they do not rise."""
    try:
        return BandSettings(**dict(zip(BANDS[1:], thresholds, strict=True)))
    except ValidationError as error:
        raise _invalid_bands(describe_validation_error(error)) from None


def bands_from_sizes(settings: Settings, state: StateDir, parent: Version, sizes: tuple[int, int, int]) -> BandSettings:
    """The bands that so many accounts of the newest published day reach; raises ConfigError if there are none."""
    history, as_of = published_history(state, open_catalogue(settings, state).signals)
    newest = read_historical_signals(open_history_store(state, history, settings.name), snapshots_on(history, [as_of]))
    model = open_registry(state, settings.name).load_model(parent)
    try:
        return BandSettings(**thresholds_for_sizes(model.predict_risks(encode(newest, model.inputs)), sizes))
    except ValidationError as error:
        raise _invalid_bands(describe_validation_error(error)) from None
    except ValueError as error:
        raise _invalid_bands(str(error)) from None


def _invalid_bands(reason: str) -> ConfigError:
    return ConfigError(
        f"These bands are invalid: {reason}.", "Give a value for watch, high and critical, in this order."
    )
