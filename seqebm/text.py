"""Reading text: the one place where the bytes of a text file become characters, lines and fields.

Data directories, lexica, n-gram models, word lists and configs all come through here, so that a
file means the same wherever it is given. Every package may import this module; it imports
nothing but the errors.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import stat
import zlib
from pathlib import Path

from seqebm.errors import DataError, SeqebmError

LARGEST = 1 << 30  # bytes of a text, unpacked: more than any that can be used
MARK = "\ufeff"  # byte-order mark; a file made of several may have one at the start of any line

_ENCODINGS = (  # UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GZIP = b"\x1f\x8b"


def read_text(path: str | os.PathLike[str], error: type[SeqebmError] = DataError) -> str:
    """The text of a file, with line ends ``\\n`` and no byte-order marks.

    UTF-8, or UTF-16 and UTF-32 where a byte-order mark says so; gzip is unpacked. Only regular
    files are read, and at most 1 GiB of text.

    Raises ``error``, which names the file, the place in it and the remedy.
    """
    return decode(read_bytes(path, error), str(path), error)


def read_bytes(
    path: str | os.PathLike[str], error: type[SeqebmError] = DataError, largest: int = LARGEST
) -> bytes:
    """The bytes of a regular file, unpacked if it is gzip, and at most ``largest`` of them."""
    path = Path(path)
    try:
        # A pipe or a terminal would be waited for, a device might have no end.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            kind = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(kind):
                what = "a pipe" if stat.S_ISFIFO(kind) else "no regular file"
                raise error(f"{path}: cannot be read: it is {what}; write its content to a file")
            data = file.read(largest + 1)
        if data.startswith(_GZIP):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(largest + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise error(f"{path}: gzip, but damaged or cut short ({fault}); make it anew") from fault
    except OSError as fault:
        reason = fault.strerror or fault
        raise error(f"{path}: cannot be read: {reason}; check path and permissions") from fault
    except ValueError as fault:  # a NUL in the path
        raise error(f"{str(path)!r}: cannot be read: {fault}; check the path") from fault
    if len(data) > largest:
        raise error(f"{path}: holds more than {largest:,} bytes of text; give a smaller file")
    return data


def decode(data: bytes, name: str, error: type[SeqebmError] = DataError) -> str:
    """Bytes to text as :func:`read_text` does; ``name`` is what messages call it."""
    encoding = "utf-8"
    for mark, marked in _ENCODINGS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], marked
            break
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise error(
            f"{name}:{line}: is not {encoding.upper()} (byte 0x{data[fault.start]:02x}: "
            f"{fault.reason}); {_advice(data)}"
        ) from fault
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise error(f"{name}:{line}: holds a NUL, so it is no text file; {_advice(data)}")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if MARK in text:
        text = text.replace("\n" + MARK, "\n").removeprefix(MARK)
    return text


def _advice(data: bytes) -> str:
    """How to convert what is not UTF-8: every other byte of UTF-16 text is mostly NUL."""
    sample = data[:4096]
    for order, at in (("LE", 1), ("BE", 0)):
        if len(sample) > 1 and sample[at::2].count(0) > 0.4 * (len(sample) // 2):
            return f"convert it, e.g. with 'iconv -f UTF-16{order} -t UTF-8'"
    if b"\0" in sample:
        return "is it another kind of file?"
    return "convert it from its encoding, e.g. with 'iconv -f WINDOWS-1252 -t UTF-8'"


def lines(text: str) -> list[str]:
    """The lines of a text. Only ``\\n`` ends one: U+2028 and form feeds are characters of it."""
    parts = text.split("\n")
    return parts[:-1] if parts[-1] == "" else parts


def fields(line: str, most: int = -1) -> list[str]:
    """As ``line.split(None, most)``, but parted by ASCII blanks only: U+00A0 is part of a word."""
    parts = line.encode("utf-8", "surrogatepass").split(None, most)
    return [part.decode("utf-8", "surrogatepass") for part in parts]
