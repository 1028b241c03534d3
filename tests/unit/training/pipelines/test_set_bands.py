"""Bands: a version with bands of its own keeps every risk of its parent."""

from dataclasses import replace

import pytest

from configs.errors import ConfigError
from training.pipelines.set_bands import bands_from_sizes, bands_from_thresholds, set_bands
from training.registry.mlflow_registry import open_registry


def test_a_version_with_its_own_bands_keeps_every_risk(trained, copy_state_part):
    registry = replace(open_registry(trained.state, trained.settings.name), folder=copy_state_part("mlflow"))
    state, parent = replace(trained.state, folder=registry.folder.parent), registry.get(1)
    bands = bands_from_sizes(trained.settings, trained.state, parent, (100, 50, 10))
    version = set_bands(trained.settings, state, parent, bands)
    before, after = registry.load_model(parent), registry.load_model(version)
    assert dict(after.bands) == bands.model_dump()
    assert replace(after, bands={}) == before
    provenance = registry.provenance(version)
    assert provenance and provenance.parent == 1
    assert set_bands(trained.settings, state, parent, bands).number == version.number


def test_thresholds_become_bands():
    assert bands_from_thresholds((0.1, 0.2, 0.5)).model_dump() == {"watch": 0.1, "high": 0.2, "critical": 0.5}


def test_bands_that_do_not_rise_are_refused():
    with pytest.raises(ConfigError, match="must rise"):
        bands_from_thresholds((0.5, 0.2, 0.1))
