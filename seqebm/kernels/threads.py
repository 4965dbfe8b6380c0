"""Threads of the Numba kernels: which threading layer, how many threads, and forked processes.

Decisions, so that nobody has to find them out by a crash:

- The layer is the first that loads of ``tbb`` and ``omp``, both safe when several Python threads
  call kernels at once; else ``workqueue``, which is not, so calls then take turns by a lock. A
  choice made by the user (``NUMBA_THREADING_LAYER``) or already in use by another library stands.
- The number of threads is ``torch.get_num_threads()``, read at each call, at most the number that
  Numba was started with. One knob, ``torch.set_num_threads``, thus governs matmuls and kernels.
- With one thread, no threading layer is touched at all. A forked process (a DataLoader worker)
  whose parent has already run parallel kernels always computes that way, because OpenMP does not
  survive a fork.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from collections.abc import Callable
from typing import Any

import numba
import torch
from numba import config

SAFE_LAYERS = ("tbb", "omp")

_lock = threading.Lock()
_launched_in: int | None = None  # process that first ran a parallel kernel


def _choose_layer() -> None:
    """Point Numba at the first thread-safe layer that loads, unless a choice is made already."""
    if config.THREADING_LAYER != "default":
        return
    try:
        numba.threading_layer()
    except ValueError:
        pass  # no layer is in use yet
    else:
        return
    for name in SAFE_LAYERS:
        with contextlib.suppress(ImportError, OSError):
            importlib.import_module(f"numba.np.ufunc.{name}pool")
            config.THREADING_LAYER = name
            return
    config.THREADING_LAYER = "workqueue"


_choose_layer()


def threading_layer() -> str:
    """Name of the Numba threading layer that the kernels use: "tbb", "omp" or "workqueue"."""
    try:
        return numba.threading_layer()
    except ValueError:
        return config.THREADING_LAYER


def thread_count() -> int:
    """Threads that the next kernel call will use, >= 1."""
    if _launched_in is not None and _launched_in != os.getpid():
        return 1
    return max(1, min(torch.get_num_threads(), config.NUMBA_NUM_THREADS))


def launch(
    worker: Callable[..., None], workers: Callable[..., None], items: int, *arguments: Any
) -> None:
    """Run a kernel over ``items`` independent work items.

    Args:
        worker: compiled ``worker(next, *arguments)``; takes items from the counter ``next`` (1,)
            int64 until none is left, so threads that were held up take fewer.
        workers: compiled ``workers(count, next, *arguments)``: that, in ``count`` threads.
        items: number of work items; more threads than items are not started.
    """
    import numpy as np

    global _launched_in
    counter = np.zeros(1, np.int64)
    count = min(thread_count(), items)
    if count <= 1:
        worker(counter, *arguments)
        return
    _launched_in = _launched_in or os.getpid()
    numba.set_num_threads(count)
    guard = contextlib.nullcontext() if threading_layer() in SAFE_LAYERS else _lock
    with guard:
        workers(count, counter, *arguments)
