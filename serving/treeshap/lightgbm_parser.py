"""Reads a LightGBM booster's text into flat arrays for the driver kernel; LightGBM itself is not needed.

The nodes of every tree are in preorder, one tree after the other. A node other than a root also stands for the edge
that leads to it. Its `cover` is what drivers need of the training rows: of the edges from the root to the node that
split on the signal of its edge, the product of the shares of training rows that follow them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MAX_POINTS = 16  # integrates paths of twice as many signals exactly: deeper than any tree worth training
LEAF = -1
MISSING_NONE, MISSING_ZERO = 0, 1  # LightGBM's missing types; the third, 2, is NaN
AT_MOST, NOT_ABOVE, ZERO_IS_LEFT, ZERO_IS_RIGHT, IN_SET = range(5)
WORD_BITS = 32
ARRAY_TYPES = {
    "tree_starts": "int64",
    "point_counts": "int64",
    "split_signal": "int32",
    "split_rule": "int32",
    "threshold": "float64",
    "category_sets": "int32",
    "category_bits": "uint32",
    "edge_signal": "int32",
    "right_child": "int32",
    "ancestor": "int32",
    "cover": "float64",
    "leaf_value": "float64",
    "expected_margin": "float64",
    "splits_first": "int32",
}


class UnsupportedBooster(ValueError):
    """The kernel's drivers would not equal LightGBM's for this booster; the message says why."""


class Trees(NamedTuple):
    """The trees of one booster; a tuple, because numba takes tuples apart.

    Per tree: `tree_starts`, its first node, closed by the number of nodes; `point_counts`, the quadrature points it
    needs. Per node, with indices that count from the root of its tree: `split_signal` (LEAF for none), `split_rule` and
    `threshold`, which send a row left; `category_sets`, the first word and the number of words of `category_bits`;
    `edge_signal`, the signal of the edge to it; `right_child` (the left child is the next node); `ancestor`, the last
    node above whose edge has the same signal (0 for none); `cover`; and `leaf_value`. `expected_margin` (1,) is the
    mean margin of the training rows. `splits_first` lists the nodes of a tree once more, splits first, then leaves.
    """

    tree_starts: np.ndarray
    point_counts: np.ndarray
    split_signal: np.ndarray
    split_rule: np.ndarray
    threshold: np.ndarray
    category_sets: np.ndarray
    category_bits: np.ndarray
    edge_signal: np.ndarray
    right_child: np.ndarray
    ancestor: np.ndarray
    cover: np.ndarray
    leaf_value: np.ndarray
    expected_margin: np.ndarray
    splits_first: np.ndarray


def read_trees(booster_text: str) -> Trees:
    """The trees in the text that LightGBM saves; raises UnsupportedBooster if the kernel is not for them."""
    header, *sections = booster_text.split("\nTree=")
    _check_header(header.splitlines())
    trees: list[_TreeText] = []
    first_word = 0
    for section in sections:
        trees.append(_TreeText(_parse_entries(section.split("\n\n")[0]), first_word))
        first_word += len(trees[-1].category_bits)
    return _concatenate(trees)


def _check_header(lines: Sequence[str]) -> None:
    if "average_output" in lines:
        raise UnsupportedBooster("a random forest averages its trees")
    if "num_tree_per_iteration=1" not in lines:
        raise UnsupportedBooster("it has a margin per class")


def _parse_entries(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@dataclass
class _Node:
    """One node while its tree is laid out."""

    split_signal: int = LEAF
    split_rule: int = AT_MOST
    threshold: float = 0.0
    category_sets: tuple[int, int] = (0, 0)
    edge_signal: int = 0
    right_child: int = 0
    ancestor: int = 0
    cover: float = 1.0
    leaf_value: float = 0.0


class _TreeText:
    """One tree as LightGBM writes it: splits count from 0, leaves are their bitwise complement."""

    def __init__(self, entries: Mapping[str, str], first_word: int) -> None:
        if entries.get("is_linear", "0") != "0":
            raise UnsupportedBooster("a leaf holds a linear model")
        self.entries, self.first_word = entries, first_word
        self.leaf_count = int(entries["num_leaves"])
        self.split_features, self.decision_types = self._ints("split_feature"), self._ints("decision_type")
        self.left_children, self.right_children = self._ints("left_child"), self._ints("right_child")
        self.leaf_rows, self.split_rows = self._ints("leaf_count"), self._ints("internal_count")
        self.category_boundaries, self.category_bits = self._ints("cat_boundaries"), self._ints("cat_threshold")
        self.thresholds, self.leaf_values = self._floats("threshold"), self._floats("leaf_value")

    def expected_margin(self) -> float:
        """The mean of the leaves over the training rows, summed in LightGBM's order."""
        if self.leaf_count == 1:
            return self.leaf_values[0]
        shares = (rows / self.split_rows[0] for rows in self.leaf_rows)
        return sum(share * value for share, value in zip(shares, self.leaf_values, strict=True))

    def layout(self) -> tuple[list[_Node], int]:
        """The nodes in preorder, and the largest number of distinct signals on a path."""
        nodes: list[_Node] = []
        max_signals = self._lay_out(nodes, 0 if self.leaf_count > 1 else ~0, _Node(), {})
        return nodes, max_signals

    def _lay_out(self, nodes: list[_Node], index: int, node: _Node, last_nodes: dict[int, int]) -> int:
        """Lay out the subtree at `index`; `last_nodes` holds the last node of the path for each signal of its edges."""
        nodes.append(node)
        if index < 0:
            node.leaf_value = self.leaf_values[~index]
            return len(last_nodes)
        node.split_signal, node.threshold = self.split_features[index], self.thresholds[index]
        node.split_rule, node.category_sets = self._rule(index)
        max_signals = 0
        for child in (self.left_children[index], self.right_children[index]):
            node.right_child = len(nodes)  # after the loop, the index of the right child
            ancestor = last_nodes.get(node.split_signal, 0)
            cover = self._rows(child) / self._rows(index) * (nodes[ancestor].cover if ancestor else 1.0)
            edge = _Node(edge_signal=node.split_signal, ancestor=ancestor, cover=cover)
            path = {**last_nodes, node.split_signal: len(nodes)}
            max_signals = max(max_signals, self._lay_out(nodes, child, edge, path))
        return max_signals

    def _rows(self, index: int) -> int:
        rows = self.split_rows[index] if index >= 0 else self.leaf_rows[~index]
        if index >= 0 and rows == 0:
            raise UnsupportedBooster("no training row reached a split")
        return rows

    def _rule(self, index: int) -> tuple[int, tuple[int, int]]:
        """What sends a row left. One comparison decides missing values too: `x <= t` is false for NaN."""
        decision_type = self.decision_types[index]
        if decision_type & 1:
            first, end = self.category_boundaries[int(self.thresholds[index]) :][:2]
            return IN_SET, (self.first_word + first, end - first)
        missing_type, is_default_left = decision_type >> 2 & 3, bool(decision_type & 2)
        if missing_type == MISSING_ZERO:
            return (ZERO_IS_LEFT if is_default_left else ZERO_IS_RIGHT), (0, 0)
        # If missing values have no direction of their own, LightGBM replaces them with 0.
        is_nan_left = self.thresholds[index] >= 0 if missing_type == MISSING_NONE else is_default_left
        return (NOT_ABOVE if is_nan_left else AT_MOST), (0, 0)

    def _ints(self, name: str) -> list[int]:
        return [int(text) for text in self.entries.get(name, "").split()]

    def _floats(self, name: str) -> list[float]:
        return [float(text) for text in self.entries.get(name, "").split()]


def _concatenate(trees: Sequence[_TreeText]) -> Trees:
    layouts = [tree.layout() for tree in trees]
    nodes = [node for tree_nodes, _ in layouts for node in tree_nodes]
    point_counts = [max(1, -(-max_signals // 2)) for _, max_signals in layouts]
    if max(point_counts, default=1) > MAX_POINTS:
        raise UnsupportedBooster(f"a path has more than {2 * MAX_POINTS} signals")
    columns = {name: [getattr(node, name) for node in nodes] for name in _Node.__dataclass_fields__}
    arrays = columns | {
        "tree_starts": np.cumsum([0] + [len(tree_nodes) for tree_nodes, _ in layouts]),
        "point_counts": point_counts,
        "category_sets": np.array(columns["category_sets"]).reshape(-1, 2),
        "category_bits": [bits for tree in trees for bits in tree.category_bits],
        "expected_margin": [sum(tree.expected_margin() for tree in trees)],
        "splits_first": [index for tree_nodes, _ in layouts for index in _splits_first(tree_nodes)],
    }
    return Trees(**{name: np.ascontiguousarray(arrays[name], dtype=dtype) for name, dtype in ARRAY_TYPES.items()})


def _splits_first(nodes: Sequence[_Node]) -> list[int]:
    return sorted(range(len(nodes)), key=lambda index: nodes[index].split_signal == LEAF)
