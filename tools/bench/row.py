"""What a row of the benchmark is; the families of rows are in the modules ``*_jobs``.

A contender's function imports its package, prepares its own data format, and returns a function of
no arguments that does the job once and returns the result as an array. Only that is timed. Nothing
here or at the top of these modules needs seqebm: a peer may run in an environment without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Job = Callable[[], Array]
#: Every contender may use this many threads; ``--threads`` sets it.
THREADS = int(os.environ.get("SEQEBM_BENCH_THREADS", "2"))
REAL = 4  # bytes of a float32


class Row(NamedTuple):
    """One problem of one size.

    Attributes:
        title: what is computed, and the sizes.
        contenders: how each does it; ours is "seqebm", and a name in brackets is a floor, not a
            peer.
        moved: bytes that the textbook algorithm moves in float32, each once: what it is given, what
            it returns, and, for a gradient, its forward table written and read. They take a time at
            the bandwidth of the memory, below which only an algorithm that moves less can come.
    """

    title: str
    contenders: dict[str, Callable[..., Job]]
    moved: int


def on_cuda(make: Callable[..., Any]) -> Callable[[], Any]:
    """The same job with its tensors on the GPU; results come back, so all of it is timed."""

    def job() -> Any:
        import torch

        if not torch.cuda.is_available():
            raise ImportError("there is no CUDA device")
        return make(device="cuda")

    return job


def absent(name: str, reason: str) -> Callable[[], Job]:
    """A contender that cannot take part."""

    def job() -> Job:
        raise ImportError(f"{name} {reason}")

    return job
