"""Headers of recordings that were streamed, whose sizes nobody filled in.

A program that writes to a pipe, or is stopped, leaves the size of what it writes open: 0, or the
largest number that there is. What libsndfile does not read so as to mean "up to the end of the
file" is filled in here, in memory.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import soundfile

_UNKNOWN = 1 << 62  # frames that libsndfile claims where a FLAC file names none
_BLOCK = 1 << 16  # frames decoded at a time
_MOST = 1 << 30  # frames of a FLAC file that names none: silence takes hardly any bytes
_CHUNKS = 1000  # looked at: a file of zeros would have one every 8 bytes
_NONE = (0, (1 << 64) - 1)  # sizes in 64 bits that claim nothing


class _Content(mmap.mmap):
    """Of a file, which one may seek beyond its end, as a damaged header asks for."""

    def seek(self, offset: int, whence: Any = os.SEEK_SET) -> None:  # type: ignore[override]
        try:
            super().seek(offset, whence)
        except ValueError:
            super().seek(0, os.SEEK_END)


class _Forwards(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read to its end: soundfile's seek to there fails if the length is unknown."""

    def seekable(self) -> bool:
        return False


class _Chunk(NamedTuple):
    """A chunk of a RIFF or CAF file: where its content begins, and the size that it claims."""

    name: bytes
    start: int
    size: int


def mended(path: Path) -> mmap.mmap | None:
    """The content of a file with the sizes that its header lacks; None if there is nothing to do.

    The file itself is not changed, and read only where it is needed. Raises OSError, ValueError or
    struct.error for files that cannot be understood.
    """
    with path.open("rb") as file:
        mend = _MENDERS.get(file.read(4))
        if mend is None:
            return None
        content = _Content(file.fileno(), 0, access=mmap.ACCESS_COPY)  # a copy of what changes
    done = mend(content)
    content.seek(0)
    return content if done else None


def _riff(content: mmap.mmap) -> bool:
    """WAV and RF64: a data chunk of size 0 that samples follow."""
    order = ">" if content[:4] == b"RIFX" else "<"
    sizes = block = None
    for chunk in _chunks(content, 12, f"{order}I", 2):
        if chunk.name == b"fmt ":
            (block,) = struct.unpack_from(f"{order}H", content, chunk.start + 12)
        elif chunk.name == b"ds64":
            sizes = chunk.start
        elif chunk.name == b"data":
            rest = len(content) - chunk.start
            if sizes is not None:
                claimed = struct.unpack_from("<Q", content, sizes + 8)[0]
                if claimed not in _NONE or not _is_signal(content, chunk, f"{order}I", 2):
                    return False
                frames = rest // block if block else 0
                struct.pack_into("<QQQ", content, sizes, len(content) - 8, rest, frames)
                return True
            if chunk.size or not _is_signal(content, chunk, f"{order}I", 2):
                return False
            size = struct.pack(f"{order}I", min(rest, 0xFFFFFFFF))
            content[4:8] = content[chunk.start - 4 : chunk.start] = size
            return True
    return False


def _caf(content: mmap.mmap) -> bool:
    """Core Audio: a data chunk of size -1 (its mark of a stream) or 0."""
    for chunk in _chunks(content, 8, ">Q", 1):
        if chunk.name == b"data":
            if chunk.size not in _NONE or not _is_signal(content, chunk, ">Q", 1):
                return False
            struct.pack_into(">Q", content, chunk.start - 8, len(content) - chunk.start)
            return True
    return False


def _au(content: mmap.mmap) -> bool:
    """Sun's and NeXT's: size 0 (their own mark, all ones, libsndfile knows)."""
    order = ">" if content[:4] == b".snd" else "<"
    offset, size = struct.unpack_from(f"{order}II", content, 4)
    if size or offset >= len(content):
        return False
    content[8:12] = b"\xff" * 4
    return True


def _flac(content: mmap.mmap) -> bool:
    """FLAC: no number of samples; they have to be counted."""
    if int.from_bytes(content[21:26], "big") & ((1 << 36) - 1):
        return False
    with _Forwards(content) as file:
        if file.frames < _UNKNOWN:
            return False
        count = 0
        while size := len(file.read(_BLOCK)):
            count += size
            if count > _MOST:
                raise ValueError(f"more than {_MOST:,} samples, and a header that names none")
    content[21:26] = (int.from_bytes(content[21:26], "big") | count).to_bytes(5, "big")
    return True


def _chunks(content: mmap.mmap, start: int, size: str, even: int) -> Iterator[_Chunk]:
    """The chunks from ``start`` on, as far as they lie within the file; the last may go beyond."""
    width = 4 + struct.calcsize(size)
    for _ in range(_CHUNKS):
        if start + width > len(content):
            return
        chunk = _Chunk(
            content[start : start + 4],
            start + width,
            struct.unpack_from(size, content, start + 4)[0],
        )
        yield chunk
        start = chunk.start + -(-chunk.size // even) * even


def _is_signal(content: mmap.mmap, chunk: _Chunk, size: str, even: int) -> bool:
    """Whether what follows the head of ``chunk`` is no sequence of other chunks."""
    end = chunk.start
    for after in _chunks(content, chunk.start, size, even):
        if not all(32 <= byte < 127 for byte in after.name):
            return True
        end = after.start + after.size
    return not len(content) - even < end <= len(content) + even - 1


_MENDERS: dict[bytes, Callable[[mmap.mmap], bool]] = {
    b"RIFF": _riff, b"RIFX": _riff, b"RF64": _riff, b"caff": _caf, b".snd": _au, b"dns.": _au,
    b"fLaC": _flac,
}  # fmt: skip
