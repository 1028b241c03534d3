"""Plots of a trained model: calibration, ranking, what calls reach, and what the risks are made of."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.evaluation.backtest import BacktestFold, pooled_data
from training.evaluation.metrics import count_by_risk
from training.model.attribution import columns_by_family, sum_by_family
from training.model.churn_model import ChurnModel, encode
from training.registry.evaluation_record import EvaluationRecord

if TYPE_CHECKING:
    from matplotlib.axis import Axis

MAX_SIGNALS = 15
MAX_SNAPSHOTS = 2_000
INK, MODEL_COLOR, ACCENT, GREY = "#22313f", "#1f6f8b", "#d1603d", "#b8c4cc"
STYLE: Any = {
    "figure.dpi": 110,
    "figure.facecolor": "white",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e9eef1",
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class PlotSubject:
    """A model, the newest fold of its backtest, and its evaluation."""

    model: ChurnModel
    newest_fold: BacktestFold
    evaluation: EvaluationRecord

    @property
    def ranking(self) -> np.ndarray:
        """The test snapshots, riskiest first."""
        return np.argsort(-self.newest_fold.risks, kind="stable")

    @property
    def ranked_churned(self) -> np.ndarray:
        """The labels of the test snapshots, riskiest first."""
        return pooled_data([self.newest_fold]).churned[self.ranking]

    @property
    def ranked_revenue(self) -> np.ndarray | None:
        """The revenue of the test snapshots, riskiest first; None if the data has no revenue."""
        revenue = pooled_data([self.newest_fold]).revenue
        return None if revenue is None else np.nan_to_num(revenue)[self.ranking]


def draw_plots(subject: PlotSubject, folder: Path) -> None:
    """Write a PNG for every plot to the folder."""
    import matplotlib as mpl

    mpl.use("Agg")
    with mpl.rc_context(STYLE):  # pyright: ignore[reportUnknownMemberType]
        for name, draw in PLOTS.items():
            draw(subject, folder / f"{name}.png")


@contextmanager
def _figure(file: Path, size: tuple[float, float], **layout: Any) -> Generator[list[Any], None, None]:
    """The axes of a new figure, which is written to the file at the end."""
    from matplotlib import pyplot

    figure: Any = pyplot.figure(figsize=size, layout="constrained")  # pyright: ignore[reportUnknownMemberType]
    yield list(figure.subplots(squeeze=False, **layout).flat)
    figure.savefig(file)
    pyplot.close(figure)


def _draw_calibration(subject: PlotSubject, file: Path) -> None:
    bins, risks = subject.evaluation.calibration, subject.newest_fold.risks
    risk, rate = np.array([group.mean_risk for group in bins]), np.array([group.rate for group in bins])
    low, high = np.array([group.low for group in bins]), np.array([group.high for group in bins])
    top = float(max(risk.max(), high.max()) * 1.05)
    with _figure(file, (6.4, 6.4), nrows=2, height_ratios=(4, 1), sharex=True) as (main, below):
        main.plot([0, top], [0, top], color=GREY, label="risk = churn rate")
        error, label = [rate - low, high - rate], "a tenth of the accounts, 95 % interval"
        main.errorbar(risk, rate, yerr=error, fmt="o", color=MODEL_COLOR, capsize=3, label=label)
        main.set(ylabel="churn rate", title="Do as many accounts churn as the risks predict?", ylim=(0, top))
        main.legend(loc="upper left")
        below.hist(risks, bins=40, range=(0, top), color=GREY)
        below.set(xlabel=f"risk (n = {len(risks):,})", ylabel="accounts")
        _show_percent(main.yaxis, below.xaxis)


def _draw_gain(subject: PlotSubject, file: Path) -> None:
    churned = subject.ranked_churned
    called = np.arange(len(churned) + 1) / len(churned)
    reached = np.r_[0, churned.cumsum()] / churned.sum()
    with _figure(file, (10, 4.6), ncols=2) as (left, right):
        left.plot(called, reached, color=MODEL_COLOR, linewidth=2, label="riskiest first")
        left.plot([0, 1], [0, 1], color=GREY, label="random order")
        left.set(xlabel="accounts called", ylabel="churned accounts reached", title="Gain: whom the calls reach")
        left.legend(loc="lower right")
        lift, first = reached[1:] / called[1:], max(len(churned) // 100, 1)
        right.plot(called[first:], lift[first - 1 :], color=MODEL_COLOR, linewidth=2)
        right.axhline(1, color=GREY)
        right.set(xlabel="accounts called", ylabel="times the overall churn rate", title="Lift: how much riskier")
        right.set_ylim(bottom=0)
        _show_percent(left.xaxis, left.yaxis, right.xaxis)


def _draw_precision_recall(subject: PlotSubject, file: Path) -> None:
    counts = count_by_risk(pooled_data([subject.newest_fold]).churned, subject.newest_fold.risks)
    churned, called = counts.churned[0].cumsum(), counts.total[0].cumsum()
    precision, rate = churned / called, churned[-1] / called[-1]
    with _figure(file, (6.4, 4.6)) as (axes,):
        axes.step(churned / churned[-1], precision, where="post", color=MODEL_COLOR, linewidth=2)
        axes.axhline(rate, color=ACCENT, linestyle=":")
        axes.text(0, rate, f"random order: {rate:.1%}", va="top", color=ACCENT)
        axes.set(xlabel="recall: churned accounts reached", ylabel="precision: called accounts that churn")
        axes.set(ylim=(0, min(1.0, 1.2 * float(precision.max()))), title="Precision and recall")
        _show_percent(axes.xaxis, axes.yaxis)


def _draw_beeswarm(subject: PlotSubject, file: Path) -> None:
    import shap  # pyright: ignore[reportMissingTypeStubs]
    from matplotlib import pyplot

    model = subject.model
    matrix = encode(subject.newest_fold.test.head(MAX_SNAPSHOTS), model.inputs)
    explanation = shap.Explanation(
        values=model.predict_contributions(matrix),
        base_values=np.full(len(matrix), model.base_margin),
        data=matrix,
        feature_names=[signal.label for signal in model.inputs],
    )
    label = "value of the signal"
    axes: Any = shap.plots.beeswarm(explanation, max_display=MAX_SIGNALS, show=False, color_bar_label=label)
    axes.set_title("The strongest signals, one dot per account")
    axes.set_xlabel("contribution to the margin (log-odds before calibration)")
    axes.figure.savefig(file, bbox_inches="tight")
    pyplot.close("all")


def _draw_families(subject: PlotSubject, file: Path) -> None:
    model = subject.model
    contributions = model.predict_contributions(encode(subject.newest_fold.test.head(MAX_SNAPSHOTS), model.inputs))
    columns = columns_by_family(model.inputs)
    strengths = np.abs(sum_by_family(contributions, columns)).mean(axis=0)
    shares = dict(zip(columns, strengths / (strengths.sum() or 1.0), strict=True))
    families = sorted(shares, key=lambda family: shares[family])
    with _figure(file, (6.4, 0.4 * len(families) + 1.4)) as (axes,):
        bars = axes.barh(list(map(_words, families)), [shares[family] for family in families], color=MODEL_COLOR)
        axes.bar_label(bars, [f"{shares[family]:.0%}" for family in families], padding=4)
        axes.set(title="How much each family moves the risks", xlabel="share of all contributions", xticks=[])
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)


def _draw_backtest(subject: PlotSubject, file: Path) -> None:
    folds = sorted(subject.evaluation.backtest.folds, key=lambda fold: fold.test_days[-1])
    days = [fold.test_days[-1] for fold in folds]
    titles = {"auc": "AUC: how well it ranks (0.5 is chance)", "log_loss": "Log loss (lower is better)"}
    with _figure(file, (10, 4.2), ncols=2) as both:
        for axes, (name, title) in zip(both, titles.items(), strict=True):
            keys = (name, f"{name}_low", f"{name}_high")
            value, low, high = (np.array([fold.metrics.get(key, np.nan) for fold in folds]) for key in keys)
            axes.errorbar(days, value, yerr=[value - low, high - value], fmt="o-", color=MODEL_COLOR, capsize=4)
            axes.set_title(title)
            axes.margins(x=0.15)
        both[0].axhline(0.5, color=GREY)


def _draw_revenue(subject: PlotSubject, file: Path) -> None:
    revenue, capacity = subject.ranked_revenue, subject.evaluation.capacity
    if revenue is None:
        return
    lost = revenue * subject.ranked_churned
    reached = np.r_[0, lost.cumsum()] / (lost.sum() or 1.0)
    share = float(reached[min(capacity, len(lost))])
    with _figure(file, (6.4, 4.6)) as (axes,):
        axes.plot(reached, color=MODEL_COLOR, linewidth=2, label="riskiest first")
        axes.plot([0, len(lost)], [0, 1], color=GREY, label="random order")
        axes.axvline(capacity, color=ACCENT, linestyle=":")
        text, offset = f"{capacity} calls reach {share:.0%}", (10, -16)
        axes.annotate(text, (capacity, share), offset, textcoords="offset points", color=ACCENT)
        axes.set(xlabel="accounts called", ylabel="lost revenue reached", title="Lost revenue that the calls reach")
        axes.legend(loc="lower right")
        _show_percent(axes.yaxis)


def _draw_ablation(subject: PlotSubject, file: Path) -> None:
    losses = {result.name: result.metrics["log_loss"].difference for result in subject.evaluation.ablation}
    if not losses:
        return
    names = sorted(losses, key=lambda name: losses[name].value)
    value, low, high = (np.array([getattr(losses[name], end) for name in names]) for end in ("value", "low", "high"))
    with _figure(file, (6.4, 0.38 * len(names) + 1.4)) as (axes,):
        axes.axvline(0, color=GREY)
        axes.errorbar(value, list(map(_words, names)), xerr=_distances(value, low, high), fmt="o", color=MODEL_COLOR)
        axes.set(xlabel="increase in log loss, 95 % interval (paired)", title="Without a family of signals")


def _draw_learning_curve(subject: PlotSubject, file: Path) -> None:
    curve = subject.evaluation.learning_curve
    if curve is None or curve.forecast is None:
        return
    losses = [point.metrics["log_loss"].difference for point in curve.points]
    departed = [*(point.departed for point in curve.points), curve.departed]
    value, low, high = (np.array([*(getattr(loss, end) for loss in losses), 0]) for end in ("value", "low", "high"))
    forecast = curve.forecast.log_loss
    later = curve.departed + curve.forecast.departed
    with _figure(file, (6.4, 4.6)) as (axes,):
        axes.axhline(0, color=GREY)
        axes.errorbar(departed, value, yerr=_distances(value, low, high), fmt="o-", color=MODEL_COLOR, capsize=4)
        error = [[forecast.value - forecast.low], [forecast.high - forecast.value]]
        axes.errorbar([later], [forecast.value], yerr=error, fmt="o", color=ACCENT, mfc="white", capsize=4)
        text = f"{curve.forecast.months} more months"
        position: Any = {"textcoords": "offset points", "ha": "right", "va": "center"}
        axes.annotate(text, (later, forecast.value), (-8, 0), color=ACCENT, **position)
        axes.set(xlabel="churned accounts learned from", ylabel="log loss minus that of all accounts")
        axes.set_title("What more data brings (lower is better)")
        axes.margins(x=0.15)


def _distances(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
    """How far an interval reaches to both sides; a percentile interval of a few resamples may miss its value."""
    return [np.maximum(value - low, 0), np.maximum(high - value, 0)]


def _words(name: str) -> str:
    """A name as a reader would write it."""
    return name.replace("_", " ")


def _show_percent(*all_axes: "Axis") -> None:
    from matplotlib.ticker import PercentFormatter

    for axis in all_axes:
        axis.set_major_formatter(PercentFormatter(1, decimals=None))


PLOTS: Mapping[str, Callable[[PlotSubject, Path], None]] = {
    "calibration": _draw_calibration,
    "gain": _draw_gain,
    "precision_recall": _draw_precision_recall,
    "revenue": _draw_revenue,
    "beeswarm": _draw_beeswarm,
    "families": _draw_families,
    "backtest": _draw_backtest,
    "ablation": _draw_ablation,
    "learning_curve": _draw_learning_curve,
}
