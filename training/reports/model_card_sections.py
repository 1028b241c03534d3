"""What the card says of a model's reach: its horizons, its segments' own calibration, directions, main reasons."""

from collections.abc import Iterator, Mapping
from typing import Any

HEADER = ("| horizon | test day | snapshots | churned | mean risk | churn rate | AUC | log loss |", "|---" * 8 + "|")


def reach_lines(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """The lines on horizons, segments and directions; none for a model from before they were judged."""
    if "horizons" not in evaluation:
        return
    horizons = evaluation["horizons"]
    yield from ("", "## Horizons", "", "Each on the newest test day whose answers are known for it.", "", *HEADER)
    yield from (_horizon_line(days, one) for days, one in horizons["judged"].items() if one)
    unknown = [days for days, one in horizons["judged"].items() if not one]
    yield ""
    yield from (f"- {days} days: given, but no test day's answers are known yet" for days in unknown)
    yield from (f"- {days} days: left out, {why}" for days, why in horizons["left_out"].items())
    own = ", ".join(f"{name} {offset:+.2f}" for name, offset in horizons["own_calibration"].items())
    yield f"- segments with a calibration of their own (shift of the log-odds): {own or 'none'}"
    swept = evaluation["directions"]
    kept = [one["name"] for one in swept if not one["broken"]]
    yield f"- declared directions that hold over their range: {len(kept)} of {len(swept)}"


def stability_lines(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """The lines on how far main reasons can be trusted; none for a model from before that was measured."""
    if "stability" not in evaluation:
        return
    one = evaluation["stability"]
    yield from ("", "## Main reasons", "")
    yield f"The model was made again {one['refits']} times on resampled accounts; {one['snapshots']} snapshots."
    yield f"- the family that raises a risk most was another one in {one['flipped']:.0%}"
    if one["lead"] is None:
        yield f"- no lead over the second family is enough for it to stay in {one['stays']:.0%}: none is called main"
    else:
        yield f"- from a lead of {one['lead']:.3f} log-odds on it is the main reason: {one['clear']:.0%} of snapshots"
        yield f"- of those it was another one in {one['flipped_when_clear']:.0%}"


def second_lines(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """The lines on the second label; none where the data do not tell it."""
    for name, one in evaluation.get("second_label", {}).items():
        if name == "contracted":
            yield from ("", "## Contraction", "", "How far the risk of leaving warns of accounts that shrink.", "")
        if one is None:
            yield f"- {name}: nobody, or everybody"
            continue
        rate, auc = (f"{one[k]:.4f} [{one[f'{k}_low']:.4f}, {one[f'{k}_high']:.4f}]" for k in ("rate", "auc"))
        yield f"- {name}: {one['events']} of {one['snapshots']}, rate {rate}, AUC of the risk {auc}"


def search_lines(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """What a search for settings found, as lines to put into the settings file; none where there was no search."""
    found = evaluation.get("search")
    if not found:
        return
    yield from ("", "## Search", "")
    yield f"Of {found['trials']} settings tried on days before the test these were the truest: log loss"
    yield f"{found['log_loss']:.5f}, against {found['log_loss_before']:.5f} of those given."
    unseen = found.get("unseen", ())
    if len(unseen) < len(evaluation["rolling"]["origins"]):
        yield f"It has not seen the tests of {', '.join(unseen) or 'any origin'}; those of older origins flatter it."
    yield from ("", "```", "[training]", *(f"{name} = {value}" for name, value in found["training"].items()), "```")


def _horizon_line(days: str, one: Mapping[str, Any]) -> str:
    intervals = (f"{one[k]:.4f} [{one[f'{k}_low']:.4f}, {one[f'{k}_high']:.4f}]" for k in ("rate", "auc", "log_loss"))
    counted = f"| {days} days | {one['test'][-1]} | {one['snapshots']} | {one['churned']} | {one['mean_risk']:.4f} |"
    return f"{counted} {' | '.join(intervals)} |"
