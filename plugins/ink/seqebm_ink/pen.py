"""Front-end ``pen``: the trajectory of the pen as frames at equal distances along its way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqebm_ink import augment, normalise, trajectory
from seqebm_ink.ink import Floats
from seqebm_ink.options import PenOptions
from seqebm_ink.timing import PenFrontEnd

_LOWEST, _HIGHEST = -1.25, 2.5  # lines: what context sees, in x-heights above the base line


class _Ink(NamedTuple):
    """Normalised ink: ``(N,)`` each; letters have size 1."""

    x: Floats
    y: Floats
    stroke: Floats


class Pen(PenFrontEnd):
    """Position, direction, curvature and pen state at equal steps along the way of the pen.

    Guyon, Albrecht, LeCun, Denker & Hubbard (1991), "Design of a neural network character
    recognizer for a touch terminal", for the features; Jaeger, Manke, Reichert & Waibel (2001),
    "Online handwriting recognition: the NPen++ recognizer", for the context bitmap and the "hat"
    that stands for delayed strokes.

    ``(B, N, 4)`` padded points of :data:`seqebm_ink.ink.CHANNELS` and ``(B,)`` lengths give
    ``(B, T, D)`` frames and ``(B,)`` lengths. Ink is first normalised: ``normalisation: box``
    makes the longer side of the bounding box 1, centred on 0; ``lines`` levels the base line and
    makes the x-height 1, with the base line at 0, and takes the slant out; ``given`` leaves ink as
    it is, for which that has been done (:meth:`normalised`). Frames then lie ``step`` apart along
    the pen's way, strokes being joined by straight lines through the air, which count half.
    Features of a frame, in this order: x (box only) and y; cosine and sine of the direction;
    cosine (less 1) and sine of the turn; 1 if the pen is down; with ``delayed: hat``, the ink of
    delayed strokes above or below the frame, these strokes being left out of the way; and the
    context, ``context`` columns by ``rows`` of ink around the frame.

    Attributes:
        output_dim: features per frame, D.
        frame_shift: seconds between frames, nominal: frames are not equally spaced in time.
    """

    Options = PenOptions

    def __init__(self, options: PenOptions | None = None) -> None:
        super().__init__()
        self.options = o = options if options is not None else self.Options()
        self.rate, self.limit = o.rate, o.limit
        self.frame_shift = 1 / o.rate
        self._boxed = o.normalisation == "box"
        self._place = 2 if self._boxed else 1
        self._hat = o.delayed == "hat"
        self.output_dim = self._place + 5 + self._hat + o.context * o.rows

    def forward(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N, 4)`` points and ``(B,)`` lengths -> ``(B, T, D)`` frames and ``(B,)`` lengths.

        Raises:
            DataError: an item has no points, more than ``limit``, more than its row, or NaN or
                infinite values.
        """
        self._check(signal, lengths)
        points = signal.detach().cpu().double().numpy()
        inks = [
            self._normalised(item[:n]) for item, n in zip(points, lengths.tolist(), strict=True)
        ]
        paces = [1.0] * len(inks)
        if self.training and self.options.augment.active:
            distortions = augment.draw(self.options.augment, len(inks))
            inks = [_Ink(*augment.apply(*ink, d)) for ink, d in zip(inks, distortions, strict=True)]
            paces = [d.pace for d in distortions]
        items = [self._frames_of(ink, pace) for ink, pace in zip(inks, paces, strict=True)]
        counts = [len(item) for item in items]
        frames = np.zeros((len(items), max(counts), self.output_dim), np.float32)
        for row, item in zip(frames, items, strict=True):
            row[: len(item)] = item
        device = signal.device
        return torch.from_numpy(frames).to(device), torch.tensor(counts, device=device)

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Do nothing: features are of order 1 as they are."""

    def frame_of_point(self, points: Tensor) -> Tensor:
        """The frame nearest to each of ``(N, 4)`` points; delayed strokes go by their x.

        Raises :class:`DataError` as the call itself does.
        """
        self._check(points[None], torch.tensor([len(points)]))
        ink = self._normalised(points.detach().cpu().double().numpy())
        kept, late = self._split(ink)
        length = trajectory.way(*kept)
        count, step = self._steps(length[-1], 1.0)
        found = np.empty(len(ink.x), np.int64)
        found[~late] = np.rint(length / step) if step > 0 else 0
        if late.any():
            px, _, pen = trajectory.resample(*kept, length, count, step)
            away = np.abs(px[None] - ink.x[late][:, None]) + np.where(pen > 0, 0, 1e6)
            found[late] = away.argmin(1)
        return torch.from_numpy(found.clip(0, count - 1)).to(points.device)

    def normalised(self, points: Tensor) -> Tensor:
        """``(N, 4)`` points with the size and place that frames are made from, as ``(N, 4)``.

        Raises :class:`DataError` as the call itself does.
        """
        self._check(points[None], torch.tensor([len(points)]))
        ink = self._normalised(points.detach().cpu().double().numpy())
        out = points.clone()
        out[:, 0], out[:, 1] = (torch.from_numpy(values).to(out) for values in (ink.x, ink.y))
        return out

    def _normalised(self, points: Floats) -> _Ink:
        x, y, stroke = (np.ascontiguousarray(points[:, c]) for c in (0, 1, 3))
        if self.options.normalisation == "given":
            return _Ink(x, y, stroke)
        if self._boxed:
            centre, middle, size = normalise.box(x, y)
            return _Ink((x - centre) / size, (y - middle) / size, stroke)
        slope, base, core = normalise.reference_lines(x, y, stroke)
        body = core - base
        y = (y - slope * x - base) / body
        x = (x - x.min()) / body
        shear = normalise.slant(x, y, stroke)
        return _Ink(x - shear * y, y, stroke)

    def _split(self, ink: _Ink) -> tuple[_Ink, np.ndarray]:
        """The ink along which frames are taken, and which points are not of it."""
        if not self._hat:
            return ink, np.zeros(len(ink.x), bool)
        late = trajectory.delayed(*ink, 0.5)
        return _Ink(*(values[~late] for values in ink)), late

    def _steps(self, total: float, pace: float) -> tuple[int, float]:
        o = self.options
        found: tuple[int, float] = trajectory.steps(
            total, o.step * pace, o.least_frames, o.most_frames
        )
        return found

    def _frames_of(self, ink: _Ink, pace: float) -> np.ndarray:
        o = self.options
        kept, late = self._split(ink)
        length = trajectory.way(*kept)
        count, step = self._steps(length[-1], pace)
        px, py, pen = trajectory.resample(*kept, length, count, step)
        out = np.zeros((count, self.output_dim), np.float32)
        out[:, : self._place] = np.stack([px, py], 1)[:, -self._place :]
        at = self._place
        trajectory.describe(px, py, pen, out[:, at : at + 5])
        at += 5
        if self._hat:
            if late.any():
                cell = 0.5
                left = float(min(px.min(), ink.x.min())) - cell
                columns = int((max(px.max(), ink.x.max()) - left) / cell) + 2
                columns = min(columns, 4 * o.most_frames)  # of ink that is one long line
                hats = trajectory.raster(
                    ink.x[late], ink.y[late], ink.stroke[late], left, -50.0, cell, 100.0, columns, 1
                )  # fmt: skip
                trajectory.context(hats * 200.0, px, left, cell, 1, out[:, at : at + 1])
            at += 1
        if o.context:
            low, high = (-0.5, 0.5) if self._boxed else (_LOWEST, _HIGHEST)
            wide, tall = o.cell, (high - low) / o.rows
            left = float(ink.x.min()) - wide
            columns = int((ink.x.max() - left) / wide) + 3
            columns = min(columns, 4 * o.most_frames)
            image = trajectory.raster(*ink, left, low, wide, tall, columns, o.rows)
            trajectory.context(image, px, left, wide, o.context, out[:, at:])
        return out
