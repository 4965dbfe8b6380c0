"""The CUDA target: the only module that imports ``numba.cuda``.

Kernels of the families are plain Python functions with the
``cuda`` of this module; they are compiled and run by :class:`Kernel`. A launch takes
torch tensors: their memory is viewed, never copied, and the current stream of their device is
always passed, because the array interface of torch carries none. With ``NUMBA_ENABLE_CUDASIM=1``
the same code runs on CPU tensors in Numba's simulator: this is how it is tested without a GPU.

Numba's CUDA target is in maintenance (its successor is the package ``numba-cuda``, which takes over
this very import where it is installed); whatever replaces it must be a change of this file only.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from numba import config
from numba import cuda as numba_cuda
from torch import Tensor

from seqebm.kernels.machine import cells

cuda: Any = numba_cuda  # its intrinsics have no types
SIMULATED: bool = bool(getattr(config, "ENABLE_CUDASIM", 0))
#: Threads of a warp: a block has a multiple of it. The simulator makes a Python thread of each.
WARP = 2 if SIMULATED else 32
#: Threads of a block, and registers of each: a multiprocessor has 65,536. With more threads they
#: would have to be spilled: the tests print how many are.
MOST_THREADS = 4 if SIMULATED else 512
REGISTERS = 128
#: Operations between two barriers from which on an item gets another block: waiting for the whole
#: grid takes about as long as a block needs for as many.
EACH_BLOCK = 4 if SIMULATED else 4096


@cache
def available() -> bool:
    """Whether tensors on a GPU can be given to the kernels."""
    return not SIMULATED and torch.cuda.is_available() and bool(cuda.is_available())


def device_function(function: Callable[..., Any]) -> Any:
    """Compile a function for use inside kernels."""
    return cuda.jit(device=True)(function)


def _of_cells(*names: str) -> list[Any]:
    """Device functions of ``machine.cells``: its sources, calling each other here."""
    known: dict[str, Any] = {"math": math}
    found = []
    for name in ("exponential", "logarithm", "smaller", "gibbs", "soft_minimum", "candidate"):
        source = getattr(cells, name)
        known[name] = device_function(types.FunctionType(source.__code__, known, name))
        if name in names:
            found.append(known[name])
    return found


_gibbs, _soft_minimum, candidate = _of_cells("gibbs", "soft_minimum", "candidate")


@device_function
def gibbs(energy, least, beta, like):
    """Gibbs weight relative to a finite least energy, computed in the type of the array ``like``.

    Tables are float64, but differences from the least energy are small numbers: where the data are
    float32, so may be their exponentials, which on a GPU are many times as fast.
    """
    real = like.dtype.type
    return _gibbs(real(energy - least), real(0.0), real(beta))


@device_function
def soft_minimum(least, total, beta, like):
    """Free energy of candidates whose Gibbs weights sum to ``total``; types as in :func:`gibbs`."""
    real = like.dtype.type
    return least + _soft_minimum(real(0.0), real(total), real(1.0 / beta))


@device_function
def place():
    """Number of the item, of this thread among those of the item, and how many these are."""
    return (
        cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y,
        cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x,
        cuda.gridDim.y * cuda.blockDim.x,
    )


@device_function
def barrier():
    """All threads of an item wait for each other. All threads of a launch must come here."""
    cuda.syncthreads()


@device_function
def _grid_barrier():
    cuda.cg.this_grid().sync()


class Shape(NamedTuple):
    """How a launch is divided.

    Attributes:
        blocks: number of blocks, or of rows of blocks.
        threads: of a block: (for each item, items).
        across: blocks of each item; above 1 they run at the same time and wait for each other.
    """

    blocks: int
    threads: tuple[int, int]
    across: int = 1


def shape(items: int, work: int, cost: float, device: torch.device, small: int = 0) -> Shape:
    """Few items with much to do at a time get several blocks each, small ones share a block.

    Args:
        work: things that can be done at a time for an item: states, cells of an anti-diagonal.
        cost: operations that each takes: arcs, steps.
        small: up to so much work, items share a block.
    """
    if work <= small:
        width = threads_for(work)
        each = max(1, MOST_THREADS // 2 // width)
        return Shape(-(-items // each), (width, each))
    # Blocks that wait for each other must all be running: at most one for each multiprocessor.
    most = min(processors(device) // max(1, items), work // WARP) if cooperative() else 1
    across = max(1, min(most, int(work * cost) // EACH_BLOCK))
    return Shape(items, (threads_for(-(-work // across)), 1), across)


@cache
def cooperative() -> bool:
    """Whether blocks can wait for each other: Numba links a library of the CUDA toolkit to it."""
    if SIMULATED:
        return True
    from numba.cuda.cudadrv import libs

    return Path(libs.get_cudalib("cudadevrt", static=True)).is_file()


def processors(device: torch.device) -> int:
    """Multiprocessors of a device; 1 in the simulator, whose tensors are on the CPU."""
    if device.type == "cpu":
        return 1
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _compiled(source: Callable[..., None]) -> Any:
    return cuda.jit(source) if SIMULATED else cuda.jit(source, max_registers=REGISTERS)


class Kernel:
    """A kernel: plain source, and what was compiled of it.

    Attributes:
        source: the Python function. It calls :func:`barrier` by this name.
        source_across: the same, with a barrier of the whole grid.
    """

    def __init__(self, source: Callable[..., None]) -> None:
        self.source = source
        names = {**source.__globals__, "barrier": _grid_barrier}
        self.source_across = types.FunctionType(source.__code__, names, source.__name__)

    @cached_property
    def compiled(self) -> Any:
        """What is launched, if each item has one block at most."""
        return _compiled(self.source)

    @cached_property
    def compiled_across(self) -> Any:
        """What is launched as a cooperative grid."""
        return _compiled(self.source_across)

    def launch(self, shape: Shape, *arguments: Any) -> None:
        """Run on the device and current stream of the first tensor. Blocks may be 0."""
        if shape.blocks == 0:
            return
        compiled = self.compiled if shape.across == 1 else self.compiled_across
        grid = (shape.blocks, shape.across)
        if SIMULATED:
            compiled[grid, shape.threads](*map(_view, arguments))
            return
        first = next(a for a in arguments if isinstance(a, Tensor))
        with torch.cuda.device(first.device):
            stream = cuda.external_stream(stream_of(first.device))
            compiled[grid, shape.threads, stream](*map(_view, arguments))


def kernel(source: Callable[..., None]) -> Kernel:
    """Decorator: the function is a kernel."""
    return Kernel(source)


def threads_for(work: int) -> int:
    """Threads of a block for ``work`` things that can be done at a time."""
    return min(max(WARP, -(-work // WARP) * WARP), MOST_THREADS)


def stream_of(device: torch.device) -> int:
    """Handle of the stream on which torch now works there; 0 in the simulator."""
    return 0 if device.type == "cpu" else torch.cuda.current_stream(device).cuda_stream


def _view(argument: Any) -> Any:
    if not isinstance(argument, Tensor):
        return argument
    if SIMULATED:
        return argument.detach().numpy()
    return cuda.as_cuda_array(argument.detach(), sync=False)


def on_device(values: Sequence[Any], device: torch.device) -> list[Tensor]:
    """NumPy arrays or CPU tensors as tensors on a device, copied without waiting for it."""
    return [
        (v if isinstance(v, Tensor) else torch.from_numpy(v)).to(device, non_blocking=True)
        for v in values
    ]
