"""Reasons: which family raises a margin most, and by how much it leads. numpy only: a service reads it."""

from collections.abc import Sequence

import numpy as np

from training.model import Input


def main_families(shares: np.ndarray, inputs: Sequence[Input]) -> tuple[np.ndarray, np.ndarray]:
    """The family that raises each margin most, by its place among the families, and its lead over the second.

    -1 where none raises it. A second family that lowers the margin counts as 0.
    """
    families = list(dict.fromkeys(one.family for one in inputs))
    sums = [shares[:, [i for i, one in enumerate(inputs) if one.family == family]].sum(axis=1) for family in families]
    # A family that is not there raises nothing: it keeps a lead defined where there is one family only.
    raising = np.clip(np.column_stack([*sums, np.zeros(len(shares))]), 0, None)
    ordered = np.sort(raising, axis=1)
    first = np.where(ordered[:, -1] > 0, raising.argmax(axis=1), -1)
    return first, ordered[:, -1] - ordered[:, -2]
