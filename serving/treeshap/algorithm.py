"""TreeSHAP: each signal's exact share of a margin, in the Python that numba compiles.

The Shapley values of a tree are integrals over t in [0, 1] of its game's multilinear extension (Owen, 1972). A leaf of
value v gives signal i of its path v (o_i - z_i) times the integral of the product over the path's other signals j of
(t o_j + (1 - t) z_j). There, o_j is 1 if the row follows every edge of signal j, else 0, and z_j is the share of
training rows that follow them. For d signals the product has degree d - 1, so Gauss-Legendre quadrature with
ceil(d / 2) points is exact. One pass down a tree multiplies the factors at those points, and one pass up sums the
leaves below every edge. Nothing is unwound as in TreeSHAP (Lundberg et al., 2020), and no term of a product is
negative.

Each edge multiplies a row's product at point t by a factor, and the sum of the leaves below it counts with a weight.
With z the cover of the edge, e the cover of its ancestor (1 for none) and a(z) = t + (1 - t) z:

    the row                  factor            weight
    follows the edge         a(z) / a(e)       (e - z) / (a(z) a(e))
    leaves the path here     (1 - t) z / a(e)  -1 / ((1 - t) a(e))
    left it at e already     z / e             0

The inner loops run over a block of rows. Every row goes through the same operations in the same order, so its shares do
not depend on the block, to the bit.
"""

# pyright: reportArgumentType=false, reportPrivateImportUsage=false
# (to numba an array's element is a number)

# Nothing is allocated, so that the machine code needs neither Python nor numba to run.

from typing import Any, NamedTuple

import numpy as np
from numba import carray
from numba.extending import register_jitable

from serving.treeshap.lightgbm_parser import (
    AT_MOST,
    MAX_POINTS,
    NOT_ABOVE,
    WORD_BITS,
    ZERO_IS_LEFT,
    ZERO_IS_RIGHT,
    Trees,
)

ZERO_TOLERANCE = 1e-35  # what LightGBM takes for zero if zero means missing
PARTIAL_SUMS = 4  # a share is summed in so many parts: rounding errors grow less
Pointer = Any
inlined = register_jitable(forceinline=True)


class Quadrature(NamedTuple):
    """Points t, their weights, and 1 / (1 - t): for one number of points, or a row for each."""

    points: np.ndarray
    weights: np.ndarray
    inverse_complements: np.ndarray


class Tree(NamedTuple):
    """One of the trees: the part of Trees with its nodes, and its quadrature."""

    nodes: Trees
    quadrature: Quadrature
    node_count: int
    split_count: int
    point_count: int


class Scratch(NamedTuple):
    """Memory for one block.

    `products` (nodes, points, rows); `follows` (nodes, rows), whether a row follows an edge and all above it of the
    same signal; `goes_left` (rows,); `sums` (PARTIAL_SUMS, rows); and 1 / a(z) as `inverse_terms` (nodes, points).
    """

    products: np.ndarray
    follows: np.ndarray
    goes_left: np.ndarray
    sums: np.ndarray
    inverse_terms: np.ndarray


# fmt: off
def walk(  # noqa: PLR0913, PLR0917 - machine code is called with plain pointers and counts
    tree_starts: Pointer, point_counts: Pointer, split_signal: Pointer, split_rule: Pointer, threshold: Pointer,
    category_sets: Pointer, category_bits: Pointer, edge_signal: Pointer, right_child: Pointer, ancestor: Pointer,
    cover: Pointer, leaf_value: Pointer, expected_margin: Pointer, splits_first: Pointer, points: Pointer,
    weights: Pointer, inverse_complements: Pointer, products: Pointer, follows: Pointer, goes_left: Pointer,
    sums: Pointer, inverse_terms: Pointer, matrix: Pointer, shares: Pointer,
    tree_count: int, node_count: int, word_count: int, max_nodes: int, max_points: int, signals: int, rows: int,
) -> None:
    """Add each signal's share of the margin of a block of rows: matrix and shares have the shape (signals, rows).

    The other arrays are those of Trees, the quadrature and Scratch. `max_nodes` and `max_points` are the most nodes and
    quadrature points of a tree.
    """
    trees = Trees(
        carray(tree_starts, tree_count + 1),
        carray(point_counts, tree_count),
        carray(split_signal, node_count),
        carray(split_rule, node_count),
        carray(threshold, node_count),
        carray(category_sets, (node_count, 2)),
        carray(category_bits, word_count),
        carray(edge_signal, node_count),
        carray(right_child, node_count),
        carray(ancestor, node_count),
        carray(cover, node_count),
        carray(leaf_value, node_count),
        carray(expected_margin, 1),
        carray(splits_first, node_count),
    )
    quadrature = Quadrature(
        carray(points, (MAX_POINTS + 1, MAX_POINTS)),
        carray(weights, (MAX_POINTS + 1, MAX_POINTS)),
        carray(inverse_complements, (MAX_POINTS + 1, MAX_POINTS)),
    )
    scratch = Scratch(
        carray(products, (max_nodes, max_points, rows)),
        carray(follows, (max_nodes, rows)),
        carray(goes_left, rows),
        carray(sums, (PARTIAL_SUMS, rows)),
        carray(inverse_terms, (max_nodes, max_points)),
    )
    block = carray(matrix, (signals, rows)), carray(shares, (signals, rows))
    if rows == 1:  # the compiler removes the loops over rows
        _add_shares(trees, quadrature, scratch, (*block, 1))
    else:
        _add_shares(trees, quadrature, scratch, (*block, rows))
# fmt: on


@inlined
def _add_shares(
    trees: Trees, quadrature: Quadrature, scratch: Scratch, block: tuple[np.ndarray, np.ndarray, int]
) -> None:
    matrix, shares, rows = block
    for number in range(len(trees.point_counts)):
        tree = _tree(trees, quadrature, number)
        _descend(tree, scratch, matrix, rows)
        _ascend(tree, scratch, shares, rows)


@inlined
def _tree(trees: Trees, quadrature: Quadrature, number: int) -> Tree:
    first, end = trees.tree_starts[number], trees.tree_starts[number + 1]
    point_count = trees.point_counts[number]
    nodes = Trees(
        trees.tree_starts,
        trees.point_counts,
        trees.split_signal[first:end],
        trees.split_rule[first:end],
        trees.threshold[first:end],
        trees.category_sets[first:end],
        trees.category_bits,
        trees.edge_signal[first:end],
        trees.right_child[first:end],
        trees.ancestor[first:end],
        trees.cover[first:end],
        trees.leaf_value[first:end],
        trees.expected_margin,
        trees.splits_first[first:end],
    )
    points = Quadrature(
        quadrature.points[point_count],
        quadrature.weights[point_count],
        quadrature.inverse_complements[point_count],
    )
    return Tree(nodes, points, end - first, (end - first) // 2, point_count)


@inlined
def _descend(tree: Tree, scratch: Scratch, matrix: np.ndarray, rows: int) -> None:
    for q in range(tree.point_count):
        scratch.inverse_terms[0, q] = 1.0
        for r in range(rows):
            scratch.products[0, q, r] = tree.quadrature.weights[q]
    for r in range(rows):
        scratch.follows[0, r] = 1.0
    for k in range(tree.split_count):
        node = tree.nodes.splits_first[k]
        _split_rows(tree, scratch, node, matrix, rows)
        _follow_edge(tree, scratch, (node, node + 1, True), rows)
        _follow_edge(tree, scratch, (node, tree.nodes.right_child[node], False), rows)


@inlined
def _split_rows(tree: Tree, scratch: Scratch, node: int, matrix: np.ndarray, rows: int) -> None:
    """Mark the rows that go left at a split. Every comparison with NaN is false, which is intended."""
    signal, rule, threshold = tree.nodes.split_signal[node], tree.nodes.split_rule[node], tree.nodes.threshold[node]
    if rule == AT_MOST:
        for r in range(rows):
            scratch.goes_left[r] = 1.0 if matrix[signal, r] <= threshold else 0.0
    elif rule == NOT_ABOVE:
        for r in range(rows):
            scratch.goes_left[r] = 0.0 if matrix[signal, r] > threshold else 1.0
    else:
        for r in range(rows):
            scratch.goes_left[r] = 1.0 if _goes_left(tree, node, matrix[signal, r]) else 0.0


@inlined
def _goes_left(tree: Tree, node: int, value: float) -> bool:
    """Whether a value goes left at a split that is not a plain comparison."""
    rule, threshold = tree.nodes.split_rule[node], tree.nodes.threshold[node]
    if rule == ZERO_IS_LEFT:
        return not (value > threshold and abs(value) > ZERO_TOLERANCE)
    if rule == ZERO_IS_RIGHT:
        return value <= threshold and abs(value) > ZERO_TOLERANCE
    first, word_count = tree.nodes.category_sets[node, 0], tree.nodes.category_sets[node, 1]
    if not (value > -1.0 and value < word_count * WORD_BITS):
        return False
    code = int(value)
    bits = tree.nodes.category_bits[first + code // WORD_BITS]
    return (bits >> np.uint32(code % WORD_BITS)) & np.uint32(1) != 0


@inlined
def _follow_edge(tree: Tree, scratch: Scratch, edge: tuple[int, int, bool], rows: int) -> None:
    """Multiply the products of a node by the factors of the edge to one of its children."""
    node, child, is_left = edge
    ancestor = tree.nodes.ancestor[child]
    for r in range(rows):
        side = scratch.goes_left[r] if is_left else 1.0 - scratch.goes_left[r]
        scratch.follows[child, r] = scratch.follows[ancestor, r] * side
    cover, cover_before = tree.nodes.cover[child], tree.nodes.cover[ancestor]
    left_before = cover / cover_before if cover_before > 0.0 else 0.0
    for q in range(tree.point_count):
        t, inverse_before = tree.quadrature.points[q], scratch.inverse_terms[ancestor, q]
        term = t + (1.0 - t) * cover
        scratch.inverse_terms[child, q] = 1.0 / term
        follows, leaves = term * inverse_before, (1.0 - t) * cover * inverse_before
        for r in range(rows):
            factor = follows if scratch.follows[child, r] > 0.5 else leaves
            factor = factor if scratch.follows[ancestor, r] > 0.5 else left_before
            scratch.products[child, q, r] = scratch.products[node, q, r] * factor


@inlined
def _ascend(tree: Tree, scratch: Scratch, shares: np.ndarray, rows: int) -> None:
    for k in range(max(tree.split_count, 1), tree.node_count):  # a root that is a leaf has no edge
        leaf = tree.nodes.splits_first[k]
        for q in range(tree.point_count):
            for r in range(rows):
                scratch.products[leaf, q, r] *= tree.nodes.leaf_value[leaf]
        _count_edge(tree, scratch, leaf, shares, rows)
    for k in range(tree.split_count - 1, 0, -1):
        node = tree.nodes.splits_first[k]
        right = tree.nodes.right_child[node]
        for q in range(tree.point_count):
            for r in range(rows):
                scratch.products[node, q, r] = scratch.products[node + 1, q, r] + scratch.products[right, q, r]
        _count_edge(tree, scratch, node, shares, rows)


@inlined
def _count_edge(tree: Tree, scratch: Scratch, node: int, shares: np.ndarray, rows: int) -> None:
    """Add the sum of the leaves below an edge, by its weight, to the share of its signal."""
    ancestor = tree.nodes.ancestor[node]
    for part in range(PARTIAL_SUMS):
        for r in range(rows):
            scratch.sums[part, r] = 0.0
    for q in range(tree.point_count):
        inverse_before, part = scratch.inverse_terms[ancestor, q], q % PARTIAL_SUMS
        follows = scratch.inverse_terms[node, q] * inverse_before
        leaves = tree.quadrature.inverse_complements[q] * inverse_before
        for r in range(rows):
            weight = follows if scratch.follows[node, r] > 0.5 else leaves
            scratch.sums[part, r] += scratch.products[node, q, r] * weight
    signal, gain = tree.nodes.edge_signal[node], tree.nodes.cover[ancestor] - tree.nodes.cover[node]
    for r in range(rows):
        total = (scratch.sums[0, r] + scratch.sums[2, r]) + (scratch.sums[1, r] + scratch.sums[3, r])
        shares[signal, r] += total * (gain if scratch.follows[node, r] > 0.5 else -scratch.follows[ancestor, r])
