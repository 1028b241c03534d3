"""The walks of the driver kernel: each signal's exact share of a margin (TreeSHAP), in the Python that numba compiles.

The Shapley values of a tree are integrals over t in [0, 1] of its game's multilinear extension (Owen, 1972): a leaf of
value v gives signal i of its path v (o_i - z_i) times the integral of the product over the path's other signals j of
(t o_j + (1 - t) z_j). There o_j is 1 where the row follows every edge that asks j and else 0, z_j the share of training
rows that follow them. For d signals the product has degree d - 1, so Gauss-Legendre quadrature at ceil(d / 2) points is
exact. One walk down a tree multiplies the terms at those points, one walk up sums the leaves below every edge. Nothing
is unwound as in TreeSHAP (Lundberg et al., 2020), and no term of a product is negative.

A row alone and a row among many go through the same operations in the same order: their shares are equal to the bit.
"""

# pyright: reportArgumentType=false, reportPrivateImportUsage=false
# (to numba an array's element is a number)

# Loops over plain indices are what numba turns into vector instructions; nothing is allocated, so that the machine code
# needs nothing of Python or numba to run.

from typing import Any, NamedTuple

import numpy as np
from numba import carray
from numba.extending import register_jitable

from serving.trees import AT_MOST, BLOCK, LANES, LEAF, MOST_POINTS, NOT_ABOVE, WORD, ZERO_IS_LEFT, ZERO_IS_RIGHT, Trees

SMALL = 1e-35  # what LightGBM takes for zero where zero means missing
LEFT_NOW, FOLLOWS, LEFT_BEFORE = 0, 1, 2


class Quadrature(NamedTuple):
    """Gauss-Legendre points and weights on [0, 1]: row n holds the n of them, filled up with points of weight 0."""

    points: np.ndarray
    weights: np.ndarray


class Tree(NamedTuple):
    """Which nodes are a tree's, and at how many points it is integrated."""

    first: int
    nodes: int
    degree: int


class Terms(NamedTuple):
    """Per edge and point what a row's product is multiplied by and what the sum below counts for its signal.

    Shape (nodes, points, 3), the last for LEFT_NOW, FOLLOWS, LEFT_BEFORE: the row leaves the path here, follows it, or
    has already left it at an edge above that asked the same signal.
    """

    factors: np.ndarray
    counts: np.ndarray


class Alone(NamedTuple):
    """Room for one row's walk: products, terms and counts (nodes, points), follows (nodes,)."""

    products: np.ndarray
    terms: np.ndarray
    counts: np.ndarray
    follows: np.ndarray


class Space(NamedTuple):
    """Room for a block's walk: products (nodes, points, rows), follows (nodes, rows), sides and sums (rows,)."""

    products: np.ndarray
    follows: np.ndarray
    sides: np.ndarray
    sums: np.ndarray


@register_jitable(forceinline=True)
def _term(t: float, follows: float, cover: float) -> float:
    return t * follows + (1.0 - t) * cover


@register_jitable(forceinline=True)
def _count(t: float, follows: float, cover: float) -> float:
    term = _term(t, follows, cover)
    # Where no training row went, the product is 0 for whoever does not go there either.
    return (follows - cover) / term if term > 0.0 else 0.0


@register_jitable(forceinline=True)
def _ratio(term: float, before: float) -> float:
    return term / before if before > 0.0 else 0.0


@register_jitable(forceinline=True)
def _prepare(trees: Trees, tree: Tree, points: np.ndarray, terms: Terms) -> None:
    for node in range(1, tree.nodes):
        cover, earlier = trees.cover[tree.first + node], trees.earlier[tree.first + node]
        before = trees.cover[tree.first + earlier]
        for q in range(tree.degree):
            t = points[q]
            away, along = _term(t, 0.0, cover), _term(t, 1.0, cover)
            count_away, count_along = _count(t, 0.0, cover), _count(t, 1.0, cover)
            factors, counts = terms.factors[node, q], terms.counts[node, q]
            if earlier == 0:
                factors[LEFT_NOW], factors[FOLLOWS] = away, along
                counts[LEFT_NOW], counts[FOLLOWS] = count_away, count_along
            else:
                # The term and the count of the edge above that asked the same signal give way to this edge's.
                was_away, was_along = _term(t, 0.0, before), _term(t, 1.0, before)
                factors[LEFT_NOW], factors[FOLLOWS] = _ratio(away, was_along), _ratio(along, was_along)
                factors[LEFT_BEFORE] = _ratio(away, was_away)
                counts[LEFT_NOW] = count_away - _count(t, 1.0, before)
                counts[FOLLOWS] = count_along - _count(t, 1.0, before)
                counts[LEFT_BEFORE] = count_away - _count(t, 0.0, before)


@register_jitable(forceinline=True)
def _descend(  # noqa: PLR0913, PLR0917 - numba takes no keywords here
    trees: Trees, tree: Tree, terms: Terms, space: Space, weights: np.ndarray, matrix: np.ndarray
) -> None:
    """Multiply the terms along every path; a leaf's product is multiplied by its value."""
    rows = matrix.shape[1]
    for q in range(tree.degree):
        for r in range(rows):
            space.products[0, q, r] = weights[q]
    for node in range(tree.nodes):
        signal = trees.signal[tree.first + node]
        if signal == LEAF:
            value = trees.value[tree.first + node]
            for q in range(tree.degree):
                for r in range(rows):
                    space.products[node, q, r] *= value
        else:
            _choose(trees, tree.first + node, matrix[signal], space.sides)
            _step(trees, tree, terms, space, node, node + 1, rows)
            for r in range(rows):
                space.sides[r] = 1.0 - space.sides[r]
            _step(trees, tree, terms, space, node, trees.right[tree.first + node], rows)


@register_jitable(forceinline=True)
def _step(  # noqa: PLR0913, PLR0917
    trees: Trees, tree: Tree, terms: Terms, space: Space, node: int, child: int, rows: int
) -> None:
    earlier, products = trees.earlier[tree.first + child], space.products
    follows, sums = space.follows[child], space.sums
    if earlier == 0:
        for r in range(rows):
            follows[r] = space.sides[r]
        for q in range(tree.degree):
            away, along = terms.factors[child, q, LEFT_NOW], terms.factors[child, q, FOLLOWS]
            for r in range(rows):
                products[child, q, r] = products[node, q, r] * (along if follows[r] > 0.5 else away)
    else:
        for r in range(rows):
            follows[r] = space.follows[earlier, r] * space.sides[r]
            sums[r] = space.follows[earlier, r] + follows[r]
        for q in range(tree.degree):
            away, along = terms.factors[child, q, LEFT_NOW], terms.factors[child, q, FOLLOWS]
            before = terms.factors[child, q, LEFT_BEFORE]
            for r in range(rows):
                factor = along if sums[r] > 1.5 else (away if sums[r] > 0.5 else before)
                products[child, q, r] = products[node, q, r] * factor


@register_jitable(forceinline=True)
def _ascend(trees: Trees, tree: Tree, terms: Terms, space: Space, shares: np.ndarray) -> None:
    """Sum the leaves below every edge and count them for the signal that the edge asks."""
    rows, products, sums = shares.shape[1], space.products, space.sums
    for node in range(tree.nodes - 1, 0, -1):
        at = tree.first + node
        if trees.signal[at] != LEAF:
            right = trees.right[at]
            for q in range(tree.degree):
                for r in range(rows):
                    products[node, q, r] = products[node + 1, q, r] + products[right, q, r]
        _sum(trees.earlier[at], tree.degree, node, terms.counts, space, rows)
        signal = trees.signal[tree.first + trees.above[at]]
        for r in range(rows):
            shares[signal, r] += sums[r]


@register_jitable(forceinline=True)
def _sum(  # noqa: PLR0913, PLR0917
    earlier: int, degree: int, node: int, counts: np.ndarray, space: Space, rows: int
) -> None:
    """Set the space's `sums` to what the leaves below an edge count for its signal."""
    products, follows, sums, state = space.products, space.follows, space.sums, space.sides
    for r in range(rows):
        sums[r] = 0.0
    if earlier == 0:
        for q in range(degree):
            away, along = counts[node, q, LEFT_NOW], counts[node, q, FOLLOWS]
            for r in range(rows):
                sums[r] += products[node, q, r] * (along if follows[node, r] > 0.5 else away)
    else:
        for r in range(rows):
            state[r] = follows[node, r] + follows[earlier, r]
        for q in range(degree):
            away, along = counts[node, q, LEFT_NOW], counts[node, q, FOLLOWS]
            before = counts[node, q, LEFT_BEFORE]
            for r in range(rows):
                count = along if state[r] > 1.5 else (away if state[r] > 0.5 else before)
                sums[r] += products[node, q, r] * count


@register_jitable(forceinline=True)
def _choose(trees: Trees, node: int, values: np.ndarray, sides: np.ndarray) -> None:
    """Set `sides` to 1 for the rows that go left at a split. Every comparison with NaN is false, and meant to be."""
    rule, threshold, rows = trees.rule[node], trees.threshold[node], len(values)
    if rule == AT_MOST:
        for r in range(rows):
            sides[r] = 1.0 if values[r] <= threshold else 0.0
    elif rule == NOT_ABOVE:
        for r in range(rows):
            sides[r] = 0.0 if values[r] > threshold else 1.0
    else:
        for r in range(rows):
            sides[r] = 1.0 if _goes_left(trees, node, values[r]) else 0.0


@register_jitable(forceinline=True)
def _goes_left(trees: Trees, node: int, value: float) -> bool:
    rule, threshold = trees.rule[node], trees.threshold[node]
    if rule == AT_MOST:
        return value <= threshold
    if rule == NOT_ABOVE:
        return not value > threshold
    if rule == ZERO_IS_LEFT:
        return not (value > threshold and abs(value) > SMALL)
    if rule == ZERO_IS_RIGHT:
        return value <= threshold and abs(value) > SMALL
    if not (value > -1.0 and value < trees.sets[node, 1] * WORD):
        return False
    code = int(value)
    word = trees.bits[trees.sets[node, 0] + code // WORD]
    return (word >> np.uint32(code % WORD)) & np.uint32(1) != 0


@register_jitable(forceinline=True)
def _descend_alone(trees: Trees, tree: Tree, space: Alone, points: np.ndarray, values: np.ndarray) -> None:
    for node in range(tree.nodes):
        signal = trees.signal[tree.first + node]
        if signal == LEAF:
            value = trees.value[tree.first + node]
            for lane in range(0, tree.degree, LANES):
                for q in range(lane, lane + LANES):
                    space.products[node, q] *= value
        else:
            side = 1.0 if _goes_left(trees, tree.first + node, values[signal]) else 0.0
            _step_alone(trees, tree, space, points, node, node + 1, side)
            _step_alone(trees, tree, space, points, node, trees.right[tree.first + node], 1.0 - side)


@register_jitable(forceinline=True)
def _step_alone(  # noqa: PLR0913, PLR0917
    trees: Trees, tree: Tree, space: Alone, points: np.ndarray, node: int, child: int, side: float
) -> None:
    products, terms, counts, follows = space.products, space.terms, space.counts, space.follows
    cover, earlier = trees.cover[tree.first + child], trees.earlier[tree.first + child]
    follow = follows[child] = side if earlier == 0 else side * follows[earlier]
    for lane in range(0, tree.degree, LANES):
        for q in range(lane, lane + LANES):
            t = points[q]
            term = _term(t, follow, cover)
            counts[child, q] = (follow - cover) / term if term > 0.0 else 0.0
            factor = term if earlier == 0 else _ratio(term, terms[earlier, q])
            products[child, q] = products[node, q] * factor
            terms[child, q] = term


@register_jitable(forceinline=True)
def _ascend_alone(trees: Trees, tree: Tree, space: Alone, shares: np.ndarray) -> None:
    products, counts = space.products, space.counts
    for node in range(tree.nodes - 1, 0, -1):
        at = tree.first + node
        if trees.signal[at] != LEAF:
            right = trees.right[at]
            for q in range(tree.degree):
                products[node, q] = products[node + 1, q] + products[right, q]
        earlier, total = trees.earlier[at], 0.0
        for q in range(tree.degree):
            before = 0.0 if earlier == 0 else counts[earlier, q]
            total += products[node, q] * (counts[node, q] - before)
        shares[trees.signal[tree.first + trees.above[at]]] += total


# fmt: off
def walk(  # noqa: PLR0913, PLR0917 - machine code is called with plain pointers and counts
    starts: Any, degrees: Any, signal: Any, rule: Any, threshold: Any, sets: Any, bits: Any, above: Any, right: Any,
    earlier: Any, cover: Any, value: Any, expected: Any, points: Any, weights: Any, matrix: Any, shares: Any,
    products: Any, terms: Any, counts: Any, lines: Any,
    many: int, nodes: int, words: int, most: int, signals: int, rows: int, alone: int,
) -> None:
    """Add each signal's share of the margin of every row: the arrays of Trees, the quadrature's, matrix, shares, room.

    Matrix and shares are (signals, rows), or (rows, signals) where each row walks `alone`. `many` is how many trees
    there are, `most` the nodes of the largest.
    """
    trees = Trees(
        carray(starts, many + 1),
        carray(degrees, many),
        carray(signal, nodes),
        carray(rule, nodes),
        carray(threshold, nodes),
        carray(sets, (nodes, 2)),
        carray(bits, words),
        carray(above, nodes),
        carray(right, nodes),
        carray(earlier, nodes),
        carray(cover, nodes),
        carray(value, nodes),
        carray(expected, 1),
    )
    integral = Quadrature(
        carray(points, (MOST_POINTS + 1, MOST_POINTS)), carray(weights, (MOST_POINTS + 1, MOST_POINTS))
    )
    if alone:
        one = Alone(
            carray(products, (most, MOST_POINTS)),
            carray(terms, (most, MOST_POINTS)),
            carray(counts, (most, MOST_POINTS)),
            carray(lines, most),
        )
        _walk_alone(trees, integral, one, carray(matrix, (rows, signals)), carray(shares, (rows, signals)))
    else:
        both = Terms(carray(terms, (most, MOST_POINTS, 3)), carray(counts, (most, MOST_POINTS, 3)))
        rest = carray(lines, (most + 2, BLOCK))
        space = Space(carray(products, (most, MOST_POINTS, BLOCK)), rest[2:], rest[0], rest[1])
        _walk_together(trees, integral, both, space, carray(matrix, (signals, rows)), carray(shares, (signals, rows)))
# fmt: on


@register_jitable(forceinline=True)
def _walk_together(  # noqa: PLR0913, PLR0917
    trees: Trees, integral: Quadrature, terms: Terms, space: Space, matrix: np.ndarray, shares: np.ndarray
) -> None:
    rows = matrix.shape[1]
    for number in range(len(trees.degrees)):
        first, degree = trees.starts[number], trees.degrees[number]
        tree = Tree(first, trees.starts[number + 1] - first, degree)
        _prepare(trees, tree, integral.points[degree], terms)
        for start in range(0, rows, BLOCK):
            end = min(start + BLOCK, rows)
            _descend(trees, tree, terms, space, integral.weights[degree], matrix[:, start:end])
            _ascend(trees, tree, terms, space, shares[:, start:end])


@register_jitable(forceinline=True)
def _walk_alone(trees: Trees, integral: Quadrature, space: Alone, matrix: np.ndarray, shares: np.ndarray) -> None:
    for row in range(len(matrix)):
        for number in range(len(trees.degrees)):
            first, degree = trees.starts[number], trees.degrees[number]
            tree = Tree(first, trees.starts[number + 1] - first, (degree + LANES - 1) // LANES * LANES)
            for q in range(tree.degree):
                space.products[0, q] = integral.weights[degree, q]
            _descend_alone(trees, tree, space, integral.points[degree], matrix[row])
            _ascend_alone(trees, tree, space, shares[row])
