"""Writing files: the one place where a file that others read is put on disk.

Every package may import this module; it imports nothing but the errors.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from seqebm.errors import DataError, SeqebmError


def write_bytes(
    path: str | os.PathLike[str],
    data: bytes,
    error: type[SeqebmError] = DataError,
    hint: str = "",
) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Directories are made as needed. Raises ``error``, whose message ends with ``hint``, if the
    disk is full or the place cannot be written; what was at ``path`` before is still there.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part"
        )
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's 0600 would hide it from colleagues
        os.replace(temporary, path)
        temporary = None
    except OSError as fault:
        remedy = (
            f"the disk is full; {len(data):,} bytes are needed"
            if fault.errno in (errno.ENOSPC, errno.EDQUOT)
            else "check that it may be written there, or choose another place"
        )
        reason = fault.strerror or str(fault)
        raise error(f"{path}: could not be written ({reason}): {remedy}.{hint}") from fault
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text as :func:`write_bytes` does. Raises :class:`DataError`."""
    write_bytes(path, text.encode("utf-8"))


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
