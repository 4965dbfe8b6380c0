"""The CUDA target: the only module that imports ``numba.cuda``.

Kernels of :mod:`seqebm.kernels.cuda_trellis` and its neighbours are plain Python functions with the
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
from functools import cache
from typing import Any

import torch
from numba import config
from numba import cuda as numba_cuda
from torch import Tensor

from seqebm.kernels import cells

cuda: Any = numba_cuda  # its intrinsics have no types
SIMULATED: bool = bool(getattr(config, "ENABLE_CUDASIM", 0))
#: Threads of a warp: a block has a multiple of it. The simulator makes a Python thread of each.
WARP = 2 if SIMULATED else 32
MOST_THREADS = 4 if SIMULATED else 256


@cache
def available() -> bool:
    """Whether tensors on a GPU can be given to the kernels."""
    return not SIMULATED and torch.cuda.is_available() and bool(cuda.is_available())


def device_function(function: Callable[..., Any]) -> Any:
    """Compile a function for use inside kernels."""
    return cuda.jit(device=True)(function)


def _of_cells(*names: str) -> list[Any]:
    """Device functions of :mod:`seqebm.kernels.cells`: its sources, calling each other here."""
    known: dict[str, Any] = {"math": math}
    found = []
    for name in ("exponential", "logarithm", "smaller", "gibbs", "soft_minimum", "candidate"):
        source = getattr(cells, name)
        known[name] = device_function(types.FunctionType(source.__code__, known, name))
        if name in names:
            found.append(known[name])
    return found


gibbs, soft_minimum, candidate = _of_cells("gibbs", "soft_minimum", "candidate")


class Kernel:
    """A kernel: plain source, and what was compiled of it.

    Attributes:
        source: the Python function.
        compiled: what is launched.
    """

    def __init__(self, source: Callable[..., None]) -> None:
        self.source = source
        self.compiled = cuda.jit(source)

    def launch(self, blocks: int, threads: int | tuple[int, int], *arguments: Any) -> None:
        """Run on the device and current stream of the first tensor. Blocks may be 0."""
        if blocks == 0:
            return
        if SIMULATED:
            self.compiled[blocks, threads](*map(_view, arguments))
            return
        first = next(a for a in arguments if isinstance(a, Tensor))
        with torch.cuda.device(first.device):
            stream = cuda.external_stream(torch.cuda.current_stream(first.device).cuda_stream)
            self.compiled[blocks, threads, stream](*map(_view, arguments))


def kernel(source: Callable[..., None]) -> Kernel:
    """Decorator: the function is a kernel."""
    return Kernel(source)


def threads_for(work: int) -> int:
    """Threads of a block for ``work`` things that can be done at a time.

    At most 256: more would leave each fewer registers than the kernels need (the tests print them).
    """
    return min(max(WARP, -(-work // WARP) * WARP), MOST_THREADS)


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
