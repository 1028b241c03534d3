"""Label definition: when a label is known, and what its hash covers."""

import pytest
from pydantic import ValidationError

from configs.sections.label import LabelSettings
from training.labels.definition import describe_label, label_hash, longest_wait, supported_horizons

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


def test_horizons_of_months_are_named_by_the_days_of_mean_months():
    label = LabelSettings(horizon_months=3, horizons_months=(1, 6))
    assert (label.horizon_days, label.horizons) == (91, (30, 183))
    assert describe_label(label).get("horizon_months") == 3
    assert label_hash(label) != label_hash(LabelSettings(horizon_days=91))
    assert longest_wait(label).days == 92 + label.grace_days


@pytest.mark.parametrize("label", [CONTRACT, LabelSettings(horizon_months=2)])
def test_a_label_is_read_again_as_it_was(label):
    assert LabelSettings.model_validate(label.model_dump()) == label


def test_a_label_in_days_says_nothing_of_months():
    assert "horizon_months" not in describe_label(CONTRACT)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizon_months": 3, "horizon_days": 90}, "leave these two out"),
        ({"horizon_months": 3, "horizons": (30, 90)}, "leave these two out"),
        ({"horizons_months": (1, 3)}, "goes with horizon_months"),
        ({"horizon_months": 3, "mode": "inactivity", "inactive_days": 90}, "fit inside the horizon of 89 days"),
    ],
)
def test_months_and_days_do_not_mix(settings, message):
    with pytest.raises(ValidationError, match=message):
        LabelSettings(**settings)
