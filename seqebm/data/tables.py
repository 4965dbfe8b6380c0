"""Kaldi's one-line-per-id text files: reading with every fault noted, and atomic writing.

A table is UTF-8 text, one ``id value`` per line, split at the first run of blanks. Reading is
lenient (any order, CRLF, a byte-order mark, blank lines) but keeps account of what it met.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from seqebm.errors import DataError
from seqebm.files import write_text

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Problem:
    """One fault of a data directory.

    Attributes:
        severity: ``"error"`` (the directory cannot be used) or ``"warning"``.
        file: the file that has the fault.
        line: its line, counted from 1, or None where no single line is at fault.
        id: the utterance or recording, or None.
        message: what is wrong and, where ``--fix`` cannot mend it, what to do.
        fixable: :func:`seqebm.data.validate.fix` mends it.
    """

    severity: Literal["error", "warning"]
    file: Path
    line: int | None
    id: str | None
    message: str
    fixable: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return f"{place}: {self.id}: {self.message}" if self.id else f"{place}: {self.message}"


class Row(NamedTuple):
    """One line of a table; ``value`` may be empty."""

    line: int
    id: str
    value: str


@dataclass
class Table:
    """What one file holds.

    Attributes:
        path: the file.
        rows: the first line of every id, in the order of the file.
        problems: what was met while reading.
        unreadable: number of lines that are not UTF-8, which are in no row.
    """

    path: Path
    rows: dict[str, Row] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unreadable: int = 0

    def note(
        self,
        severity: Literal["error", "warning"],
        row: Row | None,
        message: str,
        fixable: bool = False,
    ) -> None:
        """Record a problem of ``row``, or of the file if ``row`` is None."""
        line, name = (row.line, row.id) if row else (None, None)
        self.problems.append(Problem(severity, self.path, line, name, message, fixable))


def byte_order(name: str) -> bytes:
    """Sort key: Kaldi's tools need the order of ``LC_ALL=C sort``."""
    return name.encode("utf-8")


def read_table(path: Path) -> Table:
    """Read a table. Faults become problems; only an unreadable file raises :class:`DataError`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    table = Table(path)
    if raw.startswith(BOM):
        raw = raw[len(BOM) :]
        table.note("warning", None, "starts with a byte-order mark", fixable=True)
    if b"\r" in raw:
        table.note("warning", None, "has Windows line ends (CRLF)", fixable=True)
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    previous, unsorted, blank = None, None, None
    for number, encoded in enumerate(raw.split(b"\n")[: None if raw[-1:] != b"\n" else -1], 1):
        try:
            line = encoded.decode("utf-8").strip()
        except UnicodeDecodeError:
            table.unreadable += 1
            table.problems.append(
                Problem(
                    "error",
                    path,
                    number,
                    None,
                    "is not UTF-8; convert the file, e.g. with 'iconv -f latin1 -t utf8'",
                )
            )
            continue
        if not line:
            blank = blank or (number if raw else None)
            continue
        name, *rest = line.split(None, 1)
        row = Row(number, name, rest[0] if rest else "")
        if first := table.rows.get(name):
            agree = first.value.split() == row.value.split()
            table.note(
                "error",
                row,
                f"is listed twice, first on line {first.line}, "
                + ("with the same content" if agree else "with different content"),
                fixable=True,
            )
            continue
        if previous is not None and byte_order(previous) > byte_order(name):
            unsorted = unsorted or row
        previous = name
        table.rows[name] = row
    if blank:
        table.problems.append(Problem("warning", path, blank, None, "is a blank line", True))
    if unsorted:
        table.note("warning", unsorted, "is out of byte order (LC_ALL=C sort)", fixable=True)
    return table


def read_text(path: str | os.PathLike[str], what: str = "table") -> dict[str, str]:
    """Read a table of which nothing but ids and values is wanted, e.g. references or speakers.

    Values have their blanks normalised to single spaces and may be empty. Raises
    :class:`DataError` for a missing file, a line that is not UTF-8, or an id listed twice.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{what} {path} does not exist; give the path of a Kaldi text file")
    table = read_table(path)
    for problem in table.problems:
        if problem.severity == "error":
            raise DataError(f"{problem}; keep one line for each id")
    return {name: " ".join(row.value.split()) for name, row in table.rows.items()}


def write_table(path: str | os.PathLike[str], rows: Mapping[str, str]) -> None:
    """Write ``id value`` lines in byte order, atomically (a reader never sees half a file).

    Raises :class:`DataError` if an id is empty or holds blanks, if a value holds a line end, or
    if the disk refuses.
    """
    path = Path(path)
    for name, value in rows.items():
        if not name or name.split() != [name]:
            raise DataError(f"{path}: {name!r} cannot be an id: ids hold no blanks")
        if "\n" in value or "\r" in value:
            raise DataError(f"{path}: {name}: the value {value!r} holds a line end")
    lines = (f"{name} {rows[name]}".rstrip() for name in sorted(rows, key=byte_order))
    write_text(path, "".join(f"{line}\n" for line in lines))
