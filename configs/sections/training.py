"""How a model is fitted, and what is checked beside it: refits, leakage, the hand-weighted score."""

from typing import Annotated

from pydantic import Field

from configs.sections.section import Amount, Days, Section, Share


class TrainingSettings(Section):
    """How a model is fitted. The same settings, data and seed give the same model to the byte."""

    seed: int = 7
    """The seed of everything random."""
    threads: Annotated[int, Field(ge=1)] = 2
    """Threads that LightGBM uses."""
    num_iterations: Annotated[int, Field(ge=1)] = 600
    """The most trees; early stopping on the calibration days decides how many are kept."""
    num_leaves: Annotated[int, Field(ge=2)] = 4
    """Leaves of a tree."""
    max_num_leaves: Annotated[int, Field(ge=2)] = 32
    """While all trees are used up, trees with twice the leaves are tried, up to this many."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.03
    """How much each tree contributes."""
    min_data_in_leaf: Annotated[int, Field(ge=1)] = 20
    """Snapshots in a leaf, at least. Small enough to separate the few who gave notice."""
    linear_prior_sd: Annotated[float, Field(ge=0)] = 1.0
    """Prior standard deviation of the linear part's effect on the log-odds; 0 turns it off."""
    feature_fraction: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Share of signals that each tree may use."""
    bagging_fraction: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Share of snapshots that each tree is fitted on."""
    lambda_l2: Annotated[float, Field(ge=0)] = 1.0
    """Penalty on the values of leaves."""
    path_smooth: Annotated[float, Field(ge=0)] = 0.0
    """How strongly a leaf is pulled towards its parent."""
    calibration_snapshots: Annotated[int, Field(ge=1)] = 3
    """Days that the calibrator is fitted on."""
    test_snapshots: Annotated[int, Field(ge=1)] = 1
    """Days that the model is tested on."""
    min_churned: Annotated[int, Field(ge=2)] = 20
    """Churned, and retained, accounts that the calibration days must have."""
    min_churned_per_segment: Annotated[int, Field(ge=2)] = 100
    """Churned, and retained, accounts from which a segment gets a calibration of its own."""
    segment_prior_sd: Amount = 0.2
    """Prior standard deviation of a segment's shift of the log-odds."""
    drift_prior_sd: Amount = 0.1
    """Prior standard deviation of the drift of the log-odds within a quarter; past days decide how far it is."""


class StabilitySettings(Section):
    """How often the top family stays the same when the model is refitted on resampled accounts."""

    refits: Annotated[int, Field(ge=2)] = 5
    """How many refits."""
    max_snapshots: Annotated[int, Field(ge=1_000)] = 50_000
    """The most snapshots that a refit is fitted on."""
    min_agreement: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    """A main reason is returned only if the top family stays on top in this share of refits."""


class LeakageSettings(Section):
    """When a model is suspected of knowing the answer."""

    max_signal_auc: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    """The highest AUC that a signal alone may have."""
    lead_days: tuple[Days, ...] = (0, 7, 14, 30)
    """Leave out the accounts that leave sooner than this, and compare the AUC."""
    max_auc_drop: Share = 0.1
    """How much of the AUC may be lost from one lead to the next."""


class HealthScoreSettings(Section):
    """A hand-weighted score, as a baseline."""

    weights: dict[str, float] = {}
    """A weight per signal, positive if a high value is healthy."""
