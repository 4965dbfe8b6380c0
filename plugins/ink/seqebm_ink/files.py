"""Opening files of ink: what is wrong with one, and what kind it is."""

from __future__ import annotations

import codecs
import re
import stat
from pathlib import Path

from seqebm.hooks import DataError

LARGEST = 64_000_000  # bytes of one InkML or JSON file: some million points
_HEAD = 1 << 16  # bytes looked at to tell the kind
_UNIPEN = re.compile(rb"(?:\A|[\r\n])\.[A-Z][A-Z_0-9]")


def content(path: Path) -> bytes:
    """The bytes of a file.

    Raises :class:`DataError`, naming the file, if it is missing, a directory, empty, too large, or
    may not be read.
    """
    if checked(path)[1] > LARGEST:
        raise DataError(f"{path}: larger than {LARGEST // 1_000_000} MB; cut it into parts")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def checked(path: Path) -> tuple[int, int]:
    """When a file was changed (ns) and its size (bytes).

    Raises :class:`DataError` as :func:`content` does.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file; correct the path (in ink.scp or the command)"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r}: cannot be read: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"{path}: is a directory; name a file of ink")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: is no ordinary file, but a pipe or device; copy it to a file")
    if status.st_size == 0:
        raise DataError(f"{path}: the file is empty (0 bytes); copy or export it again")
    return status.st_mtime_ns, status.st_size


def kind_of(path: Path) -> str:
    """``"inkml"``, ``"json"``, ``"npy"`` or ``"unipen"``, by what is in the file.

    Raises :class:`DataError` as :func:`content` does, and for files of no known kind.
    """
    checked(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    first = as_utf8(head).lstrip()[:1]
    if first == b"<":
        return "inkml"
    if first in (b"{", b"["):
        return "json"
    if _UNIPEN.search(head):
        return "unipen"
    raise DataError(
        f"{path}: is no ink: neither InkML, JSON strokes, UNIPEN nor a prepared array (.npy); "
        "convert it to one of them"
    )


def as_utf8(data: bytes) -> bytes:
    """Text without its byte-order mark; UTF-16 becomes UTF-8."""
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if data.startswith(mark):
            return data[2:].decode(encoding, "replace").encode("utf-8", "replace")
    return data.removeprefix(codecs.BOM_UTF8)
