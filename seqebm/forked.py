"""Whether this process was forked: the threads of its libraries are then not there.

Imported with the package, so that a fork is noticed before anything heavy is loaded.
"""

from __future__ import annotations

import contextlib
import os
import sys

_after = False


def _note() -> None:
    global _after
    _after = True
    _single_thread()


def _single_thread() -> None:
    """Let torch compute in the calling thread, as it does itself in the workers of a DataLoader:
    it would wait for ever for OpenMP's threads, which only the parent has."""
    torch = sys.modules.get("torch")
    with contextlib.suppress(AttributeError):  # not loaded, or not wholly
        torch.set_num_threads(1)  # type: ignore[union-attr]


os.register_at_fork(after_in_child=_note)


def is_forked() -> bool:
    """Whether it was, or may have been: a process that multiprocessing started counts as forked, as
    its parent may have used torch without seqebm."""
    started_by = sys.modules.get("multiprocessing.process")  # loaded, if it started this process
    return _after or (started_by is not None and started_by.parent_process() is not None)


def _was_forked_before() -> bool:
    """Whether multiprocessing forked this process before this module was loaded."""
    context = sys.modules.get("multiprocessing.context")
    return context is not None and isinstance(
        context.process.current_process(), context.ForkProcess
    )


if _was_forked_before():
    _note()
