"""Fetching and unpacking the archives of published corpora: for preparers."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from seqebm.errors import DataError

logger = logging.getLogger(__name__)

LARGEST = 50_000_000  # bytes of one file in an archive
MOST_BYTES = 16_000_000_000  # that an archive unpacks to: speech of 140 hours at 16 kHz
MOST_FILES = 100_000  # in an archive, those left out too; the largest of our corpora has 20,000
MOST_TIMES = 100  # by which an archive grows: audio grows by 2 to 4, text of ink by 5 to 10
GROWS_FREELY = 100_000_000  # bytes: to so much any archive may grow
LARGEST_HEADER = 1 << 14  # bytes before a file: names are 4,096 at most, and mostly some hundred
# Bytes of headers and long names, but one of n blocks counts n times, as the time to parse it grows
# with the square: about a minute. 20,000 files with the longest of usual headers take half of it.
MOST_HEADERS = 128_000_000
_MOST_GLOBAL = 100  # entries of a pax header for all that follows; each file gets a copy
_PACKED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
_QUOTED = 5  # names quoted in a message


def download(url: str, target: Path, corpus: str) -> None:
    """Fetch ``url`` to ``target``, whole or not at all. Raises :class:`DataError`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    logger.info("%s: downloading %s", corpus, url)
    try:
        with urllib.request.urlopen(url, timeout=30) as reply, part.open("wb") as file:
            shutil.copyfileobj(reply, file)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        part.unlink(missing_ok=True)
        raise DataError(
            f"{corpus}: cannot download {url} ({getattr(error, 'reason', error)}); fetch it where "
            "there is a network and set 'source' to the archive"
        ) from error
    os.replace(part, target)


def unpack(archive: Path, folder: Path, place: Callable[[str], str | None], corpus: str) -> int:
    """Copy files of a tar archive into ``folder`` and return how many there were.

    ``place`` says where below ``folder`` a file of the archive goes, None leaving it out; it must
    not return what leads out of ``folder``. Links, sparse files and files above 50 MB are left
    out.

    Raises :class:`DataError` if the archive is damaged or cut short, or grows beyond all measure:
    to more than 100 times its size (if that is above 100 MB), 16 GB or 100,000 files, or by names
    and other headers of more than 16 KiB before a file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with (
            _Bounded(archive) as stream,
            tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:") as tar,
        ):
            return _copy(tar, stream, folder, place)
    except _TooMuch as error:
        raise DataError(
            f"{corpus}: {archive} {error}, as no corpus does; is it what was published? Fetch it "
            "again, or unpack it yourself and set 'source' to the directory"
        ) from error
    except Exception as error:  # tarfile passes on whatever its parsers raise, RecursionError too
        raise DataError(
            f"{corpus}: {archive} is no readable archive, or is cut short ({error}); fetch it again"
        ) from error


def _copy(tar: Any, stream: _Bounded, folder: Path, place: Callable[[str], str | None]) -> int:
    found = number = 0
    while member := tar.next():
        tar.members.clear()  # it would keep them all, each with its headers
        number += 1
        if number > MOST_FILES:
            raise _TooMuch(f"has more than {MOST_FILES:,} files")
        if len(tar.pax_headers) > _MOST_GLOBAL:
            raise _TooMuch(f"has more than {_MOST_GLOBAL} headers for all that follows")
        name = place(member.name)
        if name and member.isfile() and not member.issparse() and member.size <= LARGEST:
            _extract(tar, member, stream, folder / name)
            found += 1
        stream.header = 0
    return found


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, stream: _Bounded, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stream.header = None
    file = tar.extractfile(member)
    assert file is not None  # it is a file
    with file, path.open("wb") as out:
        shutil.copyfileobj(file, out)


class _TooMuch(Exception):
    """An archive that was made to exhaust the machine."""


class _Bounded:
    """The content of an archive, unpacked as it is read, in which nothing is without end.

    tarfile reads a header, however long, before anybody sees the file that it belongs to.

    Attributes:
        header: bytes read of the headers of the file that comes next; None: its content is read.
    """

    def __init__(self, archive: Path) -> None:
        self.header: int | None = 0
        self._headers = 0
        self._most = min(MOST_BYTES, max(GROWS_FREELY, MOST_TIMES * archive.stat().st_size))
        with archive.open("rb") as file:
            head = file.read(8)
        packed = [opener for magic, opener in _PACKED.items() if head.startswith(magic)]
        self._stream: Any = (packed or [_opened])[0](archive)

    def read(self, size: int) -> bytes:
        if self.header is not None:
            self.header += size
            if size < 0 or self.header > LARGEST_HEADER:
                raise _TooMuch(f"has a name or header of more than {LARGEST_HEADER:,} bytes")
            self._headers += max(size, size * size // tarfile.BLOCKSIZE)
            if self._headers > MOST_HEADERS:
                raise _TooMuch("has too many long names or headers")
        return bytes(self._stream.read(size))

    def seek(self, offset: int) -> int:
        if offset > self._most:
            raise _TooMuch(f"unpacks to more than {self._most:,} bytes")
        if offset < self.tell():  # a negative size, with which tarfile would go round in circles
            raise _TooMuch("has a file that ends before it begins")
        return int(self._stream.seek(offset))

    def tell(self) -> int:
        return int(self._stream.tell())

    def __enter__(self) -> _Bounded:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")


def some(names: list[str], between: str = ", ") -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _QUOTED
    return between.join(names[:_QUOTED]) + (f"{between}and {more} more" if more > 0 else "")
