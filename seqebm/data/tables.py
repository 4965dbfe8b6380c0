"""Kaldi's one-line-per-id text files: reading with every fault noted, and atomic writing.

A table is UTF-8 text, one ``id value`` per line, split at the first run of blanks. Reading is
lenient (any order, CRLF, byte-order marks, blank lines) but keeps account of what it met.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from seqebm.errors import DataError
from seqebm.files import write_text
from seqebm.spelling import plain, seen
from seqebm.text import BLANKS, MARK, decode, encoding_of, fields, lines, read_bytes, spaced


@dataclass(frozen=True)
class Problem:
    """One fault of a data directory.

    Attributes:
        severity: ``"error"`` (the directory cannot be used) or ``"warning"``.
        file: the file that has the fault.
        line: its line, counted from 1, or None where no single line is at fault.
        id: the utterance or recording, or None.
        message: what is wrong and, where ``--fix`` cannot mend it, what to do.
        fixable: :func:`seqebm.data.fix` repairs it, and no utterance is lost.
        droppable: only ``fix(drop=True)`` mends it, by dropping the utterance or the line.
    """

    severity: Literal["error", "warning"]
    file: Path
    line: int | None
    id: str | None
    message: str
    fixable: bool = False
    droppable: bool = False

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
        rivals: later lines of an id whose values differ from the first.
        problems: what was met while reading.
        unreadable: number of lines that are not UTF-8, which are in no row.
    """

    path: Path
    rows: dict[str, Row] = field(default_factory=dict)
    rivals: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unreadable: int = 0

    def note(
        self,
        severity: Literal["error", "warning"],
        row: Row | None,
        message: str,
        fixable: bool = False,
        droppable: bool = False,
    ) -> None:
        """Record a problem of ``row``, or of the file if ``row`` is None."""
        line, name = (row.line, row.id) if row else (None, None)
        problem = Problem(severity, self.path, line, name, message, fixable, droppable)
        self.problems.append(problem)


def byte_order(name: str) -> bytes:
    """Sort key: Kaldi's tools need the order of ``LC_ALL=C sort``."""
    return name.encode("utf-8", "surrogatepass")


def read_table(path: Path) -> Table:
    """Read a table. Faults become problems; only an unreadable file raises :class:`DataError`."""
    table = Table(path)
    previous, unsorted, blank = None, None, None
    for number, line in _numbered(read_bytes(path), table):
        name, *rest = fields(line, 1) or [""]
        if not name:
            blank = blank or number
            continue
        row = Row(number, name, rest[0].rstrip(BLANKS) if rest else "")
        if first := table.rows.get(name):
            agree = fields(first.value) == fields(row.value)
            what = "the same content" if agree else "different content"
            if not agree:
                table.rivals.append(row)
            table.note(
                "error", row, f"is listed twice, first on line {first.line}, with {what}",
                fixable=agree, droppable=not agree,
            )  # fmt: skip
            continue
        if previous is not None and byte_order(previous) > byte_order(name):
            unsorted = unsorted or row
        previous = name
        table.rows[name] = row
    if blank:
        table.problems.append(Problem("warning", path, blank, None, "is a blank line", True))
    if unsorted:
        table.note("warning", unsorted, "is out of byte order (LC_ALL=C sort)", fixable=True)
    if odd := [row for row in table.rows.values() if plain(row.id) != row.id]:
        table.note(
            "warning", odd[0], f"{len(odd)} ids are such as {seen(odd[0].id)}: only the same code "
            "points are the same id, so write them in one way (NFC, no U+00A0) in every file",
        )  # fmt: skip
    return table


def _numbered(raw: bytes, table: Table) -> Iterable[tuple[int, str]]:
    """Lines with their numbers; what is peculiar about the text is noted."""
    encoding, start = encoding_of(raw)
    if encoding != "utf-8":
        table.note("warning", None, f"is {encoding.upper()}, not UTF-8", fixable=True)
    elif start:
        table.note("warning", None, "starts with a byte-order mark", fixable=True)
    if b"\r" in raw and encoding == "utf-8":
        table.note("warning", None, "has Windows line ends (CRLF)", fixable=True)
    if encoding == "utf-8" and b"\n" + MARK.encode() in raw:
        table.note("warning", None, "has byte-order marks at the start of lines", fixable=True)
    try:
        return list(enumerate(lines(decode(raw, str(table.path))), 1))
    except DataError:
        if b"\0" in raw:
            raise  # no text at all, so it has no lines
    numbered = []
    for number, line in enumerate(raw.removesuffix(b"\n").split(b"\n"), 1):
        try:  # one such line must not cost the others
            numbered.append((number, decode(line, str(table.path), first=number)))
        except DataError as fault:
            table.unreadable += 1
            message = str(fault).removeprefix(f"{table.path}:{number}: ")
            table.problems.append(Problem("error", table.path, number, None, message))
    return numbered


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
    return {name: spaced(row.value) for name, row in table.rows.items()}


def write_table(path: str | os.PathLike[str], rows: Mapping[str, str]) -> None:
    """Write ``id value`` lines in byte order, atomically (a reader never sees half a file).

    Raises :class:`DataError` if an id is empty or holds blanks, if a value holds a line end, or
    if the disk refuses.
    """
    write_lines(path, rows.items())


def write_lines(path: str | os.PathLike[str], rows: Iterable[tuple[str, str]]) -> None:
    """As :func:`write_table`, where an id may have several lines; they keep their order."""
    path, rows = Path(path), list(rows)
    for name, value in rows:
        if not name or fields(name) != [name] or name.startswith(MARK):
            raise DataError(f"{path}: {name!r} cannot be an id: ids hold no blanks")
        if "\n" in value or "\r" in value:
            raise DataError(f"{path}: {name}: the value {value!r} holds a line end")
        if not _is_text(name + value):
            raise DataError(f"{path}: {name!r} {value!r} is not UTF-8; rename the file")
    rows.sort(key=lambda row: byte_order(row[0]))
    write_text(path, "".join(f"{name} {value}".rstrip(BLANKS) + "\n" for name, value in rows))


def _is_text(value: str) -> bool:
    """Not so for the name of a file whose bytes are no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
