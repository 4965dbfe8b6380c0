"""Front-ends make frames of a signal, feature extractors make features of frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqebm.hooks import Options as BaseOptions


class FrontEnd(nn.Module, ABC):
    """Base of the front-ends: signal to frames, made by ``factory(options)``.

    It augments in training mode only. In evaluation mode the result of an item must not depend on
    its padding or companions.

    Attributes:
        Options: the keys under ``frontend:`` of a config.
        reads: the kind of reader, e.g. ``"audio"``.
        rate: samples per second that it wants.
        limit: longest input in seconds that it accepts.
        output_dim: features per frame.
        frame_shift: seconds between frames.
    """

    Options = BaseOptions
    reads: str
    rate: int
    limit: float
    output_dim: int
    frame_shift: float

    @abstractmethod
    def forward(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N)`` padded signals, ``(B,)`` int64 lengths -> ``(B, T, D)``, ``(B,)`` lengths."""

    def fit(self, batches: Any) -> None:
        """Estimate global statistics from an iterable of ``(signal, lengths)``; may do nothing."""

    def frame_spans(self, signal: Tensor) -> Tensor | None:
        """``(T, 2)`` seconds at which each frame of one signal begins and ends.

        None, the default: they are equally spaced, frame t begins after t times the shift.
        """
        return None

    #: Whether :meth:`draw` shows the signal itself, not its frames over time.
    draws_signal = False

    def draw(self, axes: Any, signal: Tensor, parts: Sequence[tuple[str, int, int]]) -> None:
        """Draw one signal on matplotlib axes; by default its frames, over time.

        Args:
            axes: where to draw.
            signal: ``(N,)`` samples or ``(N, C)`` points.
            parts: (label, first frame, one past the last) of what was read, for colours.
        """
        with torch.no_grad():
            frames = self(signal[None], torch.tensor([len(signal)]))[0][0]
        axes.imshow(
            frames.T.numpy(), origin="lower", aspect="auto", interpolation="nearest",
            extent=(0, len(frames) * self.frame_shift, 0, frames.shape[1]), cmap="magma",
        )  # fmt: skip
        axes.set(title="front-end", xlabel="time (s)", ylabel="coefficient")


class FeatureExtractor(nn.Module, ABC):
    """Base of the feature extractors: frames to features, made by ``factory(options, input_dim)``.

    Attributes:
        Options: the keys under ``features:`` of a config.
        output_dim: features per output frame.
        subsampling: input frames per output frame.
    """

    Options = BaseOptions
    output_dim: int
    subsampling: int = 1

    @abstractmethod
    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, D)``, ``(B,)`` -> ``(B, T', D')``, ``(B,)``; padding must not leak."""
