"""Lanes: numbers that the processor takes together, as a type that numba compiles to one register (or two, or four).

Loops that a compiler must first find to be free of overlaps are slower than vectors that are told to be vectors.
"""

# pyright: reportIncompatibleMethodOverride=false, reportOptionalMemberAccess=false, reportArgumentType=false
# (numba's extensions are made of functions that never run as they stand)

import operator
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.extending import models, overload, register_model

from serving.treeshap.lightgbm_parser import LANES

DOUBLE, VECTOR, INDEX = ir.DoubleType(), ir.VectorType(ir.DoubleType(), LANES), ir.IntType(32)
UNALIGNED = 8
intrinsic: Any = extending.intrinsic  # what it makes is called without its first argument


class Lanes(types.Type):
    """The type: LANES numbers."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


lanes = Lanes()


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


@intrinsic
def at(typing: Any, array: Any, place: Any) -> Any:  # noqa: ARG001
    """One element of an array of one dimension. What an index below 0 means is not asked: that is half a short walk."""

    def build(context: Any, builder: Any, _: Any, given: Any) -> Any:
        data = context.make_array(array)(context, builder, given[0]).data
        return builder.load(builder.gep(data, [given[1]]))

    return array.dtype(array, place), build


@intrinsic
def put(typing: Any, array: Any, place: Any, value: Any) -> Any:  # noqa: ARG001
    """Write one element of an array of one dimension, in the way of `at`."""

    def build(context: Any, builder: Any, _: Any, given: Any) -> Any:
        data = context.make_array(array)(context, builder, given[0]).data
        builder.store(given[2], builder.gep(data, [given[1]]))
        return context.get_dummy_value()

    return types.void(array, place, array.dtype), build


@intrinsic
def load(typing: Any, array: Any, start: Any) -> Any:  # noqa: ARG001
    """The numbers of an array of one dimension from `start` on."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.load(_place(context, builder, signature, given), align=UNALIGNED)

    return lanes(array, start), build


@intrinsic
def store(typing: Any, array: Any, start: Any, value: Any) -> Any:  # noqa: ARG001
    """Write the numbers to an array of one dimension, from `start` on."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        builder.store(given[2], _place(context, builder, signature, given), align=UNALIGNED)
        return context.get_dummy_value()

    return types.void(array, start, value), build


@intrinsic
def every(typing: Any, value: Any) -> Any:  # noqa: ARG001
    """The same number in every lane."""

    def build(_context: Any, builder: Any, _: Any, given: Any) -> Any:
        one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), given[0], ir.Constant(INDEX, 0))
        return builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), _order([0] * LANES))

    return lanes(types.float64), build


@intrinsic
def choose(typing: Any, flags: Any, yes: Any, no: Any) -> Any:  # noqa: ARG001
    """Lane by lane `yes` where the flag is 1, `no` where it is 0."""

    def build(_context: Any, builder: Any, _: Any, given: Any) -> Any:
        half = ir.Constant(VECTOR, [0.5] * LANES)
        return builder.select(builder.fcmp_ordered(">", given[0], half), given[1], given[2])

    return lanes(lanes, lanes, lanes), build


@intrinsic
def at_most(typing: Any, values: Any, most: Any) -> Any:  # noqa: ARG001
    """Flags: 1 where a value is at most this, 0 where it is more or NaN."""
    return lanes(lanes, lanes), _flags("<=", ordered=True)


@intrinsic
def not_above(typing: Any, values: Any, most: Any) -> Any:  # noqa: ARG001
    """Flags: 1 where a value is at most this or NaN, 0 where it is more."""
    return lanes(lanes, lanes), _flags("<=", ordered=False)


@intrinsic
def total(typing: Any, value: Any) -> Any:  # noqa: ARG001
    """The sum of the lanes: of those LANES / 2 apart, then of those half as far, until one is left."""

    def build(_context: Any, builder: Any, _: Any, given: Any) -> Any:
        left, width = given[0], LANES
        while width > 1:
            width //= 2
            halves = [builder.shuffle_vector(left, left, _order(range(s, s + width))) for s in (0, width)]
            left = builder.fadd(*halves)
        return builder.extract_element(left, ir.Constant(INDEX, 0))

    return types.float64(lanes), build


def _operation(name: str) -> Any:
    @intrinsic
    def operation(typing: Any, one: Any, other: Any) -> Any:  # noqa: ARG001
        def build(_context: Any, builder: Any, _: Any, given: Any) -> Any:
            return getattr(builder, name)(*given)

        return lanes(lanes, lanes), build

    return operation


def _overload(symbol: Any, name: str) -> None:
    operation = _operation(name)

    @overload(symbol)
    def applied(one, other):  # numba compares its signature with that of what it returns
        if isinstance(one, Lanes) and isinstance(other, Lanes):
            return lambda one, other: operation(one, other)  # noqa: PLW0108 - numba compiles a function of Python's
        return None


for _symbol, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _overload(_symbol, _name)


def _flags(comparison: str, *, ordered: bool) -> Any:
    def build(_context: Any, builder: Any, _: Any, given: Any) -> Any:
        compare = builder.fcmp_ordered if ordered else builder.fcmp_unordered
        return builder.uitofp(compare(comparison, *given), VECTOR)

    return build


def _order(places: Any) -> Any:
    found = list(places)
    return ir.Constant(ir.VectorType(INDEX, len(found)), found)


def _place(context: Any, builder: Any, signature: Any, given: Any) -> Any:
    """Where in memory the array of the first argument has the element of the second."""
    kind = signature.args[0]
    data = context.make_array(kind)(context, builder, given[0]).data
    return builder.bitcast(builder.gep(data, [given[1]]), VECTOR.as_pointer())
