"""Reading text: the one place where the bytes of a text file become characters, lines and fields.

Data directories, lexica, n-gram models, word lists and configs all come through here, so that a
file means the same wherever it is given. Every package may import this module; it imports
nothing but the errors.
"""

from __future__ import annotations

import codecs
import gzip
import io
import math
import os
import re
import stat
import zlib
from pathlib import Path

from seqebm.errors import DataError, SeqebmError

LARGEST = 1 << 30  # bytes of a text, unpacked: more than any that can be used
MARK = "\ufeff"  # byte-order mark; a file made of several may have one at the start of any line
BLANKS = " \t\n\r\f\v"  # what parts fields; U+00A0 and the like are part of a word

_ENCODINGS = (  # UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GZIP = b"\x1f\x8b"
_MARKS = re.compile(f"^{MARK}+", re.MULTILINE)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DIGITS = 15  # of a whole number: no file counts that far, and every float holds it exactly


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


def encoding_of(data: bytes) -> tuple[str, int]:
    """What the mark at the start of a text says it is encoded in, and how many bytes it has."""
    for mark, encoding in _ENCODINGS:
        if data.startswith(mark):
            return encoding, len(mark)
    return "utf-8", 0


def decode(data: bytes, name: str, error: type[SeqebmError] = DataError, first: int = 1) -> str:
    """Bytes to text as :func:`read_text` does.

    ``name`` is what messages call it, and ``first`` the number of its first line.
    """
    encoding, start = encoding_of(data)
    data = data[start:]
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as fault:
        line = first + _unix(data[: fault.start].decode(encoding)).count("\n")
        raise error(
            f"{name}:{line}: is not {encoding.upper()} (byte 0x{data[fault.start]:02x}: "
            f"{fault.reason}); {_advice(data)}"
        ) from fault
    text = _unix(text)
    if "\0" in text:
        line = first + text.count("\n", 0, text.index("\0"))
        raise error(f"{name}:{line}: holds a NUL, so it is no text file; {_advice(data)}")
    return _MARKS.sub("", text) if MARK in text else text


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


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


def spaced(line: str) -> str:
    """The fields of a line with single blanks between them, as transcripts are kept."""
    return " ".join(fields(line))


def number(field: str) -> float:
    """The finite number that a field is; ValueError for ``nan``, ``1e309``, ``0x10``, ``1_000``."""
    value = float(field) if _NUMBER.fullmatch(field) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{shown(field)} is no number")
    return value


def whole(field: str) -> int:
    """The number of 0 or more that a field of up to 15 digits is; ValueError for any other."""
    if not (field.isascii() and field.isdigit() and len(field) <= _DIGITS):
        raise ValueError(f"{shown(field)} is no whole number of 0 or more")
    return int(field)


def shown(text: str, most: int = 60) -> str:
    """A text as messages quote it: what cannot be seen is escaped, and a long one cut."""
    return repr(text if len(text) <= most else text[: most - 1] + "…")
