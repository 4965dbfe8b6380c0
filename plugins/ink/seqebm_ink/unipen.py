"""UNIPEN files: sections of pen trajectories and the segments that label them.

Format: I. Guyon et al., "UNIPEN project of on-line data exchange and recognizer benchmarks", ICPR
1994, and the format's definition that comes with the data. What the definition leaves open is
read as the published corpus has it:

- components without points (a bare ``.PEN_UP``) are not numbered; ``.PEN_UP`` with points is;
- ``.SEGMENT`` counts the components of the file with everything that it includes, in order;
- ``a:p-b:q`` is point p of component a to point q of component b, both included;
- where x and y have different resolutions, y is brought to that of x; components of different
  resolutions that make one ink are brought to that of the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqebm.hooks import DataError
from seqebm_ink.ink import Floats, Ink

LARGEST = 200_000_000  # bytes of one file with all that it includes
_MOST = 20_000  # files that it includes
_DEEPEST = 8  # files that include each other
_KEYWORD = re.compile(r"^\.([A-Z][A-Z_0-9]*)[ \t]*(.*)$", re.MULTILINE)
_COUNT = r"([0-9]{1,9})"
_RANGE = re.compile(rf"{_COUNT}(?::{_COUNT})?(?:-{_COUNT}(?::{_COUNT})?)?")
_LABEL = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PER_MM = {"MM": 1.0, "CM": 10.0, "INCH": 25.4}


class Component(NamedTuple):
    """Points between two changes of the pen.

    Attributes:
        points: ``(n, C)`` values in the order of ``channels``.
        channels: names, such as ``("X", "Y", "T")``.
        down: whether the pen touched the paper.
        writer: who wrote; None: not said.
        rate: points per second; None: not said.
        units_per_mm: positions per millimetre; None: not said.
    """

    points: Floats
    channels: tuple[str, ...]
    down: bool
    writer: str | None
    rate: float | None
    units_per_mm: float | None


class Segment(NamedTuple):
    """A labelled part.

    Attributes:
        level: of the hierarchy, such as ``"CHARACTER"``.
        ranges: the components it consists of: (first, point or None, last, point or None).
        quality: ``"OK"``, ``"GOOD"``, ``"BAD"``, ``"LEGIBLE"`` or ``"?"`` as the file says.
        label: what was written.
    """

    level: str
    ranges: tuple[tuple[int, int | None, int, int | None], ...]
    quality: str
    label: str


@dataclass
class Unipen:
    """A UNIPEN file with all that it includes.

    Attributes:
        path: the file.
        components: those with points, in order.
        segments: in order.
        missing: included files that do not exist.
        damaged: what could not be understood, a message each; it is left out.
    """

    path: Path
    components: list[Component] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def ink(self, segment: Segment | None = None) -> Ink:
        """The ink of a segment, or of the whole file.

        Raises :class:`DataError` if the segment names a component or point that is not there, or
        if the ink cannot be used (see :class:`Ink`).
        """
        try:
            return _joined(list(self._pieces(segment)) if segment else self.components)
        except DataError as error:
            what = f"segment {segment.label!r}: " if segment else ""
            raise DataError(f"{self.path}: {what}{error}") from error

    def _pieces(self, segment: Segment) -> Iterator[Component]:
        for first, start, last, stop in segment.ranges:
            if not first <= last < len(self.components):
                raise DataError(
                    f"names components {first} to {last}, but there are {len(self.components)}"
                )
            for number in range(first, last + 1):
                component = self.components[number]
                begin = start if number == first and start is not None else 0
                end = stop + 1 if number == last and stop is not None else len(component.points)
                if not begin < end <= len(component.points):
                    raise DataError(
                        f"names points {begin} to {end - 1} of component {number}, which has "
                        f"{len(component.points)}"
                    )
                yield component._replace(points=component.points[begin:end])


def read_unipen(path: Path, include: Sequence[Path] = ()) -> Unipen:
    """Read a UNIPEN file and what it includes.

    Args:
        path: the file.
        include: directories where included files are looked for, before the file's own.

    Raises :class:`DataError` if the file cannot be read, is not UNIPEN, or includes itself.
    """
    result = Unipen(Path(path))
    _Parser(result, [*map(Path, include), Path(path).parent]).file(Path(path), ())
    if not result.components and not result.segments and not result.missing:
        raise DataError(f"{path}: holds neither .PEN_DOWN nor .SEGMENT; it is no UNIPEN file")
    return result


@dataclass
class _Parser:
    """What is in force where the file is being read."""

    result: Unipen
    include: list[Path]
    channels: tuple[str, ...] = ("X", "Y")
    writer: str | None = None
    rate: float | None = None
    units_per_mm: float | None = None  # of x
    y_per_mm: float | None = None
    size: int = 0  # bytes read so far
    included: int = 0  # files

    def file(self, path: Path, within: tuple[Path, ...]) -> None:
        if path in within or len(within) > _DEEPEST:
            raise DataError(f"{path}: is included by itself; remove the .INCLUDE")
        text = _text(path)
        self.size += len(text)
        self.included += 1
        if self.size > LARGEST or self.included > _MOST:
            raise DataError(
                f"{self.result.path}: more than {LARGEST // 1_000_000} MB or {_MOST:,} files with "
                "all that it includes; cut it into parts"
            )
        found = list(_KEYWORD.finditer(text))
        ends = [*(match.start() for match in found[1:]), len(text)]
        for match, end in zip(found, ends, strict=False):
            body = text[match.end() : end]
            keyword, arguments = match[1], match[2].strip()
            if keyword in ("PEN_DOWN", "PEN_UP"):
                self._component(path, keyword == "PEN_DOWN", f"{arguments} {body}")
            elif keyword == "INCLUDE":
                self._included(arguments, (*within, path))
            else:
                self._keyword(path, keyword, arguments)

    def _included(self, name: str, within: tuple[Path, ...]) -> None:
        for folder in self.include:
            if name and _is_file(folder / name):
                self.file(folder / name, within)
                return
        self.result.missing.append(name)

    def _component(self, path: Path, down: bool, values: str) -> None:
        words = values.split()
        if not words:
            return
        width = len(self.channels)
        try:
            numbers = np.array(words, np.float64)
            if len(numbers) % width:
                raise ValueError(f"{len(numbers)} values, not points of {' '.join(self.channels)}")
        except ValueError as error:
            self._damage(path, f"component {len(self.result.components)}: {str(error)[:90]}")
            # The lines that are whole: reading on across a gap would mix up the channels.
            lines = [line.split() for line in values.splitlines()]
            whole = [x for x in lines if len(x) == width and all(map(_is_number, x))]
            numbers = np.array(whole, np.float64).reshape(-1)
        if not len(numbers):
            return
        self.result.components.append(
            Component(
                self._scaled(numbers.reshape(-1, width)),
                self.channels,
                down,
                self.writer,
                self.rate,
                self.units_per_mm,
            )
        )

    def _scaled(self, points: Floats) -> Floats:
        if self.units_per_mm and self.y_per_mm and self.units_per_mm != self.y_per_mm:
            points[:, self.channels.index("Y")] *= self.units_per_mm / self.y_per_mm
        return points

    def _keyword(self, path: Path, keyword: str, arguments: str) -> None:
        if keyword == "SEGMENT":
            segment = _segment(arguments)
            if segment is None:
                self._damage(path, f"the line '.SEGMENT {arguments[:60]}' is not understood")
            else:
                self.result.segments.append(segment)
        elif keyword == "COORD":
            channels = tuple(arguments.upper().split())
            if "X" in channels and "Y" in channels:
                self.channels = channels
            else:
                self._damage(path, f"the line '.COORD {arguments[:60]}' names no X and Y")
        elif keyword == "WRITER_ID":
            self.writer = "_".join(arguments.split()) or None
        elif keyword == "POINTS_PER_SECOND":
            self.rate = self._positive(path, keyword, arguments)
        elif match := re.fullmatch(r"([XY])_POINTS_PER_(MM|CM|INCH)", keyword):
            value = self._positive(path, keyword, arguments)
            per_mm = value and value / _PER_MM[match[2]]
            if match[1] == "X":
                self.units_per_mm = per_mm
            else:
                self.y_per_mm = per_mm

    def _positive(self, path: Path, keyword: str, arguments: str) -> float | None:
        first = arguments.split()[0] if arguments else ""
        if _is_number(first) and float(first) > 0:
            return float(first)
        self._damage(path, f"'.{keyword} {arguments[:60]}' is no positive number")
        return None

    def _damage(self, path: Path, message: str) -> None:
        self.result.damaged.append(f"{path}: {message}")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path}: larger than {LARGEST // 1_000_000} MB; cut it into parts")
        # Free text of the headers is in the encodings of many countries; the rest is ASCII.
        return path.read_bytes().decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def _segment(arguments: str) -> Segment | None:
    """``CHARACTER 12:0-13:20 OK "g"``; None if it is not understood or has no label."""
    match = re.match(r"(\S+)\s+([\d:,-]+)\s+(\S+)\s+(.*)", arguments)
    label = match and _LABEL.match(match[4])
    if not match or not label:
        return None
    ranges = []
    for part in match[2].split(","):
        span = _RANGE.fullmatch(part)
        if not span:
            return None
        first, start, last, stop = (None if g is None else int(g) for g in span.groups())
        assert first is not None
        if last is None:  # "5" is all of component 5, "5:3" a single point of it
            last, stop = first, start
        ranges.append((first, start, last, stop))
    return Segment(match[1], tuple(ranges), match[3], re.sub(r"\\(.)", r"\1", label[1]))


def _joined(pieces: Sequence[Component]) -> Ink:
    if not pieces:
        return Ink.of_strokes([])
    columns = [{name: k for k, name in enumerate(p.channels)} for p in pieces]
    xy = [p.points[:, [c["X"], c["Y"]]] for p, c in zip(pieces, columns, strict=True)]
    units = [p.units_per_mm for p in pieces]
    first = units[0]
    if len(set(units)) > 1:
        known = [unit for unit in units if unit is not None]
        if first is None or len(known) < len(units):
            raise DataError(
                "mixes components with X_POINTS_PER_... and without; state the resolution of all, "
                "or of none"
            )
        xy = [part * (first / unit) for part, unit in zip(xy, known, strict=True)]
    pressure = None
    if all("P" in c for c in columns):
        pressure = [p.points[:, c["P"]] for p, c in zip(pieces, columns, strict=True)]
    return Ink.of_strokes(
        xy,
        [p.down for p in pieces],
        _times(pieces),
        pressure,
        first,
        pieces[0].writer,
    )


def _times(pieces: Sequence[Component]) -> list[Floats] | None:
    """Seconds since the first point: from T (milliseconds) if that is usable, else from the rate.

    In the air the pen is taken to need no time, where nothing was recorded.
    """
    if all("T" in p.channels for p in pieces):
        clock = [p.points[:, p.channels.index("T")] / 1000 for p in pieces]
        every = np.concatenate(clock)
        if (np.diff(every) >= 0).all() and every[-1] > every[0]:
            return [part - every[0] for part in clock]
    if any(p.rate is None for p in pieces):
        return None
    times, now = [], 0.0
    for piece in pieces:
        assert piece.rate is not None
        steps = now + np.arange(len(piece.points)) / piece.rate
        times.append(steps)
        now = float(steps[-1]) + 1 / piece.rate
    return times
