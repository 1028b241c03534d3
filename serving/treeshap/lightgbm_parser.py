"""Trees: a LightGBM booster's text as flat arrays for the driver kernel; LightGBM itself is not needed.

Every tree's nodes stand in preorder, one tree after the other. A node other than a root stands for the edge that leads
to it as well. What a row's drivers need of the training rows is a node's `cover`: for the signal asked at its edge, the
product over the edges from the root to here that ask it of the share of training rows that follow them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

MOST_POINTS = 16  # integrates paths of twice as many distinct signals exactly: deeper than any tree worth training
LANES = 8  # rows, or quadrature points of a row alone, that the processor takes together
LEAF = -1
NONE, ZERO = 0, 1  # LightGBM's missing types; the third, 2, is NaN
AT_MOST, NOT_ABOVE, ZERO_IS_LEFT, ZERO_IS_RIGHT, IN_SET = range(5)
WORD = 32  # bits in a word of a set of categories
KINDS = {
    "starts": "int64",
    "degrees": "int64",
    "signal": "int32",
    "rule": "int32",
    "threshold": "float64",
    "sets": "int32",
    "bits": "uint32",
    "asked": "int32",
    "right": "int32",
    "earlier": "int32",
    "cover": "float64",
    "value": "float64",
    "expected": "float64",
    "order": "int32",
}


class NotExact(ValueError):
    """The kernel's drivers would not be those of LightGBM for this booster; says why."""


class Trees(NamedTuple):
    """The trees of one booster; a tuple, because that is what numba takes apart.

    Per tree: `starts`, its first node, closed by the number of nodes; `degrees`, how many quadrature points it needs.
    Per node, with indices that count from its tree's root: `signal` asked here (LEAF for none), `rule` and `threshold`
    that send a row left, `sets` (first word, words) of `bits` for a category, `asked`, the signal of the edge to it,
    `right`, its right child (the left one is the next node), `earlier`, the last node above whose edge asked the same
    signal as this one's (0 for none), `cover`, and `value` of a leaf. `expected` (1,) is the mean margin over the
    training rows. `order` holds a tree's nodes once more, its splits and then its leaves: a loop over either asks none
    which it is.
    """

    starts: np.ndarray
    degrees: np.ndarray
    signal: np.ndarray
    rule: np.ndarray
    threshold: np.ndarray
    sets: np.ndarray
    bits: np.ndarray
    asked: np.ndarray
    right: np.ndarray
    earlier: np.ndarray
    cover: np.ndarray
    value: np.ndarray
    expected: np.ndarray
    order: np.ndarray


def room_of(most: int) -> int:
    """How many numbers of room a walk needs where the largest tree has so many nodes."""
    return MOST_POINTS + most * (MOST_POINTS * (4 + LANES) + 2 + 2 * LANES)


def read_trees(booster_text: str) -> Trees:
    """The trees of a booster, from the text that LightGBM saves; raises NotExact for one that the kernel is not for."""
    header, *parts = booster_text.split("\nTree=")
    _refuse(header.splitlines())
    trees: list[_Tree] = []
    for part in parts:
        words = sum(len(tree.bits) for tree in trees[-1:]) + (trees[-1].first_word if trees else 0)
        trees.append(_Tree(_entries(part.split("\n\n")[0]), words))
    return _joined(trees)


def _refuse(header: Sequence[str]) -> None:
    if "average_output" in header:
        raise NotExact("a random forest averages its trees")
    if "num_tree_per_iteration=1" not in header:
        raise NotExact("it has a margin per class")


def _entries(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@dataclass
class _Node:
    """One node while its tree is laid out."""

    signal: int = LEAF
    rule: int = AT_MOST
    threshold: float = 0.0
    sets: tuple[int, int] = (0, 0)
    asked: int = 0
    right: int = 0
    earlier: int = 0
    cover: float = 1.0
    value: float = 0.0


class _Tree:
    """One tree as LightGBM writes it: splits count from 0, leaves are their bitwise complement."""

    def __init__(self, entries: Mapping[str, str], first_word: int) -> None:
        if entries.get("is_linear", "0") != "0":
            raise NotExact("a leaf holds a linear model")

        def numbers(name: str, kind: type) -> list:
            return [kind(one) for one in entries.get(name, "").split()]

        self.first_word = first_word
        self.leaves = int(entries["num_leaves"])
        self.signals, self.thresholds = numbers("split_feature", int), numbers("threshold", float)
        self.decisions = numbers("decision_type", int)
        self.left, self.right = numbers("left_child", int), numbers("right_child", int)
        self.values, self.leaf_rows = numbers("leaf_value", float), numbers("leaf_count", int)
        self.split_rows = numbers("internal_count", int)
        self.boundaries, self.bits = numbers("cat_boundaries", int), numbers("cat_threshold", int)

    def expected(self) -> float:
        """The mean of the leaves over the training rows, summed in the order in which LightGBM sums it."""
        if self.leaves == 1:
            return self.values[0]
        shares = (rows / self.split_rows[0] for rows in self.leaf_rows)
        return sum(share * value for share, value in zip(shares, self.values, strict=True))

    def nodes(self) -> tuple[list[_Node], int]:
        """The nodes in preorder, and the most distinct signals on one path."""
        laid: list[_Node] = []
        deepest = self._lay(laid, 0 if self.leaves > 1 else ~0, _Node(), {})
        return laid, deepest

    def _lay(self, laid: list[_Node], at: int, node: _Node, seen: dict[int, int]) -> int:
        """Lay out the subtree at `at`; `seen` holds the last node whose edge asked each signal of the path."""
        laid.append(node)
        if at < 0:
            node.value = self.values[~at]
            return len(seen)
        node.signal, node.threshold = self.signals[at], self.thresholds[at]
        node.rule, node.sets = self._rule(at)
        deepest = 0
        for child in (self.left[at], self.right[at]):
            node.right = len(laid)  # after the loop, where the right child went
            earlier = seen.get(node.signal, 0)
            share = self._rows(child) / self._rows(at) * (laid[earlier].cover if earlier else 1.0)
            edge = _Node(asked=node.signal, earlier=earlier, cover=share)
            deepest = max(deepest, self._lay(laid, child, edge, {**seen, node.signal: len(laid)}))
        return deepest

    def _rows(self, at: int) -> int:
        rows = self.split_rows[at] if at >= 0 else self.leaf_rows[~at]
        if at >= 0 and rows == 0:
            raise NotExact("a split was seen by no training row")
        return rows

    def _rule(self, at: int) -> tuple[int, tuple[int, int]]:
        """What sends a row left, so that one comparison settles missing values too: `x <= t` is false of NaN."""
        decision = self.decisions[at]
        if decision & 1:
            first, end = self.boundaries[int(self.thresholds[at]) :][:2]
            return IN_SET, (self.first_word + first, end - first)
        missing, default_left = decision >> 2 & 3, bool(decision & 2)
        if missing == ZERO:
            return (ZERO_IS_LEFT if default_left else ZERO_IS_RIGHT), (0, 0)
        # Where missing values are none of their own, LightGBM takes them for 0.
        nan_is_left = self.thresholds[at] >= 0 if missing == NONE else default_left
        return (NOT_ABOVE if nan_is_left else AT_MOST), (0, 0)


def _joined(trees: list["_Tree"]) -> Trees:
    laid = [tree.nodes() for tree in trees]
    nodes = [node for part, _ in laid for node in part]
    degrees = [max(1, -(-deepest // 2)) for _, deepest in laid]
    if max(degrees, default=1) > MOST_POINTS:
        raise NotExact(f"a path asks more than {2 * MOST_POINTS} signals")

    columns = {name: [getattr(node, name) for node in nodes] for name in _Node.__dataclass_fields__}
    found: dict[str, Any] = {
        **columns,
        "starts": np.cumsum([0] + [len(part) for part, _ in laid]),
        "degrees": degrees,
        "sets": np.array(columns["sets"]).reshape(-1, 2),
        "bits": [word for tree in trees for word in tree.bits],
        "expected": [sum(tree.expected() for tree in trees)],
        "order": [node for part, _ in laid for node in _splits_first(part)],
    }
    return Trees(**{name: np.ascontiguousarray(found[name], dtype=kind) for name, kind in KINDS.items()})


def _splits_first(nodes: Sequence[_Node]) -> list[int]:
    return sorted(range(len(nodes)), key=lambda node: nodes[node].signal == LEAF)
