"""What front-ends share: normalisation by the utterance's or corpus's statistics, differences."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor

from seqebm.hooks import DataError, FrontEnd, ModelError

FITTED = ("global", "utterance_map")  # normalisations that need statistics of the corpus


def valid(lengths: Tensor, size: int) -> Tensor:
    """``(B,)`` lengths -> ``(B, size)`` bool, true at valid positions."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def check_lengths(frontend: FrontEnd, signal: Tensor, lengths: Tensor, what: str) -> Tensor:
    """Lengths on the signal's device. Raises :class:`DataError` for one that is out of range.

    ``what`` is what they count, for the message.
    """
    for i, n in enumerate(lengths.tolist()):
        if n < 1:
            raise DataError(f"item {i} of the batch has {n} {what}; remove it from the data")
        if n > signal.shape[1]:
            raise DataError(f"item {i}: length {n} exceeds its row of {signal.shape[1]}")
        if n > frontend.limit * frontend.rate:
            raise DataError(
                f"item {i} lasts {n / frontend.rate:.1f} s, over the limit of "
                f"{frontend.limit:g} s; cut it, or raise 'limit' of the front-end"
            )
    return lengths.to(signal.device)


class NormalisationOptions(Protocol):
    """The options that :class:`Normalised` looks at."""

    @property
    def normalisation(self) -> str:
        """The kind; see :class:`Normalised`."""
        ...

    @property
    def prior_frames(self) -> float:
        """utterance_map: frames that the corpus's mean counts for."""
        ...


class Normalised(FrontEnd):
    """Base of front-ends whose frames are normalised.

    ``options.normalisation`` is ``utterance_mean``, ``utterance_meanvar``, ``global`` (mean and
    deviation of the corpus), ``utterance_map`` (the utterance's mean, shrunk towards the corpus's)
    or ``none``. A subclass calls :meth:`_register_statistics` and defines :meth:`_unnormalised`
    and :meth:`_level`.
    """

    options: NormalisationOptions
    output_dim: int
    scaled = False  # utterance_mean and utterance_map also divide by the deviation from the means
    variance_floor = 1e-2  # added to the variance of an utterance
    mean: Tensor
    std: Tensor
    fitted: Tensor

    def _register_statistics(self, dimension: int) -> None:
        self.output_dim = dimension
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("std", torch.ones(dimension))
        self.register_buffer("fitted", torch.tensor(False))

    @abstractmethod
    def _unnormalised(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames ``(B, T, D)`` with their differences, and their numbers ``(B,)``."""

    @abstractmethod
    def _level(self, mean: Tensor) -> Tensor:
        """The part of ``(..., D)`` means that a change of gain alters."""

    def _needs_statistics(self) -> bool:
        how = self.options.normalisation
        return how in FITTED or (self.scaled and how == "utterance_mean")

    def _normalise(self, frames: Tensor, counts: Tensor) -> Tensor:
        mask = valid(counts, frames.shape[1])[..., None]
        how = self.options.normalisation
        if self._needs_statistics() and not self.fitted:
            raise ModelError(
                f"normalisation: {how} has no statistics yet; call fit() on the training data, or, "
                "if this is a saved model, train it again with this version"
            )
        if how == "global":
            frames = (frames - self.mean) / self.std
        elif how != "none":
            n = counts[:, None, None]
            mean = (frames * mask).sum(1, keepdim=True) / n
            frames = frames - (self._shrunk(mean, n) if how == "utterance_map" else mean)
            if how == "utterance_meanvar":
                variance = (frames.square() * mask).sum(1, keepdim=True) / n
                frames = frames / (variance + self.variance_floor).sqrt()
            elif self.scaled:
                frames = frames / self.std
        return frames * mask

    def _shrunk(self, mean: Tensor, frames: Tensor) -> Tensor:
        """The utterance's mean ``(B, 1, D)`` from so many frames, pulled towards the corpus's.

        The mean of a short word says more about its vowel than about the channel: subtracting it
        leaves little of "two" but its burst. So it is estimated a posteriori, as if
        ``prior_frames`` frames of the average utterance had been seen first (Gauvain & Lee 1994,
        section III). The level, which only tells how close the microphone was, goes entirely.
        """
        level, prior = self._level(mean), self.mean - self._level(self.mean)
        weight = frames / (frames + self.options.prior_frames)
        return level + weight * (mean - level) + (1 - weight) * prior

    @torch.no_grad()
    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Estimate mean and deviation of each feature, unperturbed, where normalisation needs them.

        ``batches`` yields ``(signal, lengths)``; it is not touched with other normalisations.
        """
        if not self._needs_statistics():
            return
        within = self.scaled and self.options.normalisation != "global"
        was_training = self.training
        self.eval()
        count = 0
        total = square = torch.zeros(len(self.mean), dtype=torch.float64)
        for signal, lengths in batches:
            frames, counts = self._unnormalised(
                signal.to(self.mean.device), lengths.to(self.mean.device)
            )
            mask = valid(counts, frames.shape[1])
            rows = frames[mask].double().cpu()
            count += len(rows)
            total = total + rows.sum(0)
            if within:  # deviations from the utterance's own mean
                own = (frames * mask[..., None]).sum(1, keepdim=True) / counts[:, None, None]
                rows = (frames - own)[mask].double().cpu()
            square = square + rows.square().sum(0)
        self.train(was_training)
        if not count:
            raise DataError(
                f"normalisation: {self.options.normalisation} needs at least one utterance to fit"
            )
        mean = total / count
        self.mean.copy_(mean)
        variance = square / count - (0.0 if within else mean.square())
        self.std.copy_(variance.clamp(min=1e-6).sqrt())
        self.fitted.fill_(True)


def with_deltas(frames: Tensor, counts: Tensor, order: int) -> Tensor:
    """Append differences over +-2 frames, the edge frames of each item being repeated."""
    parts = [frames]
    for _ in range(order):
        parts.append(_delta(parts[-1], counts))
    return torch.cat(parts, 2) if order else frames


def _delta(frames: Tensor, counts: Tensor) -> Tensor:
    time = torch.arange(-2, frames.shape[1] + 2, device=frames.device).clamp(min=0)
    index = torch.minimum(time[None, :], counts[:, None] - 1)
    wide = frames.gather(1, index[..., None].expand(-1, -1, frames.shape[2]))
    return 0.1 * (wide[:, 3:-1] - wide[:, 1:-3]) + 0.2 * (wide[:, 4:] - wide[:, :-4])
