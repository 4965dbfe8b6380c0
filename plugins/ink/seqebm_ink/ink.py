"""One type for all pen ink: what every reader makes and every front-end takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seqebm.hooks import DataError

Floats = NDArray[np.float64]
CHANNELS = ("x", "y", "time", "stroke")  # of an array of points, as front-ends see it
JITTER = 0.05  # seconds: digitisers stamp points in packets, so that clocks step back a little


def steady(clock: Floats) -> Floats:
    """Times of which steps back within :data:`JITTER` are levelled: they stay where they were."""
    level = np.maximum.accumulate(clock) if len(clock) else clock
    with np.errstate(invalid="ignore"):  # infinite values are found by Ink
        return level if (level - clock <= JITTER).all() else clock


@dataclass(frozen=True, eq=False)
class Ink:
    """The trajectory of a pen.

    Attributes:
        xy: ``(N, 2)`` positions, x to the right and y **upwards**, in the units of the tablet.
        stroke: ``(N,)`` int64, number of the stroke of each point, from 0 and never falling.
        down: ``(S,)`` bool, whether each stroke touched the paper; others were recorded in the air.
        time: ``(N,)`` seconds, never falling; None: unknown.
        pressure: ``(N,)``, in the units of the tablet; None: unknown.
        units_per_mm: positions per millimetre; None: unknown.
        writer: who wrote; None: unknown.
        notes: what was tolerated in reading, for warnings.

    Raises :class:`DataError` for arrays that do not fit each other, NaN or infinite values, and
    strokes without points.
    """

    xy: Floats
    stroke: NDArray[np.int64]
    down: NDArray[np.bool_]
    time: Floats | None = None
    pressure: Floats | None = None
    units_per_mm: float | None = None
    writer: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.stroke)
        if self.xy.shape != (count, 2):
            raise DataError(f"positions of shape {self.xy.shape} for {count} points")
        for name, values in (("x, y", self.xy), ("time", self.time), ("pressure", self.pressure)):
            if values is None:
                continue
            if len(values) != count:
                raise DataError(f"{len(values)} values of {name} for {count} points")
            if not np.isfinite(values).all():
                point = int(np.argwhere(~np.isfinite(values))[0, 0])
                raise DataError(f"{name} of point {point} is {values[point]}; repair the file")
        if not np.array_equal(np.unique(self.stroke), np.arange(len(self.down))):
            raise DataError("a stroke has no points")
        if count and (np.diff(self.stroke) < 0).any():
            raise DataError("the strokes are out of order")
        if self.time is not None and (np.diff(self.time) < 0).any():
            point = int(np.flatnonzero(np.diff(self.time) < 0)[0])
            raise DataError(
                f"time runs backwards after point {point}, from {self.time[point]:g} to "
                f"{self.time[point + 1]:g} s; repair the file or leave the times out"
            )

    def __len__(self) -> int:
        return len(self.stroke)

    @classmethod
    def of_strokes(
        cls,
        strokes: list[Floats],
        down: list[bool] | None = None,
        time: list[Floats] | None = None,
        pressure: list[Floats] | None = None,
        units_per_mm: float | None = None,
        writer: str | None = None,
        notes: Sequence[str] = (),
    ) -> Ink:
        """Ink of S strokes, each ``(n, 2)`` positions; strokes without points are left out.

        Times that step back by no more than :data:`JITTER` are levelled, with a note.

        Raises :class:`DataError` as the class does.
        """
        kept = [s for s, points in enumerate(strokes) if len(points)]
        if not kept:
            return cls(np.empty((0, 2)), np.empty(0, np.int64), np.empty(0, bool))

        def joined(parts: list[Floats] | None) -> Floats | None:
            if parts is None:
                return None
            return np.concatenate([np.asarray(parts[s], np.float64) for s in kept])

        sizes = [len(strokes[s]) for s in kept]
        clock = joined(time)
        if clock is not None and (falls := int((np.diff(clock) < 0).sum())):
            clock = steady(clock)
            notes = [*notes, f"its clock steps back {falls} times, which is levelled"]
        return cls(
            np.concatenate([np.asarray(strokes[s], np.float64).reshape(-1, 2) for s in kept]),
            np.repeat(np.arange(len(kept)), sizes),
            np.array([True if down is None else down[s] for s in kept]),
            clock,
            joined(pressure),
            units_per_mm,
            writer,
            tuple(notes),
        )

    @property
    def strokes(self) -> list[Floats]:
        """The positions ``(n, 2)`` of each stroke."""
        return np.split(self.xy, np.flatnonzero(np.diff(self.stroke)) + 1) if len(self) else []

    def part(self, start: int, stop: int) -> Ink:
        """Points ``start`` to ``stop - 1``, as ink of its own."""
        stroke = self.stroke[start:stop]
        kept, renumbered = np.unique(stroke, return_inverse=True)
        return replace(
            self,
            xy=self.xy[start:stop],
            stroke=renumbered.astype(np.int64),
            down=self.down[kept],
            time=None if self.time is None else self.time[start:stop],
            pressure=None if self.pressure is None else self.pressure[start:stop],
        )

    def written(self) -> Ink:
        """Only the strokes that touched the paper."""
        mask = self.down[self.stroke]
        kept, renumbered = np.unique(self.stroke[mask], return_inverse=True)
        return replace(
            self,
            xy=self.xy[mask],
            stroke=renumbered.astype(np.int64),
            down=self.down[kept],
            time=None if self.time is None else self.time[mask],
            pressure=None if self.pressure is None else self.pressure[mask],
        )

    def points(self, rate: float) -> NDArray[np.float32]:
        """What front-ends take: ``(N, 4)`` float32 of :data:`CHANNELS`, pen down only.

        Positions are in the units of the tablet, less those of the first point (float32 holds
        them exactly enough only near 0); times are in seconds from the first point on, and go by
        ``rate`` points a second where they are unknown; strokes are numbered from 0.
        """
        ink = self.written()
        if not len(ink):
            return np.empty((0, len(CHANNELS)), np.float32)
        time = np.arange(len(ink)) / rate if ink.time is None else ink.time - ink.time[0]
        columns = (ink.xy - ink.xy[0], time[:, None], ink.stroke[:, None])
        return np.concatenate(columns, axis=1, dtype=np.float32)
