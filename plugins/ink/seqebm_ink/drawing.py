"""Pictures of ink."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray

_COLOURS = colormaps["tab10"].colors  # type: ignore[attr-defined]
_GREY = "0.65"


def draw_ink(
    axes: Axes,
    points: NDArray[np.floating],
    frames: NDArray[np.int64],
    parts: Sequence[tuple[str, int, int]],
) -> None:
    """Draw strokes, coloured by the part that each point belongs to, under the parts' labels.

    Args:
        axes: where to draw; gets an equal aspect and no ticks.
        points: ``(N, 4)`` of :data:`seqebm_ink.ink.CHANNELS`.
        frames: ``(N,)`` the frame of each point.
        parts: (label, first frame, one past the last frame); points of no part are grey.
    """
    part = np.full(len(points), -1)
    for index, (_, first, stop) in enumerate(parts):
        part[(frames >= first) & (frames < stop)] = index
    stroke = points[:, 3]
    for number in np.unique(stroke):
        own = np.flatnonzero(stroke == number)
        if len(own) == 1:
            axes.plot(*points[own[0], :2], "o", color=_colour(part[own[0]]), markersize=4)
            continue
        for a, b in itertools.pairwise(own):
            axes.plot(
                points[[a, b], 0], points[[a, b], 1], color=_colour(part[b]), linewidth=2,
                solid_capstyle="round",
            )  # fmt: skip
    top = float(points[:, 1].max())
    for index, (label, _, _) in enumerate(parts):
        own = np.flatnonzero(part == index)
        if len(own):
            x = (points[own, 0].min() + points[own, 0].max()) / 2
            axes.annotate(
                label, (float(x), top), (0, 6), textcoords="offset points", ha="center",
                va="bottom", color=_colour(index), fontsize=14, fontweight="bold",
                annotation_clip=False,
            )  # fmt: skip
    axes.set_aspect("equal", "datalim")
    axes.margins(0.05, 0.15)
    axes.set(xticks=[], yticks=[])


def _colour(part: int) -> str | tuple[float, ...]:
    return _GREY if part < 0 else _COLOURS[part % len(_COLOURS)]
