"""What ink front-ends share: when each frame was written, and a picture of who wrote what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seqebm.hooks import DataError, FrontEnd
from seqebm_ink.ink import CHANNELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class PenFrontEnd(FrontEnd):
    """Base of the front-ends of ink: checks, times and pictures.

    Attributes:
        reads: ``"ink"``.
        rate: points per second, nominal.
        limit: longest ink accepted, in seconds at ``rate``.
    """

    reads = "ink"
    rate: int
    limit: float
    draws_signal = True

    def frame_of_point(self, points: Tensor) -> Tensor:
        """The frame in which each of ``(N, 4)`` points lies: ``(N,)`` int64."""
        raise NotImplementedError

    def frame_spans(self, points: Tensor) -> Tensor:
        """Seconds at which each frame of one ink begins and ends: ``(N, 4)`` -> ``(T, 2)``.

        A frame without a point of its own, between two strokes or two distant points, is given
        the time between the points around it.
        """
        frame, time = self.frame_of_point(points), points[:, CHANNELS.index("time")]
        count = self._frames(points)
        begin = torch.full((count,), torch.inf).scatter_reduce(0, frame, time, "amin")
        end = torch.full((count,), -torch.inf).scatter_reduce(0, frame, time, "amax")
        known = torch.isfinite(begin).nonzero().flatten()
        missing = torch.isinf(begin).nonzero().flatten()
        after = torch.searchsorted(known, missing)
        begin[missing] = end[known[(after - 1).clamp(min=0)]]
        end[missing] = begin[known[after.clamp(max=len(known) - 1)]]
        end = torch.maximum(begin, end)
        return torch.stack([begin, end], 1)

    def draw(self, axes: Axes, points: Tensor, parts: Sequence[tuple[str, int, int]]) -> None:
        """Draw ``(N, 4)`` points on ``axes``, coloured by part.

        ``parts`` are (label, first frame, one past the last frame); points of frames that are in
        no part are grey.
        """
        from seqebm_ink.drawing import draw_ink

        draw_ink(axes, points.numpy(), self.frame_of_point(points).numpy(), parts)

    def _frames(self, points: Tensor) -> int:
        training = self.training
        self.eval()
        with torch.no_grad():
            _, lengths = self(points[None], torch.tensor([len(points)]))
        self.train(training)
        return int(lengths[0])

    def _check(self, signal: Tensor, lengths: Tensor) -> None:
        """Raise :class:`DataError` for what is no batch of ink, naming the item."""
        name = type(self).__name__
        shape = (*signal.shape[:2], len(CHANNELS))
        if signal.dim() != 3 or signal.shape != shape or lengths.shape != signal.shape[:1]:
            raise DataError(
                f"{name} wants points (B, N, {len(CHANNELS)}) and lengths (B,), not "
                f"{tuple(signal.shape)} and {tuple(lengths.shape)}"
            )
        for i, count in enumerate(lengths.tolist()):
            if count < 1:
                raise DataError(f"item {i} of the batch has {count} points; remove it")
            if count > signal.shape[1]:
                raise DataError(f"item {i}: length {count} exceeds its row of {signal.shape[1]}")
            if count > self.limit * self.rate:
                raise DataError(
                    f"item {i} has {count:,} points, over the limit of "
                    f"{self.limit * self.rate:,.0f}; cut it, or raise 'limit' of the front-end"
                )
            if not torch.isfinite(signal[i, :count]).all():
                raise DataError(f"item {i} has NaN or infinite points; repair its file")
