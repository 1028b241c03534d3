"""What the card says of a model's reach: its horizons, its segments' own calibration, and the directions it keeps."""

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


def _horizon_line(days: str, one: Mapping[str, Any]) -> str:
    intervals = (f"{one[k]:.4f} [{one[f'{k}_low']:.4f}, {one[f'{k}_high']:.4f}]" for k in ("rate", "auc", "log_loss"))
    counted = f"| {days} days | {one['test'][-1]} | {one['snapshots']} | {one['churned']} | {one['mean_risk']:.4f} |"
    return f"{counted} {' | '.join(intervals)} |"
