"""The model card as one HTML page that needs nothing else, for people who do not build models."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from training.registry.promotion_rules import why_refused
from training.reports.model_card import FIGURES, NAMES, model_card

TEMPLATE = Path(__file__).with_name("model_card.html.jinja")
FEW_CHURNED = 100
ASKS = {
    "contract": "end its last subscription",
    "event": "give notice",
    "inactivity": "stop using the product",
    "contraction": "shrink what it pays",
}
# What each picture says, in the order in which people ask.
CAPTIONS = {
    "calibration": "Accounts in ten groups by risk. Where a point lies on the line, as many left as the risks said.",
    "revenue": "How much of the recurring revenue that leaves is held by the accounts that are called.",
    "gain": "Calling the riskiest first reaches those who leave sooner than calling in any order.",
    "origins": "The model made again as of earlier days: how much the figures of a single day are worth.",
    "beeswarm": "Every dot is an account; right of the middle the signal raises its risk, left of it lowers it.",
    "families": "Which families of signals move the risks, up or down.",
    "ablation": "Fitted again without each family: right of the line the model is less true without it.",
    "precision_recall": "The more of those who leave are to be reached, the more are called who would have stayed.",
}
WIDE = frozenset({"gain", "origins"})


def card_page(evaluation: Mapping[str, Any], pictures: Mapping[str, bytes], duel: Mapping[str, Any] | None) -> str:
    """The page of a model from what was said of it, its pictures (PNG by name) and its last duel."""
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"interval": _interval, "percent": _percent, "number": _number}
    return page.from_string(TEMPLATE.read_text("utf-8")).render(
        said=evaluation,
        figures=evaluation["figures"],
        label=evaluation["label"],
        asks=ASKS[evaluation["label"]["mode"]],
        refusal=why_refused(dict(evaluation)),
        pooled=evaluation["rolling"]["pooled"],
        compared={name: NAMES[name] for name in FIGURES},
        weak=list(weaknesses(evaluation)),
        pictures={name: b64encode(content).decode() for name, content in pictures.items()},
        captions=CAPTIONS,
        wide=WIDE,
        duel=duel,
    )


def write_cards(evaluation: dict[str, Any], folder: Path) -> None:
    """Write model_card.md and model_card.html beside the pictures in the folder."""
    (folder / "model_card.md").write_text(model_card(evaluation), "utf-8")
    page = card_page(evaluation, read_pictures(folder), None)
    (folder / "model_card.html").write_text(page, "utf-8")


def read_pictures(folder: Path) -> dict[str, bytes]:
    """The pictures in a folder, by name."""
    return {file.stem: file.read_bytes() for file in sorted(folder.glob("*.png"))}


def weaknesses(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """Where the model is weak, in sentences."""
    figures = evaluation["figures"]
    if figures["churned"] < FEW_CHURNED:
        yield f"Only {figures['churned']:.0f} accounts churned on the newest test days, so every figure is uncertain."
    if not evaluation["is_calibrated"]:
        bounds = f"{_percent(figures['rate_low'])} to {_percent(figures['rate_high'])}"
        yield f"The mean risk of {_percent(figures['mean_risk'])} lies outside what happened ({bounds})."
    for name, one in evaluation["segments"].items():
        n = f"{one['churned']:.0f} of {one['snapshots']:.0f} churned"
        if one.get("auc_low", 0.5) <= 0.5:
            yield f"In the segment '{name}' ({n}) it cannot be shown to tell leavers from stayers."
        if not one["rate_low"] <= one["mean_risk"] <= one["rate_high"]:
            yield f"In the segment '{name}' ({n}) its mean risk of {_percent(one['mean_risk'])} is off."
    for day, why in evaluation["rolling"]["skipped"].items():
        yield f"It could not be made as of {day}: {why}"


def _interval(figures: Mapping[str, float], name: str) -> str:
    if name not in figures:
        return "not told"
    return f"{figures[name]:.3f} ({figures[f'{name}_low']:.3f} to {figures[f'{name}_high']:.3f})"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _number(value: float) -> str:
    return f"{value:,.0f}"
