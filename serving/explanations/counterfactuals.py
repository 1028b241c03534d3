"""What if: the risk of an account with some of its signals changed, as far as that is plausible and in anyone's hands.

It asks the model, not the world: nothing here says that bringing a signal there would bring the risk there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from configs.errors import RequestError
from serving.explanations.peer_percentiles import PeerPercentiles
from training.model.churn_model import Input

# Where a change may lead: into the better half of the peers, never beyond what many of them have.
TARGET_PERCENTILES = (10, 25, 50, 75, 90)
MIN_EFFORT = 5.0
Value = float | str


@dataclass(frozen=True)
class CounterfactualCase:
    """An account as the model reads it: its row of the matrix, the inputs of the columns, and its peers' segment."""

    row: np.ndarray
    inputs: Sequence[Input]
    peers: PeerPercentiles
    segment: str | None


@dataclass(frozen=True)
class SuggestedChange:
    """One suggested change: the signal, its value now and then, how many peers it passes, and the risk once taken."""

    signal: str
    value: float | None
    target: float
    percentiles_moved: float
    risk: float


def encode_changes(changes: Mapping[str, Value], case: CounterfactualCase) -> dict[int, float]:
    """The changes by column of the model's matrix.

    Raises RequestError (422) for a signal the model does not read, that nobody can act on, or outside what its segment
    shows.
    """
    places = {one.name: place for place, one in enumerate(case.inputs)}
    found = {}
    for name, value in changes.items():
        if name not in places:
            raise _implausible(f"'{name}' is no signal of this model.", "POST /v1/explain names them.")
        one = case.inputs[places[name]]
        if not one.actionable:
            raise _implausible(f"'{name}' is nothing that anyone could change.", "Change actionable signals only.")
        found[places[name]] = (
            _category_code(one, value) if one.kind == "category" else _plausible_number(one, value, case)
        )
    return found


def apply_changes(row: np.ndarray, columns: Mapping[int, float]) -> np.ndarray:
    """A copy of a row of the matrix with these columns set."""
    other = row.copy()
    other[list(columns)] = list(columns.values())
    return other


def find_cheapest_changes(
    case: CounterfactualCase, risks: Callable[[np.ndarray], np.ndarray], most: int = 3
) -> list[SuggestedChange]:
    """Up to `most` changes, one after another, each the one that lowers the risk most for the peers it passes.

    `risks` gives the risk of each row of a matrix. A change goes to the 10th, 25th, 50th, 75th or 90th percentile of
    the segment; its effort is the percentiles between, at least 5.
    """
    steps: list[SuggestedChange] = []
    taken: set[int] = set()
    current, risk = case.row, float(risks(case.row[None, :])[0])
    for _ in range(most):
        moves = [move for move in _candidate_changes(replace(case, row=current)) if move[0] not in taken]
        if not moves:
            break
        after = risks(np.stack([apply_changes(current, {column: to}) for column, to, _ in moves]))
        gains = (risk - after) / np.array([max(effort, MIN_EFFORT) for *_, effort in moves])
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        column, to, passes = moves[best]
        now = None if np.isnan(current[column]) else float(current[column])
        current, risk = apply_changes(current, {column: to}), float(after[best])
        taken.add(column)
        steps.append(SuggestedChange(case.inputs[column].name, now, to, passes, risk))
    return steps


def _candidate_changes(case: CounterfactualCase) -> Iterator[tuple[int, float, float]]:
    """Every change worth trying: the column, the value to reach, the percentiles passed on the way."""
    for column, one in enumerate(case.inputs):
        if not one.actionable or one.kind == "category" or np.isnan(case.row[column]):
            continue
        now = case.peers.percentile(case.segment, one.name, float(case.row[column]))
        for target in TARGET_PERCENTILES:
            to = case.peers.value_at(case.segment, one.name, target)
            if now is not None and to is not None and to != case.row[column]:
                yield column, to, abs(target - now)


def _category_code(one: Input, value: Value) -> float:
    if value not in one.categories:
        raise _implausible(f"'{one.name}' is never {value!r}.", f"It is one of {', '.join(one.categories)}.")
    return float(one.categories.index(str(value)))


def _plausible_number(one: Input, value: Value, case: CounterfactualCase) -> float:
    if isinstance(value, str):
        raise _implausible(f"'{one.name}' is a number, not {value!r}.", "Send a number.")
    within = case.peers.plausible_range(case.segment, one.name)
    if within is None:
        raise _implausible(f"No account of its segment has '{one.name}'.", "Change another signal.")
    if not within[0] <= value <= within[1]:
        low, high = within
        message = f"{value:g} is not plausible for '{one.name}': its segment lies between {low:g} and {high:g}."
        raise _implausible(message, "Stay between them.")
    return float(value)


def _implausible(message: str, hint: str) -> RequestError:
    return RequestError(message, hint, code="not_plausible", status=422)
