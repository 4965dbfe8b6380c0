"""The reader ``ink``: InkML, JSON strokes, UNIPEN and prepared arrays, told apart by content."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqebm.hooks import DataError, Reader
from seqebm_ink.files import checked, kind_of
from seqebm_ink.ink import CHANNELS, Ink
from seqebm_ink.inkml import read_inkml
from seqebm_ink.options import InkReaderOptions
from seqebm_ink.strokes import read_strokes
from seqebm_ink.unipen import read_unipen

logger = logging.getLogger(__name__)

_NO_INK = (".doc", ".lex")  # what UNIPEN calls its files of documentation and of words
_OPEN = 8  # prepared arrays kept mapped


def read_ink(path: Path, include: Sequence[Path] = (), y_axis: str = "file") -> Ink:
    """Read a file of ink, whose format is told by its content.

    Args:
        path: an InkML, JSON or UNIPEN file.
        include: directories where UNIPEN's ``.INCLUDE`` looks, before the file's own.
        y_axis: ``"file"``: as the file says, or else as its format has it; ``"up"``, ``"down"``:
            the numbers of y in the file grow upwards or downwards, whatever it says.

    What is damaged in a UNIPEN file is left out, and a ``.doc`` or ``.lex`` file that it includes
    may be missing, each with a warning; so are steps back of the clock, and points of InkML without
    the last of their channels. Raises :class:`DataError`, naming
    the file and the remedy, if it cannot be read, is no ink, is malformed (see the readers of each
    format), includes another file that is missing, or has no points.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind == "inkml":
        ink = read_inkml(path, y_axis)
    elif kind == "json":
        ink = read_strokes(path, y_axis)
    elif kind == "unipen":
        ink = _unipen(path, include)
        if y_axis == "down":
            ink = replace(ink, xy=ink.xy * [1.0, -1.0] + 0.0)
    else:
        raise DataError(f"{path}: is an array of points; give it to the reader 'ink' instead")
    for note in ink.notes:
        logger.warning("%s: %s", path, note)
    if not len(ink):
        raise DataError(f"{path}: holds no points; record it again or remove it from the data")
    return ink


def _unipen(path: Path, include: Sequence[Path]) -> Ink:
    file = read_unipen(path, include)
    absent = [name for name in file.missing if not name.lower().endswith(_NO_INK)]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise DataError(
            f"{path}: includes {absent[0][:60]!r}{more}, which is not there; restore it, or name "
            "its directory: frontend.reader.include=[DIR] in a config, or --reader include=[DIR] "
            "for 'seqebm data validate'"
        )
    if file.missing:
        logger.warning("%s: goes without %s, which is not there", path, ", ".join(file.missing))
    if file.damaged:
        logger.warning("%s (%d faults; left out)", file.damaged[0], len(file.damaged))
    return file.ink()


class InkReader(Reader):
    """Reads ink as ``(N, 4)`` float32 points of :data:`seqebm_ink.ink.CHANNELS`, pen down only.

    Args:
        options: see :class:`seqebm_ink.options.InkReaderOptions`.

    It has no ``file_rate``: points of ink are not equally spaced in time, so that ``segments``
    must count points.
    """

    Options = InkReaderOptions
    kind = "ink"
    suffixes = (".inkml", ".json", ".npy", ".dat", ".unp", ".unipen", ".upn", ".xml", ".ink")

    def __init__(self, options: InkReaderOptions | None = None) -> None:
        self.options = options or InkReaderOptions()
        self._open: OrderedDict[Path, tuple[tuple[int, int], NDArray[Any]]] = OrderedDict()

    def read(
        self,
        path: Path,
        rate: int,
        start: int | None = None,
        stop: int | None = None,
        limit: float | None = None,
        channel: int | None = None,
    ) -> NDArray[np.float32]:
        """Return float32 points ``(N, 4)``: x, y (upwards) less those of the first, s, stroke.

        Args:
            path: an InkML, JSON or UNIPEN file, or an array of points that ``seqebm data prepare``
                made (``.npy``), which is mapped: a part of it costs no more than its own points.
            rate: points per second where a file has no times.
            start: first point of the segment, of those with the pen down; default 0.
            stop: point after the last one; default the end.
            limit: most points accepted, in seconds at ``rate``.
            channel: none: ink has no channels to choose from.

        Raises:
            DataError: as :func:`read_ink`; no stroke touches the paper; the segment is not inside;
                too many points; positions too large for float32; or an array of another shape or
                type, with NaN or infinite values, or with times or strokes that fall; or a
                channel is asked for.
        """
        path = Path(path)
        if channel is not None:
            raise DataError(
                f"{path}: holds ink, which has no channel {channel}; take it out of segments"
            )
        points = self._mapped(path)
        if points is not None:
            first, last = _bounds(path, len(points), start, stop, rate, limit)
            part = _checked(path, points[first:last].astype(np.float32), first)
        else:
            ink = read_ink(path, self.options.include, self.options.y_axis)
            with np.errstate(over="ignore", invalid="ignore"):  # found by _checked
                points = ink.points(rate)
            if not len(points):
                raise DataError(f"{path}: holds no points with the pen down")
            first, last = _bounds(path, len(points), start, stop, rate, limit)
            part = _checked(path, points[first:last].copy(), first)
        part[:, :3] -= part[0, :3].copy()
        part[:, 3] = np.concatenate(([0], np.cumsum(np.diff(part[:, 3]) != 0)))
        return part

    def __getstate__(self) -> dict[str, Any]:
        # A map would be pickled as a copy of the whole file.
        return {"options": self.options, "_open": OrderedDict()}

    def _mapped(self, path: Path) -> NDArray[Any] | None:
        """The array at ``path``, from those opened last if it is as it was; None: is none."""
        version = checked(path)
        if path not in self._open or self._open[path][0] != version:
            if kind_of(path) != "npy":
                return None
            self._open[path] = version, _map(path)
            if len(self._open) > _OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(path)
        return self._open[path][1]


def _map(path: Path) -> NDArray[Any]:
    try:
        points = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header makes NumPy raise whatever its parsers raise
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: is a damaged or cut short NumPy array ({reason}); prepare the data again"
        ) from error
    if points.ndim != 2 or points.shape[1] != len(CHANNELS) or points.dtype.kind != "f":
        raise DataError(
            f"{path}: holds {points.dtype} {points.shape}, not points (N, {len(CHANNELS)}) of "
            f"{', '.join(CHANNELS)}; prepare the data again"
        )
    if not len(points):
        raise DataError(f"{path}: holds no points; prepare the data again")
    return points


def _bounds(
    path: Path, count: int, start: int | None, stop: int | None, rate: int, limit: float | None
) -> tuple[int, int]:
    first = 0 if start is None else int(start)
    last = count if stop is None else int(stop)
    if not 0 <= first < last <= count:
        raise DataError(
            f"{path}: the segment [{first}, {last}) is not inside its {count} points; start and "
            "stop count points with the pen down, with 0 <= start < stop"
        )
    if limit is not None and last - first > limit * rate:
        raise DataError(
            f"{path}: has {last - first:,} points, over the limit of {limit * rate:,.0f} ({limit:g}"
            f" s at {rate} a second); cut it into segments, or raise 'limit' of the front-end"
        )
    return first, last


def _checked(path: Path, points: NDArray[np.float32], first: int) -> NDArray[np.float32]:
    if not np.isfinite(points).all():
        point, column = np.argwhere(~np.isfinite(points))[0].tolist()
        raise DataError(
            f"{path}: {CHANNELS[column]} of point {first + point} is {points[point, column]}, or "
            "too large for float32; repair the file (NaN and infinite values are unusable)"
        )
    if (np.diff(points[:, 2:], axis=0) < 0).any():
        point, column = np.argwhere(np.diff(points[:, 2:], axis=0) < 0)[0].tolist()
        raise DataError(
            f"{path}: {CHANNELS[2 + column]} falls after point {first + point}; a segment must not "
            "reach into the next utterance"
        )
    return points
