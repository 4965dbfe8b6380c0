"""Threads of the Numba kernels: how work is shared, how many threads, and forked processes.

Decisions, so that nobody has to find them out by a crash:

- A kernel is called once in each thread, without the interpreter lock, and takes work items from
  one shared counter; a thread that is held up by other load simply takes fewer. None of Numba's own
  layers is used. ``workqueue`` aborts the process when two Python threads call kernels at once,
  Numba's OpenMP aborts a forked process that calls one, TBB is an extra package; and
  ``parallel=True`` doubles the time to compile.
- The threads are those of torch, where its OpenMP library can be asked for them
  (``GOMP_parallel``, the entry point that GCC's compilers call). After each of its operations
  torch's threads spin for about a millisecond, in the hope of another; other threads that want
  the same cores would have to wait for them, and a small kernel would gain nothing.
- Otherwise, and in a forked process, which OpenMP's threads do not survive, it is a pool of Python
  threads.
- The number of threads is ``torch.get_num_threads()``, read at each call. One knob,
  ``torch.set_num_threads``, thus governs matmuls and kernels; a DataLoader worker, where torch sets
  it to 1, computes in its own thread only.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqebm.forked import is_forked

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0

_local = threading.local()
#: Arcs or cells that one thread has done before another has begun.
LITTLE = 1 << 14
#: Bytes of the largest workspace that is kept: 64 MB.
KEPT = 1 << 26

_Task = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@cache
def _gomp_parallel() -> Any:
    """``GOMP_parallel(task, argument, threads, flags)`` of the library that torch uses, or None.

    LLVM's and Intel's OpenMP have it too.
    """
    name = "libtorch_cpu.dylib" if sys.platform == "darwin" else "libtorch_cpu.so"
    try:
        # Symbols are looked up in a library and what it depends on, in this order.
        function = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / name)).GOMP_parallel
    except (OSError, AttributeError):
        return None
    function.argtypes = [_Task, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    function.restype = None
    return function


def threading_layer() -> str:
    """Whose threads the kernels use: "torch" (those of its OpenMP library), or "pool"."""
    return "pool" if is_forked() or _gomp_parallel() is None else "torch"


def thread_count() -> int:
    """Threads that the next kernel call may use, >= 1."""
    return max(1, torch.get_num_threads())


def threads_for(items: int) -> int:
    """Threads in which :func:`launch` will run a kernel, >= 1."""
    return max(1, min(thread_count(), items))


@contextlib.contextmanager
def workspace(count: int, dtype: np.dtype) -> Iterator[np.ndarray]:
    """A flat array of ``count`` numbers, whatever they are, kept for the next one who wants one.

    Memory that is allocated anew comes back from the system page by page, which takes as long as
    the work in it. Each Python thread has its own. One larger than :data:`KEPT` is not kept.
    """
    size = count * dtype.itemsize
    kept, _local.memory = getattr(_local, "memory", None), None
    if kept is None or kept.size < size:
        kept = np.empty(size, np.uint8)
    yield kept[:size].view(dtype)
    # Not after an error: another thread might still write to it.
    if kept.size <= KEPT:
        _local.memory = kept


def _forget_threads() -> None:
    """In a forked child: the parent's threads, and whoever held the lock, are not here."""
    global _lock, _pool, _pool_size
    _lock, _pool, _pool_size = threading.Lock(), None, 0


os.register_at_fork(after_in_child=_forget_threads)


def launch(
    worker: Callable[..., None], items: int, *arguments: object, work: float = math.inf
) -> None:
    """Run a kernel over ``items`` independent work items, in as many threads as are useful.

    Args:
        worker: compiled ``worker(next, *arguments)``, which releases the interpreter lock and
            takes items from the counter ``next[0]`` until none is left. From ``next[1]``, (2,)
            int64 in all, it may take the number of its thread.
        items: number of work items; never more threads than items.
        arguments: passed on.
        work: about how many arcs or cells there are in all; a few are soonest done by one thread.
    """
    task = partial(worker, np.zeros(2, np.int64), *arguments)
    threads = threads_for(items)
    if threads == 1 or work < LITTLE:
        task()
    elif threading_layer() == "torch":
        _in_torch(task, threads)
    else:
        _in_pool(task, threads)


def _in_torch(task: Callable[[], None], threads: int) -> None:
    errors: list[BaseException] = []

    def run(_: int | None) -> None:
        try:
            task()
        except BaseException as error:  # nothing may pass through the frames of OpenMP
            errors.append(error)

    _gomp_parallel()(_Task(run), None, threads, 0)
    if errors:
        raise errors[0]


def _in_pool(task: Callable[[], None], threads: int) -> None:
    pool = _helpers(threads - 1)
    started = [pool.submit(task) for _ in range(threads - 1)]
    try:
        task()
    finally:
        # The arrays must outlive every thread that writes to them, whatever happened here.
        # On a busy machine a helper may not have woken up before all was done: do not wait for it.
        errors = [future.exception() for future in started if not future.cancel()]
    for error in filter(None, errors):
        raise error


def _helpers(count: int) -> ThreadPoolExecutor:
    """A pool of at least ``count`` threads."""
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < count:
            # An outgrown pool ends by itself when its last task does.
            _pool, _pool_size = ThreadPoolExecutor(count, "seqebm-kernel"), count
        return _pool
