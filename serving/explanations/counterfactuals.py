"""Counterfactual risks: the risk of an account if some of its signals had other values, within what is plausible.

The model is asked, not the world: nothing here says that changing a signal would change the risk.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from configs.errors import RequestError
from serving.explanations.peer_percentiles import PeerPercentiles
from training.model.churn_model import ModelInput

# A suggested change stays within what many peers have.
TARGET_PERCENTILES = (10, 25, 50, 75, 90)
MIN_EFFORT = 5.0
Value = float | str
Risks = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class CounterfactualCase:
    """One account: its row of the model's matrix, the input of each column, and the peers of its segment."""

    row: np.ndarray
    inputs: Sequence[ModelInput]
    peers: PeerPercentiles
    segment: str | None


@dataclass(frozen=True)
class SuggestedChange:
    """One suggested change: the signal, its value now and its target, percentiles between them, and the risk after it.

    In a sequence the risk includes the changes suggested before it. The percentiles are None if peers are not counted.
    """

    signal: str
    value: float | None
    target: float
    percentiles_moved: float | None
    risk: float


def encode_changes(changes: Mapping[str, Value], case: CounterfactualCase) -> dict[int, float]:
    """The requested values by column of the model's matrix.

    Raises RequestError (422) if the model has no such signal, the signal is not actionable, or the value is outside
    the plausible range of the segment.
    """
    columns = {signal.name: column for column, signal in enumerate(case.inputs)}
    encoded = {}
    for name, value in changes.items():
        if name not in columns:
            raise _implausible(f"The model has no signal '{name}'.", "POST /v1/explain names its signals.")
        signal = case.inputs[columns[name]]
        if not signal.actionable:
            raise _implausible(f"The signal '{name}' is not actionable.", "Change actionable signals only.")
        is_category = signal.kind == "category"
        encoded[columns[name]] = (
            _category_code(signal, value) if is_category else _plausible_number(signal, value, case)
        )
    return encoded


def apply_changes(row: np.ndarray, columns: Mapping[int, float]) -> np.ndarray:
    """A copy of a row of the matrix with these columns set."""
    changed = row.copy()
    changed[list(columns)] = list(columns.values())
    return changed


def find_cheapest_changes(case: CounterfactualCase, risks: Risks, max_changes: int = 3) -> list[SuggestedChange]:
    """Up to `max_changes` changes, one after another: each time the one that lowers the risk most for its effort.

    `risks` gives the risk of each row of a matrix. A change goes to the 10th, 25th, 50th, 75th or 90th percentile of
    the segment. Its effort is the number of percentiles between, at least 5.
    """
    suggestions: list[SuggestedChange] = []
    used: set[int] = set()
    for _ in range(max_changes):
        candidates = [change for change in _candidate_changes(case) if change.column not in used]
        gains, after = _gains_for_effort(case, candidates, risks)
        if not gains.max(initial=0.0) > 0:
            break
        best = int(np.argmax(gains))
        suggestions.append(_suggestion(case, candidates[best], float(after[best])))
        used.add(candidates[best].column)
        case = replace(case, row=apply_changes(case.row, {candidates[best].column: candidates[best].target}))
    return suggestions


def find_single_changes(case: CounterfactualCase, risks: Risks, max_changes: int = 3) -> list[SuggestedChange]:
    """Up to `max_changes` changes of one signal each, all else as it is: those that lower the risk most for the effort.

    Targets and efforts are those of `find_cheapest_changes`.
    """
    candidates = list(_candidate_changes(case))
    gains, after = _gains_for_effort(case, candidates, risks)
    best: dict[int, int] = {}
    for index in np.argsort(-gains, kind="stable").tolist():
        if gains[index] > 0:
            best.setdefault(candidates[index].column, index)
    chosen = list(best.values())[:max_changes]
    return [_suggestion(case, candidates[index], float(after[index])) for index in chosen]


class _Candidate(NamedTuple):
    """A change worth trying, and the number of percentiles between the value and the target."""

    column: int
    target: float
    effort: float


def _gains_for_effort(
    case: CounterfactualCase, candidates: Sequence[_Candidate], risks: Risks
) -> tuple[np.ndarray, np.ndarray]:
    """How much each change lowers the risk by percentile moved, and the risk after it."""
    if not candidates:
        return np.empty(0), np.empty(0)
    changed = [apply_changes(case.row, {candidate.column: candidate.target}) for candidate in candidates]
    before, *after = risks(np.stack([case.row, *changed])).tolist()
    efforts = [max(candidate.effort, MIN_EFFORT) for candidate in candidates]
    return (before - np.array(after)) / efforts, np.array(after)


def _suggestion(case: CounterfactualCase, change: _Candidate, risk: float) -> SuggestedChange:
    current, name = float(case.row[change.column]), case.inputs[change.column].name
    value = None if np.isnan(current) else current
    moved = change.effort if case.peers.count(case.segment, name) else None
    return SuggestedChange(name, value, change.target, moved, risk)


def _candidate_changes(case: CounterfactualCase) -> Iterator[_Candidate]:
    for column, signal in enumerate(case.inputs):
        if not signal.actionable or signal.kind == "category" or np.isnan(case.row[column]):
            continue
        current = case.peers.percentile(case.segment, signal.name, float(case.row[column]))
        for percentile in TARGET_PERCENTILES:
            target = case.peers.value_at(case.segment, signal.name, percentile)
            if current is not None and target is not None and target != case.row[column]:
                yield _Candidate(column, target, abs(percentile - current))


def _category_code(signal: ModelInput, value: Value) -> float:
    if value not in signal.categories:
        allowed = ", ".join(signal.categories)
        raise _implausible(f"'{signal.name}' has no category {value!r}.", f"Send one of {allowed}.")
    return float(signal.categories.index(str(value)))


def _plausible_number(signal: ModelInput, value: Value, case: CounterfactualCase) -> float:
    if isinstance(value, str):
        raise _implausible(f"'{signal.name}' must be a number, not {value!r}.", "Send a number.")
    plausible = case.peers.plausible_range(case.segment, signal.name)
    if plausible is None:
        raise _implausible(f"No account of the segment has a value of '{signal.name}'.", "Change another signal.")
    low, high = plausible
    if not low <= value <= high:
        message = f"{value:g} is not plausible for '{signal.name}': its segment ranges from {low:g} to {high:g}."
        raise _implausible(message, "Send a value in that range.")
    return float(value)


def _implausible(message: str, hint: str) -> RequestError:
    return RequestError(message, hint, code="not_plausible", status=422)
