"""Label definition: when a label is known, and what its hash covers."""

from configs.sections.label import LabelSettings
from training.labels.definition import label_hash, supported_horizons

CONTRACT = LabelSettings(horizon_days=30, grace_days=10)
INACTIVITY = LabelSettings(mode="inactivity", horizon_days=60, inactive_days=45, horizons=(30, 60, 90))
CONTRACTION = LabelSettings(mode="contraction", horizon_days=60, horizons=(30, 90))


def test_another_horizon_has_another_hash():
    assert label_hash(CONTRACT) != label_hash(CONTRACT.model_copy(update={"horizon_days": 31}))


def test_the_hash_covers_the_mode_and_its_own_parameters_only():
    longer_active = INACTIVITY.model_copy(update={"active_within_days": 90})
    labels = (CONTRACT, LabelSettings(mode="event"), INACTIVITY, CONTRACTION, longer_active)
    assert len({label_hash(label) for label in labels}) == 5
    assert label_hash(INACTIVITY.model_copy(update={"contraction_share": 0.5})) == label_hash(INACTIVITY)


def test_each_mode_supports_its_own_horizons():
    assert supported_horizons(CONTRACT)[0] == (30, 90, 180)
    assert supported_horizons(INACTIVITY) == ((60, 90), {30: "shorter than label.inactive_days"})
    reason = "a contraction can be reversed later"
    assert supported_horizons(CONTRACTION) == ((60,), {30: reason, 90: reason})
