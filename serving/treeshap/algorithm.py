"""The walks of the driver kernel: each signal's exact share of a margin (TreeSHAP), in the Python that numba compiles.

The Shapley values of a tree are integrals over t in [0, 1] of its game's multilinear extension (Owen, 1972): a leaf of
value v gives signal i of its path v (o_i - z_i) times the integral of the product over the path's other signals j of
(t o_j + (1 - t) z_j). There o_j is 1 where the row follows every edge that asks j and else 0, z_j the share of training
rows that follow them. For d signals the product has degree d - 1, so Gauss-Legendre quadrature at ceil(d / 2) points is
exact. One walk down a tree multiplies the terms at those points, one walk up sums the leaves below every edge. Nothing
is unwound as in TreeSHAP (Lundberg et al., 2020), and no term of a product is negative.

What an edge does to a row's product at point t, and what the sum below it counts, is said with z of the edge, e of the
edge above that asked the same signal (1 where none did) and a(z) = t + (1 - t) z:

    the row               multiply by               count
    follows it            a(z) / a(e)               (e - z) / (a(z) a(e))
    leaves here           (1 - t) z / a(e)          -1 / ((1 - t) a(e))
    left at e already     z / e                     0

A row alone and a row among many go through the same operations in the same order: their shares are equal to the bit.
"""

# pyright: reportArgumentType=false, reportPrivateImportUsage=false
# (to numba an array's element is a number)

# Nothing is allocated, so that the machine code needs nothing of Python or numba to run.

from typing import Any, NamedTuple

import numpy as np
from numba import carray
from numba.extending import register_jitable

from serving.treeshap.lightgbm_parser import (
    AT_MOST,
    LANES,
    MOST_POINTS,
    NOT_ABOVE,
    WORD,
    ZERO_IS_LEFT,
    ZERO_IS_RIGHT,
    Trees,
)
from serving.treeshap.simd import at, at_most, choose, every, load, not_above, put, store, total

SMALL = 1e-35  # what LightGBM takes for zero where zero means missing
PRODUCT, INVERSE, COUNT = 0, 1, 2  # of a row alone: its product, 1 / a(z), and what is counted but for its scale
ALONG, AWAY, COUNT_ALONG, COUNT_AWAY = 0, 1, 2, 3  # of any row: what it is multiplied by, what is counted likewise


class Tree(NamedTuple):
    """One of the trees (see `Trees`), how many splits it has, and at how many points it is integrated."""

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
    order: np.ndarray
    nodes: int
    splits: int
    degree: int


class Integral(NamedTuple):
    """The quadrature of one tree: points t, their weights, and 1 / (1 - t)."""

    points: np.ndarray
    weights: np.ndarray
    inverse: np.ndarray


class Alone(NamedTuple):
    """Room for one row's walk: figures (nodes, 3, points), and per node its scale and whether the row follows it."""

    figures: np.ndarray
    scales: np.ndarray
    follows: np.ndarray


class Together(NamedTuple):
    """Room for a block's walk: what holds of every row, `terms` (nodes, points, 4), `scales` and `before` (nodes,);

    and of each, `products` (nodes, points, rows), `own` scales and `follows` (nodes, rows).
    """

    terms: np.ndarray
    scales: np.ndarray
    before: np.ndarray
    products: np.ndarray
    own: np.ndarray
    follows: np.ndarray


@register_jitable(forceinline=True)
def _goes_left(tree: Tree, node: int, value: float) -> bool:
    """Whether a value goes left at a split. Every comparison with NaN is false, and meant to be."""
    rule, threshold = at(tree.rule, node), at(tree.threshold, node)
    if rule <= NOT_ABOVE:
        within, above = value <= threshold, value > threshold
        return within if rule == AT_MOST else not above
    if rule == ZERO_IS_LEFT:
        return not (value > threshold and abs(value) > SMALL)
    if rule == ZERO_IS_RIGHT:
        return value <= threshold and abs(value) > SMALL
    first, words = at(tree.sets, 2 * node), at(tree.sets, 2 * node + 1)
    if not (value > -1.0 and value < words * WORD):
        return False
    code = int(value)
    word = at(tree.bits, first + code // WORD)
    return (word >> np.uint32(code % WORD)) & np.uint32(1) != 0


@register_jitable(forceinline=True)
def _descend_alone(tree: Tree, room: Alone, integral: Integral, values: np.ndarray) -> None:
    for place in range(tree.splits):
        node = at(tree.order, place)
        goes_left = _goes_left(tree, node, at(values, at(tree.signal, node)))
        left, right = node + 1, at(tree.right, node)
        along, away = (left, right) if goes_left else (right, left)
        earlier = at(tree.earlier, left)
        if at(room.follows, earlier) > 0.5:
            _part(tree, room, integral, (node, earlier, along, away))
        else:
            _left_before(tree, room, node, earlier, left)
            _left_before(tree, room, node, earlier, right)


@register_jitable(forceinline=True)
def _part(tree: Tree, room: Alone, integral: Integral, nodes: tuple[int, int, int, int]) -> None:
    """The row follows the edge to `along` and leaves the path to `away`."""
    node, earlier, along, away = nodes
    degree, figures = tree.degree, room.figures
    cover, left = at(tree.cover, along), at(tree.cover, away)
    for q in range(0, degree, LANES):
        points = load(integral.points, q)
        rest = every(1.0) - points
        parent = load(figures, node * 3 * degree + q)
        before = load(figures, (earlier * 3 + INVERSE) * degree + q)
        term = points + rest * every(cover)
        inverse, count_away = every(1.0) / term, load(integral.inverse, q) * before
        store(figures, along * 3 * degree + q, parent * (term * before))
        store(figures, (along * 3 + INVERSE) * degree + q, inverse)
        store(figures, (along * 3 + COUNT) * degree + q, inverse * before)
        store(figures, away * 3 * degree + q, parent * ((rest * every(left)) * before))
        store(figures, (away * 3 + COUNT) * degree + q, count_away)
    put(room.scales, along, at(tree.cover, earlier) - cover)
    put(room.scales, away, -1.0)
    put(room.follows, along, 1.0)
    put(room.follows, away, 0.0)


@register_jitable(forceinline=True)
def _left_before(tree: Tree, room: Alone, node: int, earlier: int, child: int) -> None:
    degree, figures, before = tree.degree, room.figures, at(tree.cover, earlier)
    ratio = every(at(tree.cover, child) / before if before > 0.0 else 0.0)
    for q in range(0, degree, LANES):
        store(figures, child * 3 * degree + q, load(figures, node * 3 * degree + q) * ratio)
    put(room.scales, child, 0.0)
    put(room.follows, child, 0.0)


@register_jitable(forceinline=True)
def _ascend_alone(tree: Tree, room: Alone, shares: np.ndarray) -> None:
    degree, figures = tree.degree, room.figures
    for place in range(max(tree.splits, 1), tree.nodes):  # a root that is a leaf has no edge
        leaf = at(tree.order, place)
        value, counted = every(at(tree.value, leaf)), 0.0
        for q in range(0, degree, LANES):
            product = load(figures, leaf * 3 * degree + q) * value
            store(figures, leaf * 3 * degree + q, product)
            counted += total(product * load(figures, (leaf * 3 + COUNT) * degree + q))
        signal = at(tree.asked, leaf)
        put(shares, signal, at(shares, signal) + counted * at(room.scales, leaf))
    for place in range(tree.splits - 1, 0, -1):
        node = at(tree.order, place)
        right, counted = at(tree.right, node), 0.0
        for q in range(0, degree, LANES):
            product = load(figures, (node + 1) * 3 * degree + q) + load(figures, right * 3 * degree + q)
            store(figures, node * 3 * degree + q, product)
            counted += total(product * load(figures, (node * 3 + COUNT) * degree + q))
        signal = at(tree.asked, node)
        put(shares, signal, at(shares, signal) + counted * at(room.scales, node))


@register_jitable(forceinline=True)
def _prepare(tree: Tree, integral: Integral, room: Together) -> None:
    for node in range(1, tree.nodes):
        cover, earlier = at(tree.cover, node), at(tree.earlier, node)
        before = at(tree.cover, earlier)
        put(room.scales, node, before - cover)
        put(room.before, node, cover / before if before > 0.0 else 0.0)
        for q in range(tree.degree):
            t, place = at(integral.points, q), (node * tree.degree + q) * 4
            was = 1.0 if earlier == 0 else 1.0 / (t + (1.0 - t) * before)
            term = t + (1.0 - t) * cover
            put(room.terms, place + ALONG, term * was)
            put(room.terms, place + AWAY, (1.0 - t) * cover * was)
            put(room.terms, place + COUNT_ALONG, (1.0 / term) * was)
            put(room.terms, place + COUNT_AWAY, at(integral.inverse, q) * was)


@register_jitable(forceinline=True)
def _descend(tree: Tree, room: Together, values: np.ndarray) -> None:
    for place in range(tree.splits):
        node = at(tree.order, place)
        left = _sides(tree, room, node, values)
        earlier = at(tree.earlier, node + 1)
        if earlier == 0:
            _step(tree, room, node, node + 1, left)
            _step(tree, room, node, at(tree.right, node), every(1.0) - left)
        else:
            followed = load(room.follows, earlier * LANES)
            _step_again(tree, room, node, node + 1, (left, followed))
            _step_again(tree, room, node, at(tree.right, node), (every(1.0) - left, followed))


@register_jitable(forceinline=True)
def _sides(tree: Tree, room: Together, node: int, values: np.ndarray) -> Any:
    """Flags of the rows that go left at a split."""
    rule, first = at(tree.rule, node), at(tree.signal, node) * LANES
    if rule == AT_MOST:
        return at_most(load(values, first), every(at(tree.threshold, node)))
    if rule == NOT_ABOVE:
        return not_above(load(values, first), every(at(tree.threshold, node)))
    for r in range(LANES):  # the root has no scales of its own
        put(room.own, r, 1.0 if _goes_left(tree, node, at(values, first + r)) else 0.0)
    return load(room.own, 0)


@register_jitable(forceinline=True)
def _step(tree: Tree, room: Together, node: int, child: int, side: Any) -> None:
    degree, products = tree.degree, room.products
    for q in range(degree):
        term = (child * degree + q) * 4
        factor = choose(side, every(at(room.terms, term + ALONG)), every(at(room.terms, term + AWAY)))
        store(products, (child * degree + q) * LANES, load(products, (node * degree + q) * LANES) * factor)
    store(room.follows, child * LANES, side)
    store(room.own, child * LANES, choose(side, every(at(room.scales, child)), every(-1.0)))


@register_jitable(forceinline=True)
def _step_again(tree: Tree, room: Together, node: int, child: int, flags: Any) -> None:
    """A step where an edge above asked the same signal: only a row that followed that one can leave here."""
    (side, followed), degree, products = flags, tree.degree, room.products
    before = every(at(room.before, child))
    for q in range(degree):
        term = (child * degree + q) * 4
        factor = choose(side, every(at(room.terms, term + ALONG)), every(at(room.terms, term + AWAY)))
        factor = choose(followed, factor, before)
        store(products, (child * degree + q) * LANES, load(products, (node * degree + q) * LANES) * factor)
    store(room.follows, child * LANES, followed * side)
    scales = choose(side, every(at(room.scales, child)), every(-1.0))
    store(room.own, child * LANES, choose(followed, scales, every(0.0)))


@register_jitable(forceinline=True)
def _ascend(tree: Tree, room: Together, shares: np.ndarray) -> None:
    """Sum the leaves below every edge and count them for the signal that the edge asks."""
    degree, products = tree.degree, room.products
    for place in range(max(tree.splits, 1), tree.nodes):  # a root that is a leaf has no edge
        leaf = at(tree.order, place)
        value, follows = every(at(tree.value, leaf)), load(room.follows, leaf * LANES)
        counted, sums = every(0.0), _none()
        for q in range(degree):
            mine = leaf * degree + q
            product = load(products, mine * LANES) * value
            store(products, mine * LANES, product)
            sums = sums[1], sums[2], sums[3], sums[0] + product * _counts(room, mine, follows)
            if q == degree - 1 or q % LANES == LANES - 1:
                counted, sums = counted + _sum(sums), _none()
        _share(tree, room, leaf, counted, shares)
    for place in range(tree.splits - 1, 0, -1):
        node = at(tree.order, place)
        left, right, follows = (node + 1) * degree, at(tree.right, node) * degree, load(room.follows, node * LANES)
        counted, sums = every(0.0), _none()
        for q in range(degree):
            mine = node * degree + q
            product = load(products, (left + q) * LANES) + load(products, (right + q) * LANES)
            store(products, mine * LANES, product)
            sums = sums[1], sums[2], sums[3], sums[0] + product * _counts(room, mine, follows)
            if q == degree - 1 or q % LANES == LANES - 1:
                counted, sums = counted + _sum(sums), _none()
        _share(tree, room, node, counted, shares)


@register_jitable(forceinline=True)
def _counts(room: Together, place: int, follows: Any) -> Any:
    along, away = at(room.terms, place * 4 + COUNT_ALONG), at(room.terms, place * 4 + COUNT_AWAY)
    return choose(follows, every(along), every(away))


@register_jitable(forceinline=True)
def _none() -> Any:
    return every(0.0), every(0.0), every(0.0), every(0.0)


@register_jitable(forceinline=True)
def _sum(sums: Any) -> Any:
    """In the order of `total`: four sums went round, and it is all the same where they ended."""
    return (sums[0] + sums[2]) + (sums[1] + sums[3])


@register_jitable(forceinline=True)
def _share(tree: Tree, room: Together, node: int, counted: Any, shares: np.ndarray) -> None:
    place = at(tree.asked, node) * LANES
    store(shares, place, load(shares, place) + counted * load(room.own, node * LANES))


# fmt: off
def walk(  # noqa: PLR0913, PLR0917 - machine code is called with plain pointers and counts
    starts: Any, degrees: Any, signal: Any, rule: Any, threshold: Any, sets: Any, bits: Any, asked: Any, right: Any,
    earlier: Any, cover: Any, value: Any, expected: Any, order: Any, points: Any, weights: Any, matrix: Any,
    shares: Any, room: Any,
    many: int, nodes: int, words: int, most: int, signals: int, rows: int, alone: int,
) -> None:
    """Add each signal's share of the margin of every row: the arrays of Trees, the quadrature's, matrix, shares, room.

    Matrix and shares are (rows, signals) where each row walks `alone`, else (blocks, signals, LANES) of `rows` blocks.
    `many` is how many trees there are, `most` the nodes of the largest.
    """
    trees = Trees(
        carray(starts, many + 1),
        carray(degrees, many),
        carray(signal, nodes),
        carray(rule, nodes),
        carray(threshold, nodes),
        carray(sets, 2 * nodes),
        carray(bits, words),
        carray(asked, nodes),
        carray(right, nodes),
        carray(earlier, nodes),
        carray(cover, nodes),
        carray(value, nodes),
        carray(expected, 1),
        carray(order, nodes),
    )
    all_points = carray(points, (MOST_POINTS + 1, MOST_POINTS))
    all_weights = carray(weights, (MOST_POINTS + 1, MOST_POINTS))
    width = signals if alone else signals * LANES
    found, given = carray(shares, (rows, width)), carray(matrix, (rows, width))
    whole = carray(room, MOST_POINTS + most * (MOST_POINTS * (4 + LANES) + 2 + 2 * LANES))  # as `room_of` says
    inverse, scratch = whole[:MOST_POINTS], whole[MOST_POINTS:]
    for number in range(many):
        degree = trees.degrees[number]
        integral = Integral(all_points[degree], all_weights[degree], inverse)
        for q in range(MOST_POINTS):
            put(inverse, q, 1.0 / (1.0 - at(integral.points, q)))
        if alone:
            tree = _tree(trees, number, (degree + LANES - 1) // LANES * LANES)
            _walk_alone(tree, integral, _alone(scratch, most), given, found)
        else:
            _walk_together(_tree(trees, number, degree), integral, _together(scratch, most), given, found)
# fmt: on


@register_jitable(forceinline=True)
def _alone(room: np.ndarray, most: int) -> Alone:
    figures = 3 * most * MOST_POINTS
    return Alone(room[:figures], room[figures : figures + most], room[figures + most : figures + 2 * most])


@register_jitable(forceinline=True)
def _together(room: np.ndarray, most: int) -> Together:
    edges = most * MOST_POINTS
    lines = room[4 * edges + 2 * most :]
    return Together(
        room[: 4 * edges],
        room[4 * edges : 4 * edges + most],
        room[4 * edges + most : 4 * edges + 2 * most],
        lines[: edges * LANES],
        lines[edges * LANES : (edges + most) * LANES],
        lines[(edges + most) * LANES :],
    )


@register_jitable(forceinline=True)
def _tree(trees: Trees, number: int, degree: int) -> Tree:
    first, end = trees.starts[number], trees.starts[number + 1]
    return Tree(
        trees.signal[first:end],
        trees.rule[first:end],
        trees.threshold[first:end],
        trees.sets[2 * first : 2 * end],
        trees.bits,
        trees.asked[first:end],
        trees.right[first:end],
        trees.earlier[first:end],
        trees.cover[first:end],
        trees.value[first:end],
        trees.order[first:end],
        end - first,
        (end - first) // 2,
        degree,
    )


@register_jitable(forceinline=True)
def _walk_alone(tree: Tree, integral: Integral, room: Alone, matrix: np.ndarray, shares: np.ndarray) -> None:
    for row in range(len(matrix)):
        for q in range(tree.degree):
            put(room.figures, q, at(integral.weights, q))
            put(room.figures, INVERSE * tree.degree + q, 1.0)
        put(room.follows, 0, 1.0)
        _descend_alone(tree, room, integral, matrix[row])
        _ascend_alone(tree, room, shares[row])


@register_jitable(forceinline=True)
def _walk_together(tree: Tree, integral: Integral, room: Together, matrix: np.ndarray, shares: np.ndarray) -> None:
    _prepare(tree, integral, room)
    for block in range(len(matrix)):
        for q in range(tree.degree):
            store(room.products, q * LANES, every(at(integral.weights, q)))
        store(room.follows, 0, every(1.0))
        _descend(tree, room, matrix[block])
        _ascend(tree, room, shares[block])
