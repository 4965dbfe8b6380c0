"""Front-end ``amap``: pen ink as an image that keeps what the pen did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqebm_ink import augment, normalise, raster
from seqebm_ink.ink import Floats
from seqebm_ink.options import AnnotatedImageOptions
from seqebm_ink.timing import PenFrontEnd

Lines = Callable[[Floats], tuple[float, float]]
_TALLEST = 4.0  # lines: the ink is at most so many times as high as the image


class Placement(NamedTuple):
    """Where ink goes: column ``(x - x0) * across + left``, row ``(y0 - y) * scale + top``.

    Attributes:
        x0, y0: a point of the ink.
        across, scale: columns and rows per unit.
        left, top: the column and row of ``(x0, y0)``.
        width: columns of the image.
    """

    x0: float
    y0: float
    across: float
    scale: float
    left: float
    top: float
    width: int

    def columns(self, x: Floats) -> Floats:
        """``(N,)`` x -> ``(N,)`` columns; integers are the centres of pixels."""
        return (x - self.x0) * self.across + self.left

    def rows(self, y: Floats) -> Floats:
        """``(N,)`` y -> ``(N,)`` rows, from the top; integers are the centres of pixels."""
        return (self.y0 - y) * self.scale + self.top


class AnnotatedImage(PenFrontEnd):
    """Annotated images (AMAP): pixels hold features of the trajectory instead of grey levels.

    Bengio & LeCun (1994), "Word normalization for on-line handwritten word recognition"; LeCun et
    al. (1998), section X. ``(B, N, 4)`` padded points of :data:`seqebm_ink.ink.CHANNELS` and
    ``(B,)`` lengths give ``(B, T, D)`` frames and ``(B,)`` lengths. A frame is a column of the
    image, of ``planes`` x ``height`` values in [0, 1] (D is their product, the planes one after
    another, each from the top row down): planes of direction, and one of curvature (see
    :func:`seqebm_ink.raster.draw`). Unlike trajectories, images do not change with the order of
    strokes, so that delayed dots and bars are where they belong.

    ``normalisation: box`` fits the whole ink into the height, keeping its aspect; ``lines`` puts
    the base line and the x-height on fixed rows, and cuts off what reaches beyond the image;
    ``given`` does the same with ink whose base line and x-height are y = 0 and 1.

    Args:
        options: see :class:`seqebm_ink.options.AnnotatedImageOptions`.
        lines: finds base line and x-height of ``(N, 4)`` points; default :func:`body_lines`.

    Attributes:
        reads: ``"ink"``.
        rate: points per second, nominal.
        limit: longest ink accepted, in seconds at ``rate``.
        planes: features of a pixel.
        output_dim: features per frame, D.
        frame_shift: seconds between frames, nominal: columns are not equally spaced in time.
    """

    Options = AnnotatedImageOptions

    def __init__(
        self, options: AnnotatedImageOptions | None = None, lines: Lines | None = None
    ) -> None:
        super().__init__()
        self.options = o = options if options is not None else self.Options()
        self.rate, self.limit = o.rate, o.limit
        self.planes = o.directions + o.curvature
        self.output_dim = self.planes * o.height
        self.frame_shift = 1 / o.rate
        self.lines = lines or body_lines

    def forward(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N, 4)`` points and ``(B,)`` lengths -> ``(B, T, D)`` columns and ``(B,)`` lengths.

        Raises:
            DataError: an item has no points, more than ``limit``, more than its row, or NaN or
                infinite values.
        """
        inks = self._checked(signal, lengths)
        if self.training and self.options.augment.active:
            inks = [
                _distorted(*pair) for pair in zip(inks, self._distortions(len(inks)), strict=True)
            ]
        places = [self._place(ink) for ink in inks]
        widths = [place.width for place in places]
        images = np.zeros((len(inks), max(widths), self.planes, self.options.height), np.float32)
        for ink, place, image in zip(inks, places, images, strict=True):
            raster.draw(
                place.columns(ink[:, 0]),
                place.rows(ink[:, 1]),
                ink[:, 3],
                self.options.directions,
                self.options.curvature,
                image[: place.width],
            )
        frames = torch.from_numpy(images).flatten(2)
        return frames.to(signal.device), torch.tensor(widths, device=signal.device)

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Do nothing: values are in [0, 1] as they are."""

    def frame_of_point(self, points: Tensor) -> Tensor:
        """The column that each of ``(N, 4)`` points is drawn in: ``(N,)`` int64.

        Raises :class:`DataError` as the call itself does.
        """
        (ink,) = self._checked(points[None], torch.tensor([len(points)]))
        place = self._place(ink)
        columns = np.rint(place.columns(ink[:, 0])).astype(np.int64)
        return torch.from_numpy(columns.clip(0, place.width - 1)).to(points.device)

    def _distortions(self, count: int) -> list[augment.Distortion]:
        return augment.draw(self.options.augment, count)

    def _checked(self, signal: Tensor, lengths: Tensor) -> list[Floats]:
        self._check(signal, lengths)
        points = signal.detach().cpu().double().numpy()
        return [item[:n] for item, n in zip(points, lengths.tolist(), strict=True)]

    def _place(self, ink: Floats) -> Placement:
        """Where ``(N, 4)`` points go in the image, and how wide that is."""
        o = self.options
        low, high = ink[:, :2].min(0), ink[:, :2].max(0)
        wide, tall = (high - low).tolist()
        rows = o.height - 1 - 2 * o.margin  # between the highest and the lowest point
        if o.normalisation != "box":
            base, mean = self.lines(ink) if o.normalisation == "lines" else (0.0, 1.0)
            # A poor estimate must not blow the ink up, nor may flat ink have no height at all.
            body = max(mean - base, tall * o.body / (_TALLEST * o.height), wide * o.body / 1e4)
            scale = o.body / body if body > 0 else 0.0
            y0, top = base, float(o.height - 1 - o.below)
        else:
            size = max(tall, wide / o.aspect)
            scale = rows / size if size > 0 else 0.0
            y0, top = (low[1] + high[1]) / 2, (o.height - 1) / 2
        across = scale * o.stretch
        room = o.max_width - 1 - 2 * o.margin
        if wide * across > room:
            across = room / wide
        width = max(o.min_width, int(np.ceil(wide * across - 1e-9)) + 1 + 2 * o.margin)
        left = (width - 1 - wide * across) / 2
        return Placement(float(low[0]), float(y0), across, scale, left, top, width)


def _distorted(ink: Floats, distortion: augment.Distortion) -> Floats:
    """Ink ``(N, 4)`` distorted as if the longer side of its bounding box had size 1."""
    centre, middle, size = normalise.box(ink[:, 0], ink[:, 1])
    x, y = (ink[:, 0] - centre) / size, (ink[:, 1] - middle) / size
    x, y, stroke = augment.apply(x, y, np.ascontiguousarray(ink[:, 3]), distortion)
    out = ink.copy()
    out[:, 0], out[:, 1], out[:, 3] = x * size, y * size, stroke
    return out


def body_lines(points: Floats) -> tuple[float, float]:
    """Base line and x-height of ``(N, 4)`` points, at their middle: y of each."""
    x, y, stroke = (np.ascontiguousarray(points[:, c]) for c in (0, 1, 3))
    slope, base, core = normalise.reference_lines(x, y, stroke)
    middle = (x.min() + x.max()) / 2
    return float(base + slope * middle), float(core + slope * middle)
