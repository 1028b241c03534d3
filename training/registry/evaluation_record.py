"""The evaluation of a model, as it is stored with the model and shown on its card."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import JsonValue, TypeAdapter

from training.evaluation.ablation import AblationResult
from training.evaluation.driver_stability import DriverStability
from training.evaluation.learning_curve import LearningCurve
from training.evaluation.monotonicity import MonotonicityCheck
from training.evaluation.paired_difference import BaselineComparison
from training.evaluation.secondary_metrics import HorizonMetrics
from training.leakage.leakage import LeakageReport

# A metric with the bounds of its interval under NAME_low and NAME_high, and counts; a missing one is undefined.
Metrics = Mapping[str, int | float]


@dataclass(frozen=True)
class CalibrationBin:
    """A tenth of the snapshots by risk: the mean risk, and the churn rate with its interval."""

    snapshots: int
    mean_risk: float
    churned: float
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class FoldMetrics:
    """The metrics of a model on the test days of a backtest fold."""

    test_days: tuple[str, ...]
    metrics: Metrics


@dataclass(frozen=True)
class BacktestRecord:
    """The metrics over all folds, of each fold (newest first), and why a fold was skipped, by its test day.

    `fold_range` holds the lowest and the highest value of a metric over the folds.
    """

    pooled: Metrics
    folds: tuple[FoldMetrics, ...]
    fold_range: Mapping[str, tuple[float, float]]
    skipped: Mapping[str, str]


@dataclass(frozen=True)
class HorizonRecord:
    """The metrics of each horizon in days (None if no fold has its labels yet), and why others are unavailable.

    `segment_offsets` is what the calibrator adds to the log-odds of a segment.
    """

    metrics: Mapping[str, HorizonMetrics | None]
    unavailable: Mapping[str, str]
    segment_offsets: Mapping[str, float]


@dataclass(frozen=True)
class TuningRecord:
    """What a search for training settings tried and found; `unseen_test_days` did not influence it."""

    trials: int
    log_loss: float
    initial_log_loss: float
    unseen_test_days: tuple[str, ...]
    training: Mapping[str, JsonValue]


@dataclass(frozen=True)
class EvaluationRecord:
    """Everything that a model is judged by.

    `metrics`, `calibration`, `baselines` and `split` are of the newest test days; `baseline_comparisons` and `segments`
    are of all folds of the backtest. After a recalibration these are of `recalibrated_on` instead. `confidence` is that
    of the comparisons. `leaves_per_tree` is None of an evaluation that was made before it was kept. `adopted_from`
    names the model of another company that this one was fitted to, if it was. `learning_curve` is None if it was not
    measured.
    """

    identity: Mapping[str, str]
    label: Mapping[str, object]
    signal_count: int
    tree_count: int
    has_linear_model: bool
    excluded_snapshots: Mapping[str, int]
    split: Mapping[str, tuple[str, ...]]
    metrics: Metrics
    calibration: tuple[CalibrationBin, ...]
    is_calibrated: bool
    baselines: Mapping[str, Metrics]
    baseline_comparisons: Mapping[str, BaselineComparison]
    backtest: BacktestRecord
    horizons: HorizonRecord
    contraction: Mapping[str, Metrics | None]
    monotonicity: tuple[MonotonicityCheck, ...]
    unseen_accounts: Metrics | None
    segments: Mapping[str, Metrics]
    leakage: LeakageReport
    stability: DriverStability
    capacity: int
    confidence: float
    ablation: tuple[AblationResult, ...] = ()
    tuning: TuningRecord | None = None
    recalibrated_on: tuple[str, ...] = ()
    leaves_per_tree: int | None = None
    adopted_from: str = ""
    learning_curve: LearningCurve | None = None

    def to_json(self) -> dict[str, Any]:
        """The evaluation as a JSON object."""
        return asdict(self)


def read_evaluation(document: object) -> EvaluationRecord:
    """The evaluation in a JSON object; raises pydantic's ValidationError if it has another form."""
    return TypeAdapter(EvaluationRecord).validate_python(document)
