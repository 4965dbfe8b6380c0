"""InkML files: traces of a pen, as XML.

Source: S. M. Watt, T. Underhill (eds.), "Ink Markup Language (InkML)", W3C Recommendation, 20
September 2011. Read as real files have it, which is more than the Recommendation allows:

- with any namespace or none; ids as ``xml:id`` or ``id``;
- a document's only trace format, source or context, if it is within ``<definitions>``, is in
  force even where nothing refers to it;
- without any trace format, what follows the first two values of a point is left out;
- times that begin again with each trace are laid end to end, where no ``timeOffset`` tells more;
- times without a unit are milliseconds if points lie more than half a unit apart, else seconds.

Brushes, annotations other than ``writer``, and views of traces are of no account: a view shows
again what is there. Traces within ``<definitions>`` count only if there are no others.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from seqebm.hooks import DataError
from seqebm_ink.files import content
from seqebm_ink.ink import JITTER, Floats, Ink, steady
from seqebm_ink.inkml_context import (
    Definitions,
    Element,
    Setting,
    children,
    identifier,
    local,
    number,
    similarity,
)
from seqebm_ink.inkml_values import decode

_UNDECLARED = 4  # values that a point may have where no format says so
_CURRENT = ("context", "inkSource", "traceFormat")  # of the traces that follow them


def read_inkml(path: Path, y_axis: str = "file") -> Ink:
    """Read an InkML file.

    ``y_axis``, ``"up"`` or ``"down"``, overrules the orientation that the file gives to Y.
    Positions are those of the file, with y turned upwards, after its canvas transform if it has
    one; where traces have different units, all are in those of the first.

    Raises :class:`DataError`, naming the file, if it cannot be read, is no InkML, declares
    entities or a document type, refers to what is not there, uses a transform that is not affine,
    mixes known with unknown units, or holds values that are malformed, unknown, NaN or infinite.
    """
    path = Path(path)
    data = content(path)
    try:
        root = _root(data)
        document = _Document(root)
        pieces = [p for trace in document.strokes() for p in trace.pieces()]
        with np.errstate(over="ignore", invalid="ignore"):  # Ink refuses what overflows
            return _ink(pieces, _writer(root), y_axis, document.notes())
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _root(data: bytes) -> Element:
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.removeprefix(codecs.BOM_UTF8).lstrip()  # blanks before <?xml are a common fault
    try:
        root = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(
            "declares a document type or entities, which are refused because they can read other "
            "files or exhaust the memory; remove the <!DOCTYPE ...>"
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise DataError(
            f"is damaged or cut short XML ({error}); copy or export it again"
        ) from error
    if local(root) != "ink":
        raise DataError(f"is XML, but its root is <{local(root)}>, not <ink>; it is no InkML")
    return root


def _writer(root: Element) -> str | None:
    for element in children(root, "annotation"):
        if element.get("type") == "writer" and element.text:
            return "_".join(element.text.split()) or None
    return None


class _Piece(NamedTuple):
    """Points of one state of the pen, and what is in force for them."""

    points: Floats  # (n, C), columns as setting.names
    setting: Setting
    down: bool
    offset: float | None  # milliseconds at which it begins
    duration: float | None  # milliseconds that it takes


@dataclass
class _Trace:
    """A trace with all that continues it."""

    name: str
    parts: list[Floats]
    setting: Setting
    down: bool
    offset: float | None
    duration: float | None

    def pieces(self) -> Iterator[_Piece]:
        """Itself, or its parts where a channel S tells that the pen left the paper."""
        points = np.concatenate(self.parts)
        if not len(points):
            return
        if "S" not in (names := self.setting.names):
            yield _Piece(points, self.setting, self.down, self.offset, self.duration)
            return
        touching = points[:, names.index("S")] != 0
        for part in np.split(np.arange(len(points)), np.flatnonzero(np.diff(touching)) + 1):
            yield _Piece(
                points[part], self.setting, self.down and bool(touching[part[0]]), None, None
            )


class _Document:
    """Finds the traces of a document and what is in force for each."""

    def __init__(self, root: Element) -> None:
        self.root = root
        self.definitions = Definitions(root)
        self.short = 0  # points that lack channels

    def notes(self) -> list[str]:
        """What was tolerated."""
        if not self.short:
            return []
        return [f"{self.short} points lack channels after x and y, which are unknown there"]

    def strokes(self) -> list[_Trace]:
        """Its traces in order, continuations joined to what they continue."""
        found: list[_Trace] = []
        by_id: dict[str, _Trace] = {}
        elements = list(self._elements([self.root]))
        if not elements:
            elements = list(self._elements(list(children(self.root, "definitions"))))
        for element, setting in elements:
            name = identifier(element) or f"trace {len(found)}"
            trace = self._trace(element, setting, name)
            if element.get("continuation") in ("middle", "end"):
                self._continue(trace, element.get("priorRef"), found, by_id)
            else:
                found.append(trace)
                by_id[name] = trace
        return found

    def _elements(self, roots: list[Element]) -> Iterator[tuple[Element, Setting]]:
        for root in roots:
            # No recursion: groups may be nested deeper than Python's stack.
            stack = [(iter(root), self.definitions.initial)]
            while stack:
                rest, setting = stack[-1]
                element = next(rest, None)
                if element is None:
                    stack.pop()
                elif local(element) in _CURRENT and root is self.root:
                    stack[-1] = rest, self.definitions.apply(element, setting)
                elif local(element) == "traceGroup":
                    stack.append((iter(element), self.definitions.referred(element, setting)))
                elif local(element) == "trace":
                    yield element, self.definitions.referred(element, setting)

    def _trace(self, element: Element, setting: Setting, name: str) -> _Trace:
        text = (element.text or "") + "".join(child.tail or "" for child in element)
        try:
            if not setting.declared:
                setting = _widened(text, setting)
            points, short = decode(
                text,
                [c.name for c in setting.channels],
                [c.default for c in setting.intermittent],
            )
            self.short += short
            xy = points[:, [setting.names.index("X"), setting.names.index("Y")]]
            if len(unknown := np.flatnonzero(np.isnan(xy).any(axis=1))):
                raise DataError(f"x or y of point {unknown[0]} is not known")
            offset, duration = number(element, "timeOffset"), number(element, "duration")
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        return _Trace(name, [points], setting, element.get("type") != "penUp", offset, duration)

    def _continue(
        self, trace: _Trace, prior: str | None, found: list[_Trace], by_id: dict[str, _Trace]
    ) -> None:
        before = by_id.get(prior.removeprefix("#")) if prior else found[-1] if found else None
        if before is None:
            raise DataError(
                f"{trace.name}: continues {prior or 'a trace'}, which is not before it; correct "
                "priorRef, or remove the attribute 'continuation'"
            )
        if before.setting != trace.setting:
            raise DataError(f"{trace.name}: has another format or context than what it continues")
        before.parts += trace.parts
        before.duration = None
        by_id[trace.name] = before


def _widened(text: str, setting: Setting) -> Setting:
    """Room for further values of unknown meaning, as where a file declares no format."""
    first = text.lstrip(", \t\r\n").partition(",")[0].split()
    if not 2 < len(first) <= _UNDECLARED:
        return setting
    further = [setting.channels[0]._replace(name=f"#{k}") for k in range(2, len(first))]
    return setting._replace(channels=(*setting.channels, *further))


def _ink(pieces: list[_Piece], writer: str | None, y_axis: str, notes: list[str]) -> Ink:
    pressure = None
    if pieces and all("F" in p.setting.names for p in pieces):
        pressure = [p.points[:, p.setting.names.index("F")] for p in pieces]
        if any(np.isnan(part).any() for part in pressure):
            pressure = None
    positions, per_mm = _positions(pieces, y_axis)
    return Ink.of_strokes(
        positions, [p.down for p in pieces], _times(pieces), pressure, per_mm, writer, notes
    )


def _positions(pieces: list[_Piece], y_axis: str) -> tuple[list[Floats], float | None]:
    """Positions (n, 2) of each piece, y upwards, in the units of the first; those per mm."""
    placed = [_placed(p.points, p.setting, y_axis) for p in pieces]
    positions = [xy for xy, _ in placed]
    known = {per_mm for _, per_mm in placed}
    if len(known) > 1 and None in known:
        raise DataError(
            "mixes traces with a unit of length and traces without; give every channel X and Y "
            "'units', or none"
        )
    if len(known) <= 1:
        return positions, known.pop() if known else None
    first = placed[0][1]
    assert first is not None
    return [xy * (first / per_mm) for xy, per_mm in placed if per_mm is not None], first


def _placed(points: Floats, setting: Setting, y_axis: str) -> tuple[Floats, float | None]:
    names = setting.names
    xy = points[:, [names.index("X"), names.index("Y")]]
    per_mm, y_per_mm = setting.per_mm("X"), setting.per_mm("Y")
    axes = [setting.channel("X"), setting.channel("Y")]
    if setting.transform is not None:
        matrix = np.array(setting.transform)
        xy = xy @ matrix[:, :2].T + matrix[:, 2]
        axes = [c for name in "XY" for c in setting.canvas if c.name == name]
        on_canvas = Setting(channels=setting.canvas).per_mm("X")
        scale = similarity(setting.transform)
        uniform = per_mm is not None and scale is not None and per_mm == y_per_mm
        per_mm = on_canvas or (per_mm / scale if uniform and per_mm and scale else None)
    elif per_mm and y_per_mm and per_mm != y_per_mm:
        xy = xy * np.array([1.0, per_mm / y_per_mm])
    downwards = axes[1].positive if y_axis == "file" else y_axis == "down"
    signs = np.array([1.0 if axes[0].positive else -1.0, -1.0 if downwards else 1.0])
    return xy * signs + 0.0, per_mm  # + 0.0: no negative zeros


def _times(pieces: list[_Piece]) -> list[Floats] | None:
    """Seconds of each piece; None where nothing tells.

    From the channel T; else from where traces begin and how long they take; else from the
    sampling rate, the pen taking no time in the air.
    """
    if pieces and all("T" in p.setting.names for p in pieces):
        clocks = _clocks(pieces)
        if not any(np.isnan(clock).any() for clock in clocks):
            return _ordered(clocks, [p.offset for p in pieces])
    if not pieces or any(p.setting.rate is None and not p.duration for p in pieces):
        return None
    clocks = []
    for piece in pieces:
        steps = np.arange(len(piece.points), dtype=np.float64)
        if piece.duration and piece.duration > 0:
            clocks.append(steps * (piece.duration / 1000 / max(1, len(steps) - 1)))
        else:
            clocks.append(steps / piece.setting.rate if piece.setting.rate else steps * 0)
    return _ordered(clocks, [p.offset for p in pieces])


def _clocks(pieces: list[_Piece]) -> list[Floats]:
    """The channel T in seconds."""
    raw = [p.points[:, p.setting.names.index("T")] for p in pieces]
    per_second = [p.setting.per_second("T") for p in pieces]
    steps = [np.diff(part) for part, per in zip(raw, per_second, strict=True) if per is None]
    every = np.concatenate([step[step > 0] for step in steps]) if steps else np.empty(0)
    guess = 1000.0 if len(every) and np.median(every) > 0.5 else 1.0
    return [part / (per or guess) for part, per in zip(raw, per_second, strict=True)]


def _ordered(clocks: list[Floats], offsets: list[float | None]) -> list[Floats]:
    """Times that never fall: shifted by the offsets, as they are, or laid end to end."""
    if not np.isfinite(np.concatenate(clocks)).all():
        return clocks  # Ink says which point
    begins_at_0 = len(clocks) > 1 and all(clock[0] == 0 for clock in clocks)
    if begins_at_0 and all(offset is not None for offset in offsets):
        shifted = [c + (o or 0) / 1000 for c, o in zip(clocks, offsets, strict=True)]
        if _rises(np.concatenate(shifted)):
            return shifted
    if _rises(np.concatenate(clocks)) and not begins_at_0:
        return clocks
    for stroke, clock in enumerate(clocks):
        if not _rises(clock):
            point = int(np.flatnonzero(clock < np.maximum.accumulate(clock) - JITTER)[0]) - 1
            raise DataError(
                f"time runs backwards in stroke {stroke} after point {point}, from "
                f"{clock[point]:g} to {clock[point + 1]:g} s; repair the file or remove channel T"
            )
    steps = np.concatenate([np.diff(clock) for clock in clocks])
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    laid, now = [], 0.0
    for clock in clocks:
        laid.append(clock - clock[0] + now)
        now = float(laid[-1][-1]) + step
    return laid


def _rises(clock: Floats) -> bool:
    """Never falls, but for jitter, which :class:`Ink` levels."""
    return bool((np.diff(steady(clock)) >= 0).all())
