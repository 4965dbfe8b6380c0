"""Whether there is a file that may be read."""

from __future__ import annotations

import os
from pathlib import Path

from seqebm.hooks import DataError


def check_file(path: Path, what: str, table: str) -> None:
    """Raise :class:`DataError` if there is no file at ``path``, or none with content to read.

    Args:
        path: the file.
        what: what it should be, for the message, such as ``"an audio file"``.
        table: where its path may come from, for the message, such as ``"wav.scp"``.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a directory; name {what}")
    if not path.exists():
        raise DataError(f"{path}: no such file; correct the path (in {table} or the command)")
    if not path.is_file():
        raise DataError(f"{path}: is no ordinary file, but a pipe or device; copy it to a file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes); copy or make it again")
    if not os.access(path, os.R_OK):
        raise DataError(f"{path}: may not be read; give yourself read permission")
