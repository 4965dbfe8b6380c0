"""Threads of the Numba kernels: how work is shared, how many threads, and forked processes.

Decisions, so that nobody has to find them out by a crash:

- The layer is ``pool``: Python threads that run a compiled kernel without the interpreter lock and
  take work items from one shared counter. None of Numba's own layers is used. ``workqueue`` aborts
  the process when two Python threads call kernels at once, OpenMP aborts a forked process that
  calls one, TBB is an extra package; and ``parallel=True`` doubles the time to compile. A pool has
  none of these faults, and a thread that is held up by other load simply takes fewer items.
- The number of threads is ``torch.get_num_threads()``, read at each call. One knob,
  ``torch.set_num_threads``, thus governs matmuls and kernels; a DataLoader worker, where torch sets
  it to 1, computes in its own thread only.
- After a fork the child starts a pool of its own, at its first call.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def threading_layer() -> str:
    """Name of the threading layer that the kernels use: always "pool", see above."""
    return "pool"


def thread_count() -> int:
    """Threads that the next kernel call may use, >= 1."""
    return max(1, torch.get_num_threads())


def _helpers(count: int) -> ThreadPoolExecutor:
    """A pool of at least ``count`` threads."""
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < count:
            # An outgrown pool ends by itself when its last task does.
            _pool, _pool_size = ThreadPoolExecutor(count, "seqebm-kernel"), count
        return _pool


def _forget_pool() -> None:
    """In a forked child: the parent's threads, and whoever held the lock, are not here."""
    global _lock, _pool, _pool_size
    _lock, _pool, _pool_size = threading.Lock(), None, 0


os.register_at_fork(after_in_child=_forget_pool)


def launch(worker: Callable[..., None], items: int, *arguments: object) -> None:
    """Run a kernel over ``items`` independent work items, in as many threads as are useful.

    Args:
        worker: compiled ``worker(next, *arguments)``, which releases the interpreter lock and
            takes items from the counter ``next`` ((1,) int64) until none is left.
        items: number of work items; never more threads than items.
        arguments: passed on.
    """
    counter = np.zeros(1, np.int64)
    helpers = min(thread_count(), items) - 1
    if helpers <= 0:
        worker(counter, *arguments)
        return
    pool = _helpers(helpers)
    started = [pool.submit(worker, counter, *arguments) for _ in range(helpers)]
    try:
        worker(counter, *arguments)
    finally:
        # The arrays must outlive every thread that writes to them, whatever happened here.
        # On a busy machine a helper may not have woken up before all was done: do not wait for it.
        for future in started:
            if not future.cancel():
                future.result()
