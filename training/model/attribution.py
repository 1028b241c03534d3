"""Reasons: which family raises a margin most, and by how much it leads. numpy only: a service reads it."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.model.churn_model import Input


def members_of(inputs: Sequence[Input]) -> dict[str, list[int]]:
    """The columns of each family."""
    families = dict.fromkeys(one.family for one in inputs)
    return {family: [i for i, one in enumerate(inputs) if one.family == family] for family in families}


def by_family(shares: np.ndarray, members: Mapping[str, list[int]]) -> np.ndarray:
    """Each family's share of the margin, shape (rows, families)."""
    return np.column_stack([shares[:, columns].sum(axis=1) for columns in members.values()])


def leading(families: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per row, the column of the family that raises the margin most, and its lead over the second in log-odds.

    -1 where none raises it. A second family that lowers the margin, or is not there, counts as 0.
    """
    raising = np.clip(np.column_stack([families, np.zeros(len(families))]), 0, None)
    ordered = np.sort(raising, axis=1)
    return np.where(ordered[:, -1] > 0, raising.argmax(axis=1), -1), ordered[:, -1] - ordered[:, -2]
