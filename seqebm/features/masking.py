"""Normalisation layers that keep padding out of the valid frames."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation (Ioffe & Szegedy 2015) whose statistics leave padding out.

    Input ``(B, C, T)`` and ``valid`` ``(B, T)`` bool; invalid frames come out as zero.
    """

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise the valid frames, zero the others."""
        frames = x.transpose(1, 2)
        y = torch.zeros_like(frames)
        if self.training and int(valid.sum()) < 2:  # one frame has no variance
            y[valid] = nnf.batch_norm(
                frames[valid], self.running_mean, self.running_var, self.weight, self.bias,
                eps=self.eps,
            )  # fmt: skip
        else:
            y[valid] = super().forward(frames[valid])
        return y.transpose(1, 2)


class ChannelLayerNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each frame; same call as MaskedBatchNorm."""

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:  # type: ignore[override]
        """Normalise each frame, zero the invalid ones."""
        y = super().forward(x.transpose(1, 2)).transpose(1, 2)
        return y * valid[:, None]


class MaskedInstanceNorm(nn.Module):
    """Instance normalisation over the valid frames of each item and channel.

    Removes what is constant over an utterance (speaker, channel). Ulyanov et al. (2016).
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """``(B, C, T)``, ``(B, T)`` -> ``(B, C, T)`` with invalid frames zero."""
        weight = valid[:, None].to(x.dtype)
        count = weight.sum(-1, keepdim=True)
        mean = (x * weight).sum(-1, keepdim=True) / count
        variance = ((x - mean).square() * weight).sum(-1, keepdim=True) / count
        y = (x - mean) * torch.rsqrt(variance + self.eps)
        return (y * self.weight[:, None] + self.bias[:, None]) * weight


class NoNorm(nn.Module):
    """No normalisation; zeroes the invalid frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """``(B, C, T)``, ``(B, T)`` -> ``(B, C, T)``."""
        return x * valid[:, None]


NORMS: dict[str, type[nn.Module]] = {
    "batch": MaskedBatchNorm,
    "layer": ChannelLayerNorm,
    "instance": MaskedInstanceNorm,
    "none": NoNorm,
}
