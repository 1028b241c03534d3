"""Pictures of a trained model: how true and how sharp its risks are, what they catch, and what they are made of."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluation.backtest import Origin, cases
from training.evaluation.metrics import tally
from training.model.churn_model import ChurnModel, encode

SHOWN_SIGNALS = 15
SHOWN_SNAPSHOTS = 2_000
INK, MODEL, OTHER, FAINT = "#22313f", "#1f6f8b", "#d1603d", "#b8c4cc"
STYLE: Any = {
    "figure.dpi": 110,
    "figure.facecolor": "white",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
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
class Subject:
    """What is drawn: a model, the newest origin with its answers, and what was said of the model."""

    model: ChurnModel
    newest: Origin
    said: Mapping[str, Any]

    @property
    def churned(self) -> np.ndarray:
        """The answers, riskiest first."""
        return cases([self.newest]).churned[np.argsort(-self.newest.risks, kind="stable")]


def draw(subject: Subject, folder: Path) -> None:
    """Write a PNG for every picture to the folder."""
    import matplotlib as mpl

    mpl.use("Agg")
    with mpl.rc_context(STYLE):
        for name, picture in PICTURES.items():
            if picture is not _revenue or cases([subject.newest]).revenue is not None:
                picture(subject, folder / f"{name}.png")


@contextmanager
def _page(file: Path, **size: Any) -> Iterator[Any]:
    """Axes of a new figure that is written to the file at the end."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(**size, layout="constrained")
    yield axes
    figure.savefig(file)
    pyplot.close(figure)


def _calibration(subject: Subject, file: Path) -> None:
    rows = subject.said["calibration"]
    risk, rate, low, high = (np.array([row[name] for row in rows]) for name in ("mean_risk", "rate", "low", "high"))
    with _page(file, figsize=(6.4, 6.4), nrows=2, height_ratios=(4, 1), sharex=True) as (main, below):
        top = float(max(risk.max(), high.max()) * 1.05)
        main.plot([0, top], [0, top], color=FAINT, label="risk = churn rate")
        spread = [rate - low, high - rate]
        main.errorbar(risk, rate, yerr=spread, fmt="o", color=MODEL, capsize=3, label="a tenth of the accounts, 95 %")
        main.set(ylabel="churned", title="Do as many leave as the risks say?", ylim=(0, top))
        main.legend(loc="upper left")
        below.hist(subject.newest.risks, bins=40, range=(0, top), color=FAINT)
        below.set(xlabel=f"risk (n = {len(subject.newest.risks):,})", ylabel="accounts")
        for axis in (main.yaxis, below.xaxis):
            axis.set_major_formatter(_percent())


def _gain(subject: Subject, file: Path) -> None:
    churned = subject.churned
    called = np.arange(len(churned) + 1) / len(churned)
    caught = np.r_[0, churned.cumsum()] / churned.sum()
    with _page(file, figsize=(10, 4.6), ncols=2) as (left, right):
        left.plot(called, caught, color=MODEL, linewidth=2, label="riskiest first")
        left.plot([0, 1], [0, 1], color=FAINT, label="in any order")
        left.set(xlabel="accounts called", ylabel="of all who leave", title="Gain: who is reached by calling so many")
        left.legend(loc="lower right")
        lift = caught[1:] / called[1:]
        from_ = max(len(churned) // 100, 1)
        right.plot(called[from_:], lift[from_ - 1 :], color=MODEL, linewidth=2)
        right.axhline(1, color=FAINT)
        right.set(xlabel="accounts called", ylabel="times the overall rate", title="Lift: how much riskier they are")
        right.set_ylim(bottom=0)
        for axis in (left.xaxis, left.yaxis, right.xaxis):
            axis.set_major_formatter(_percent())


def _precision_recall(subject: Subject, file: Path) -> None:
    t = tally(cases([subject.newest]).churned, subject.newest.risks)
    caught, called = t.churned[0].cumsum(), t.weight[0].cumsum()
    with _page(file, figsize=(6.4, 4.6)) as axes:
        axes.step(caught / caught[-1], caught / called, where="post", color=MODEL, linewidth=2)
        rate = caught[-1] / called[-1]
        axes.axhline(rate, color=OTHER, linestyle=":")
        axes.text(0, rate, f"calling in any order: {rate:.1%}", va="top", color=OTHER)
        top = min(1.0, 1.2 * float((caught / called).max()))
        axes.set(xlabel="of all who leave (recall)", ylabel="of those called, leave (precision)", ylim=(0, top))
        axes.set_title("What reaching more of them costs")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(_percent())


def _beeswarm(subject: Subject, file: Path) -> None:
    import shap
    from matplotlib import pyplot

    model = subject.model
    matrix = encode(subject.newest.test.head(SHOWN_SNAPSHOTS), model.inputs)
    explained = shap.Explanation(
        values=model.contributions(matrix),
        base_values=np.full(len(matrix), model.base_margin),
        data=matrix,
        feature_names=[one.label for one in model.inputs],
    )
    shap.plots.beeswarm(explained, max_display=SHOWN_SIGNALS, show=False, color_bar_label="value of the signal")
    pyplot.title("The signals that move most, an account a dot")
    pyplot.xlabel("share of the margin (log-odds before calibration)")
    pyplot.savefig(file, bbox_inches="tight")
    pyplot.close("all")


def _families(subject: Subject, file: Path) -> None:
    model = subject.model
    shares = model.contributions(encode(subject.newest.test.head(SHOWN_SNAPSHOTS), model.inputs))
    belongs = {family: [one.family == family for one in model.inputs] for family in _families_of(model)}
    mean = {family: float(np.abs(shares[:, mine].sum(axis=1)).mean()) for family, mine in belongs.items()}
    total = sum(mean.values()) or 1.0
    ranked = sorted(mean, key=lambda family: mean[family])
    with _page(file, figsize=(6.4, 0.4 * len(ranked) + 1.4)) as axes:
        bars = axes.barh(ranked, [mean[family] / total for family in ranked], color=MODEL)
        axes.bar_label(bars, [f"{mean[family] / total:.0%}" for family in ranked], padding=4)
        axes.set(title="How much each family moves the risks", xlabel="share of all movement", xticks=[])
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)


def _origins(subject: Subject, file: Path) -> None:
    origins = sorted(subject.said["rolling"]["origins"], key=lambda one: one["test"][-1])
    days = [one["test"][-1] for one in origins]
    names = {"auc": "AUC: how well it ranks (0.5 is chance)", "log_loss": "Log loss: how true it is (less is better)"}
    with _page(file, figsize=(10, 4.2), ncols=2) as pair:
        for axes, (name, title) in zip(pair, names.items(), strict=True):
            value, low, high = (np.array([one[f"{name}{end}"] for one in origins]) for end in ("", "_low", "_high"))
            axes.errorbar(days, value, yerr=[value - low, high - value], fmt="o-", color=MODEL, capsize=4)
            axes.set_title(title)
            axes.margins(x=0.15)
        pair[0].axhline(0.5, color=FAINT)


def _revenue(subject: Subject, file: Path) -> None:
    of, order = cases([subject.newest]), np.argsort(-subject.newest.risks, kind="stable")
    assert of.revenue is not None
    lost = (np.nan_to_num(of.revenue) * of.churned)[order]
    caught, capacity = np.r_[0, lost.cumsum()] / (lost.sum() or 1.0), subject.said["capacity"]
    at = float(caught[min(capacity, len(lost))])
    with _page(file, figsize=(6.4, 4.6)) as axes:
        axes.plot(caught, color=MODEL, linewidth=2, label="riskiest first")
        axes.plot([0, len(lost)], [0, 1], color=FAINT, label="in any order")
        axes.axvline(capacity, color=OTHER, linestyle=":")
        axes.annotate(
            f"{capacity} calls reach {at:.0%}", (capacity, at), (10, -16), textcoords="offset points", color=OTHER
        )
        axes.set(xlabel="accounts called", ylabel="of the revenue that leaves", title="Revenue that the calls reach")
        axes.legend(loc="lower right")
        axes.yaxis.set_major_formatter(_percent())


def _ablation(subject: Subject, file: Path) -> None:
    found = sorted(subject.said["ablation"], key=lambda one: one["figures"]["log_loss"]["difference"]["value"])
    if not found:
        return
    spans = [one["figures"]["log_loss"]["difference"] for one in found]
    value, low, high = (np.array([one[name] for one in spans]) for name in ("value", "low", "high"))
    with _page(file, figsize=(6.4, 0.38 * len(found) + 1.4)) as axes:
        axes.axvline(0, color=FAINT)
        axes.errorbar(value, [one["name"] for one in found], xerr=[value - low, high - value], fmt="o", color=MODEL)
        axes.set(xlabel="log loss more than with every signal, 95 % paired", title="What is lost without a family")


def _families_of(model: ChurnModel) -> list[str]:
    return list(dict.fromkeys(one.family for one in model.inputs))


def _percent() -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1, decimals=None)


Picture = Callable[[Subject, Path], None]
PICTURES: Mapping[str, Picture] = {
    "calibration": _calibration,
    "gain": _gain,
    "precision_recall": _precision_recall,
    "revenue": _revenue,
    "beeswarm": _beeswarm,
    "families": _families,
    "origins": _origins,
    "ablation": _ablation,
}
