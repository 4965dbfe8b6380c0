"""Whether this process was forked: the threads of its libraries are then not there.

Imported with the package, so that a fork is noticed before anything heavy is loaded.
"""

from __future__ import annotations

import os
import sys

_after = False


def _note() -> None:
    global _after
    _after = True


os.register_at_fork(after_in_child=_note)


def is_forked() -> bool:
    """Whether it was, or may have been: a process that multiprocessing started counts as forked, as
    its parent may have used torch without seqebm."""
    started_by = sys.modules.get("multiprocessing.process")  # loaded, if it started this process
    return _after or (started_by is not None and started_by.parent_process() is not None)
