"""SIMD lanes for Numba: one value that holds a number of each of W independent pairs.

Numba's automatic vectoriser gives up on dynamic programming, because it cannot prove that the
rows of a table do not overlap. A ``Lanes`` value maps to one LLVM vector, so a cell of W pairs is
computed by vector instructions on any processor, whatever the vectoriser thinks. The operators
``+ - *`` and the functions below are all there is; :mod:`seqebm.kernels.machine.cells` compiles for
lanes unchanged.

The width W travels as the *type* of an argument, :class:`Width`, so that one source compiles to any
width. The type also names a fingerprint of the sources of all kernels: Numba's disk cache looks
only at the file of the function that it caches, and would otherwise run a stale kernel after a
change to a function that the kernel calls in another file. Arrays hold lanes contiguously.
"""

from __future__ import annotations

import hashlib
import math
import operator
from functools import cache
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.datamodel import models, register_default
from numba.extending import (
    NativeValue,
    overload,
    register_jitable,
    typeof_impl,
    unbox,
)

from seqebm.kernels.machine import cells

# Without its type: what it makes is called with the arguments after the first, which a type checker
# cannot know.
intrinsic: Any = extending.intrinsic


class LanesType(types.Type):
    """Numba type of W floats, or W whole numbers of the same size, held in one vector."""

    def __init__(self, dtype: Any, width: int) -> None:
        self.dtype = dtype
        self.width = width
        super().__init__(name=f"Lanes({dtype}, {width})")


@register_default(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: LanesType) -> None:
        bits = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}
        element = bits.get(fe_type.dtype) or ir.IntType(fe_type.dtype.bitwidth)
        super().__init__(dmm, fe_type, ir.VectorType(element, fe_type.width))


@cache
def fingerprint() -> str:
    """A short name for the exact sources of all kernels, this room's and the families'."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Width:
    """Number of lanes, as an argument of a kernel; ``len`` of it is a compile-time constant."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes

    def __len__(self) -> int:
        return self.lanes


class WidthType(types.Dummy):
    """Numba type of :class:`Width`: it has no value, only its name."""

    def __init__(self, width: int, sources: str) -> None:
        self.width = width
        super().__init__(name=f"Width({width}, {sources})")


register_default(WidthType)(models.OpaqueModel)


@typeof_impl.register(Width)
def _typeof_width(value, context):
    return WidthType(value.lanes, fingerprint())


@unbox(WidthType)
def _unbox_width(typ, obj, c):
    return NativeValue(c.context.get_dummy_value())


@overload(len)
def _length_of_width(width):
    if isinstance(width, WidthType):
        lanes = width.width
        return lambda width: lanes
    return None


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def load(typingctx, array, index, width):
    """Lanes at ``array[index : index + W]`` of a contiguous 1-D array; no bounds check."""
    lanes = LanesType(array.dtype, width.width)

    def codegen(context, builder, signature, arguments):
        vector = context.get_value_type(lanes)
        address = _address(context, builder, signature.args[0], arguments[0], arguments[1])
        address = builder.bitcast(address, vector.as_pointer())
        return builder.load(address, align=array.dtype.bitwidth // 8)

    return lanes(array, types.intp, width), codegen


@intrinsic
def store(typingctx, array, index, value):
    """Write lanes to ``array[index : index + W]`` of a contiguous 1-D array; no bounds check."""

    def codegen(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], arguments[0], arguments[1])
        address = builder.bitcast(address, arguments[2].type.as_pointer())
        builder.store(arguments[2], address, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


def _splat(builder: Any, scalar: Any, width: int) -> Any:
    vector = ir.VectorType(scalar.type, width)
    single = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    return builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), mask)


@intrinsic
def splat(typingctx, scalar, array, width):
    """The number ``scalar`` in each of W lanes, of the element type of ``array``."""
    lanes = LanesType(array.dtype, width.width)

    def codegen(context, builder, signature, arguments):
        number = context.cast(builder, arguments[0], signature.args[0], array.dtype)
        return _splat(builder, number, lanes.width)

    return lanes(scalar, array, width), codegen


def _elementwise(emit):
    """An intrinsic of lanes of one type to lanes of that type, from what emits its code."""

    def codegen(context, builder, signature, arguments):
        return emit(builder, *arguments)

    return codegen


@intrinsic
def _add(typingctx, a, b):
    # "contract" lets a processor fuse multiply and add; unlike fast-math it is safe with inf.
    return a(a, b), _elementwise(lambda bld, x, y: bld.fadd(x, y, flags=("contract",)))


@intrinsic
def _subtract(typingctx, a, b):
    return a(a, b), _elementwise(lambda bld, x, y: bld.fsub(x, y, flags=("contract",)))


@intrinsic
def _multiply(typingctx, a, b):
    return a(a, b), _elementwise(lambda bld, x, y: bld.fmul(x, y, flags=("contract",)))


@intrinsic
def _divide(typingctx, a, b):
    return a(a, b), _elementwise(lambda bld, x, y: bld.fdiv(x, y))


@intrinsic
def where_less(typingctx, a, b, then, otherwise):
    """Lane by lane, ``then`` where ``a < b`` and ``otherwise`` elsewhere (also for NaN)."""

    def emit(builder, a, b, then, otherwise):
        return builder.select(builder.fcmp_ordered("<", a, b), then, otherwise)

    return then(a, b, then, otherwise), _elementwise(emit)


@intrinsic
def _round(typingctx, a):
    def emit(builder, value):
        bits = value.type.element.intrinsic_name
        name = f"llvm.rint.v{value.type.count}{bits}"
        kind = ir.FunctionType(value.type, [value.type])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [value])

    return a(a), _elementwise(emit)


def _layout(lanes: LanesType) -> tuple[ir.IntType, int, int]:
    """(integer type of the same size, mantissa bits, exponent bias) of the element type."""
    return (ir.IntType(32), 23, 127) if lanes.dtype.bitwidth == 32 else (ir.IntType(64), 52, 1023)


@intrinsic
def _power_of_two(typingctx, a):
    """``2 ** a`` for whole ``a`` within the range of normal numbers."""
    integer, mantissa, bias = _layout(a)

    def emit(builder, value):
        whole = ir.VectorType(integer, a.width)
        exponent = builder.fptosi(value, whole)
        exponent = builder.add(exponent, ir.Constant(whole, [bias] * a.width))
        exponent = builder.shl(exponent, ir.Constant(whole, [mantissa] * a.width))
        return builder.bitcast(exponent, value.type)

    return a(a), _elementwise(emit)


@intrinsic
def _exponent(typingctx, a):
    """The power of two of each positive normal number, such that the rest is near 1."""
    integer, mantissa, bias = _layout(a)
    # Adding this before the cut rounds up from sqrt(2), which halves the range of the series.
    half = ir.Constant(ir.VectorType(integer, a.width), [_sqrt_half(mantissa)] * a.width)

    def emit(builder, value):
        whole = ir.VectorType(integer, a.width)
        bits = builder.add(builder.bitcast(value, whole), half)
        bits = builder.ashr(bits, ir.Constant(whole, [mantissa] * a.width))
        bits = builder.sub(bits, ir.Constant(whole, [bias] * a.width))
        return builder.sitofp(bits, value.type)

    return a(a), _elementwise(emit)


def _sqrt_half(mantissa: int) -> int:
    return round((2.0 - 2.0**0.5) * 2**mantissa)


def _binary(python_operator, lane_function):
    @overload(python_operator)
    def _operator(a, b):
        if isinstance(a, LanesType) and a == b:
            return lambda a, b: lane_function(a, b)
        return None


for _pair in (
    (operator.add, _add),
    (operator.sub, _subtract),
    (operator.mul, _multiply),
    (operator.truediv, _divide),
):
    _binary(*_pair)


def _exp2_powers(degree: int) -> tuple[float, ...]:
    """Taylor series of ``2 ** t``, highest power first."""
    return tuple(math.log(2.0) ** n / math.factorial(n) for n in range(degree, -1, -1))


# Degrees that bring what is cut off, for |t| <= 1/2, below half a unit in the last place.
_EXP2_32 = _exp2_powers(7)
_EXP2_64 = _exp2_powers(13)
_LOG_32 = tuple(1.0 / n for n in range(9, 0, -2))
_LOG_64 = tuple(1.0 / n for n in range(21, 0, -2))


def _polynomial(narrow: tuple[float, ...], wide: tuple[float, ...]):
    """An intrinsic: the polynomial of its argument by Horner's rule; float32 and float64 powers."""

    @intrinsic
    def value(typingctx, t):
        powers = narrow if t.dtype.bitwidth == 32 else wide

        def emit(builder, t_value):
            total = ir.Constant(t_value.type, [powers[0]] * t.width)
            for c in powers[1:]:
                total = builder.fmul(total, t_value, flags=("contract",))
                addend = ir.Constant(t_value.type, [c] * t.width)
                total = builder.fadd(total, addend, flags=("contract",))
            return total

        return t(t), _elementwise(emit)

    return value


def _constant(narrow: float, wide: float | None = None):
    """An intrinsic: a number in each lane of a value like its argument."""

    @intrinsic
    def value(typingctx, like):
        number = narrow if wide is None or like.dtype.bitwidth == 32 else wide

        def emit(builder, like_value):
            return ir.Constant(like_value.type, [number] * like.width)

        return like(like), _elementwise(emit)

    return value


_exp2_of = _polynomial(_EXP2_32, _EXP2_64)
_log_series = _polynomial(_LOG_32, _LOG_64)
_exp2_floor = _constant(-126.0, -1022.0)
_log2e = _constant(1.4426950408889634)
_ln2 = _constant(0.6931471805599453)
zero_like = _constant(0.0)
one_like = _constant(1.0)
infinity_like = _constant(float("inf"))


@register_jitable
def _lanes_exponential(a):
    """``e ** a`` for a <= 0, to about one unit in the last place; 0 below the normal range."""
    floor = _exp2_floor(a)
    t = a * _log2e(a)
    bounded = where_less(t, floor, floor, t)
    whole = _round(bounded)
    power = _exp2_of(bounded - whole) * _power_of_two(whole)
    return where_less(t, floor, zero_like(a), power)


@register_jitable
def _lanes_logarithm(a):
    """Natural logarithm of normal ``a > 0``; some finite number at 0."""
    exponent = _exponent(a)
    rest = a * _power_of_two(zero_like(a) - exponent)
    # log(r) = 2 artanh((r - 1) / (r + 1)), whose series converges fast for r near 1.
    one = one_like(a)
    z = (rest - one) / (rest + one)
    series = z * _log_series(z * z)
    return exponent * _ln2(a) + (series + series)


@overload(cells.smaller, strict=False)
def _smaller(a, b):
    if isinstance(a, LanesType):
        return lambda a, b: where_less(b, a, b, a)
    return cells.smaller


@overload(cells.exponential, strict=False)
def _exponential(a):
    if isinstance(a, LanesType):
        return lambda a: _lanes_exponential(a)
    return cells.exponential


@overload(cells.logarithm, strict=False)
def _logarithm(a):
    if isinstance(a, LanesType):
        return lambda a: _lanes_logarithm(a)
    return cells.logarithm


candidate = register_jitable(cells.candidate)
gibbs = register_jitable(cells.gibbs)
soft_minimum = register_jitable(cells.soft_minimum)
