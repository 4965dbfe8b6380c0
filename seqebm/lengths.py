"""Lengths, never masks: the one place where a mask is made from lengths."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_frames(lengths: Tensor, time: int) -> Tensor:
    """``(B,)`` lengths -> ``(B, time)`` bool, true on the frames that are not padding."""
    return torch.arange(time, device=lengths.device) < lengths[:, None]
