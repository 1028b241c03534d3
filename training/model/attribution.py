"""Attribution: which family raises a margin most, and how far it leads the second (numpy only: for the service)."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.model.churn_model import ModelInput


def columns_by_family(inputs: Sequence[ModelInput]) -> dict[str, list[int]]:
    """The column indices of each family."""
    columns: dict[str, list[int]] = {}
    for index, signal in enumerate(inputs):
        columns.setdefault(signal.family, []).append(index)
    return columns


def sum_by_family(contributions: np.ndarray, columns: Mapping[str, list[int]]) -> np.ndarray:
    """Each family's contribution to the margin, shape (rows, families)."""
    return np.column_stack([contributions[:, indices].sum(axis=1) for indices in columns.values()])


def find_leading_family(families: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per row, the column of the family that raises the margin most, and its lead over the second in log-odds.

    The column is -1 if no family raises the margin. A second family that lowers the margin counts as 0, as does a
    missing one.
    """
    raising = np.clip(np.column_stack([families, np.zeros(len(families))]), 0, None)
    ordered = np.sort(raising, axis=1)
    return np.where(ordered[:, -1] > 0, raising.argmax(axis=1), -1), ordered[:, -1] - ordered[:, -2]
