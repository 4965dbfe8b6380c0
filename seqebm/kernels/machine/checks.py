"""Checks of what callers hand to the kernels: each error names the index and the value."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

#: Longest sequence, in frames. Lanes of float32 compare whole numbers exactly up to here, and a
#: device kernel may index one table with 32 bits.
MAX_FRAMES = 1 << 24
MAX_TABLE = 1 << 31

#: Least inverse temperature: below it, 1 / beta times a logarithm may leave the float32 range.
MIN_BETA = 1e-30


def whole_numbers(*size: int) -> Tensor:
    """Room for so many on the CPU: what most checks return."""
    return torch.empty(size, dtype=torch.int64, device="cpu")


def traceable(schema: str, fake: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator for a check of values: also under ``torch.compile``, without a break of the graph.

    There it becomes an operator, which looks at the values when the compiled graph runs. A check
    therefore returns what the caller then uses: one that returned nothing would be left out.

    Args:
        schema: of the operator, such as "check_it(Tensor x) -> Tensor".
        fake: what it returns, from shapes alone.
    """
    name = schema.partition("(")[0]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        torch.library.define(f"seqebm::{name}", schema[len(name) :])
        torch.library.impl(f"seqebm::{name}", "CompositeExplicitAutograd", function)
        torch.library.register_fake(f"seqebm::{name}", fake)

        @functools.wraps(function)
        def check(*arguments: Any) -> Any:
            if torch.compiler.is_compiling():
                return getattr(torch.ops.seqebm, name)(*arguments)
            return function(*arguments)

        return check

    return decorate


def check_beta(beta: float) -> float:
    """``beta`` as a float; ValueError unless it is positive (inf is legal)."""
    value = float(beta)
    if math.isnan(value) or value < MIN_BETA:
        raise ValueError(f"beta is {beta}; it must be at least {MIN_BETA}, inf for the minimum")
    return value


def kernel_beta(beta: float, largest: float) -> float:
    """``beta``, or inf where an element type with this largest number cannot tell it from inf."""
    return beta if beta < largest else math.inf


def needs_gradient(*tensors: Tensor) -> bool:
    """Whether a gradient to any of them will be wanted."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def proper(values: Tensor) -> bool:
    """Whether no energy is NaN or -inf. On a CPU by NumPy, which is sooner called."""
    if not values.numel():
        return True
    return bool((values.numpy() if values.device.type == "cpu" else values).min() > -math.inf)


def check_lengths(lengths: Tensor, count: int, frames: int, name: str) -> Tensor:
    """Lengths (count,) as int64 on the CPU; ValueError unless each is in 1 .. frames."""
    return _check_lengths(torch.as_tensor(lengths), count, frames, name)


@traceable(
    "check_lengths(Tensor lengths, SymInt count, SymInt frames, str name) -> Tensor",
    lambda lengths, count, frames, name: whole_numbers(count),
)
def _check_lengths(lengths: Tensor, count: int, frames: int, name: str) -> Tensor:
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise ValueError(f"{name} has dtype {lengths.dtype}; lengths are whole numbers of frames")
    if lengths.shape != (count,):
        raise ValueError(f"{name} has shape {tuple(lengths.shape)}, expected ({count},)")
    given, lengths = lengths, lengths.detach().to("cpu", torch.int64).contiguous()
    values = lengths.numpy()
    if count and (values.min() < 1 or values.max() > frames):
        index = int(((lengths < 1) | (lengths > frames)).nonzero()[0])
        raise ValueError(
            f"{name}[{index}] is {int(lengths[index])}; it must be 1 to {frames}, "
            "the number of frames with padding"
        )
    # An operator may not return what it was given.
    return lengths.clone() if lengths.data_ptr() == given.data_ptr() else lengths


def check_size(T: int, L: int) -> None:
    """OverflowError when a table of T x L cells is beyond what the kernels index."""
    if T > MAX_FRAMES or L > MAX_FRAMES or T * L >= MAX_TABLE:
        raise OverflowError(
            f"a table of {T} x {L} cells is too large: at most {MAX_FRAMES} frames a side and "
            f"{MAX_TABLE} cells; split the sequence or use fewer frames a second"
        )


def check_floats(name: str, tensor: Tensor, dimensions: int) -> None:
    """ValueError unless the tensor is float32 or float64 and has that many dimensions."""
    if tensor.dim() != dimensions:
        shape = tuple(tensor.shape)
        raise ValueError(f"{name} has shape {shape}, expected {dimensions} dimensions")
    if tensor.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name} has dtype {tensor.dtype}; the kernels take float32 or float64")
    if tensor.device.type not in ("cpu", "cuda"):
        raise ValueError(
            f"{name} is on {tensor.device}; there are kernels for CPU and CUDA: call {name}.cpu() "
            "first (gradients flow back through it)"
        )
