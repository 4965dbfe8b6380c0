"""How every kernel on the CPU is compiled, and what all of them call."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types

from seqebm.kernels.machine.lanes import Width, intrinsic

LANES = 16
WIDTH = Width(LANES)
#: Options of every function. No fast-math: infinities are ordinary values here. Only what Python
#: calls is kept on disk (``compiled``), and its signature has a Width: see there.
JIT: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
#: Options of functions that neither keep nor make arrays: without reference counts, which cost more
#: than what small functions do, above all where two threads count the references of one array.
LEAF: dict[str, Any] = {**JIT, "_nrt": False}


@intrinsic
def take(typingctx, counter):
    """Add 1 to ``counter[0]`` atomically and return what it was."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, ir.IntType(64)(1), "monotonic")

    return types.int64(counter), codegen


@njit(**LEAF)
def fill(array, start, stop, number):
    """``array[start:stop] = number``."""
    for n in range(start, stop):
        array[n] = number
