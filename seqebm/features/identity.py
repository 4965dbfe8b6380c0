"""No network: the front-end's frames are the features (for fixed-template baselines)."""

from __future__ import annotations

from torch import Tensor

from seqebm.features.base import FeatureExtractor
from seqebm.hooks import Options as BaseOptions


class Identity(FeatureExtractor):
    """Hands the frames on unchanged."""

    Options = BaseOptions
    subsampling = 1

    def __init__(self, options: BaseOptions, input_dim: int) -> None:
        super().__init__()
        self.output_dim = input_dim

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, D)``, ``(B,)`` -> the same."""
        return frames, lengths
