"""A small 2-D convnet over time and frequency, then a TDNN."""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field, model_validator
from torch import Tensor, nn

from seqebm.features.base import FeatureExtractor
from seqebm.features.masking import NORMS
from seqebm.features.sizes import Extent, Extents, Widths
from seqebm.features.tdnn import TDNN
from seqebm.lengths import valid_frames


class ConvTDNN(FeatureExtractor):
    """2-D convolutions that share weights along frequency, max-pooling over bands, then a TDNN.

    A longer or shorter vocal tract moves formants along the mel axis; sharing and pooling along
    frequency forgives such shifts, which a TDNN over whole spectra does not. Abdel-Hamid et al.
    (2014), "Convolutional neural networks for speech recognition".
    """

    class Options(TDNN.Options):
        """Options of the convolutional front and of the TDNN."""

        maps: Widths = Field((16, 32), description="feature maps of each 2-D layer")
        pools: Extents = Field((2, 2), description="bands pooled after each 2-D layer")
        map_kernel: Extent = Field(3, description="time and frequency extent (odd)")

        @model_validator(mode="after")
        def _check_maps(self):
            if len(self.maps) != len(self.pools):
                raise ValueError(f"maps has {len(self.maps)} entries, but pools {len(self.pools)}")
            if self.map_kernel % 2 == 0:
                raise ValueError(f"map_kernel must be odd, not {self.map_kernel}")
            return self

    def __init__(self, options: ConvTDNN.Options, input_dim: int) -> None:
        super().__init__()
        widths = [1, *options.maps]
        kernel = options.map_kernel
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, kernel, padding=kernel // 2, bias=options.norm == "none")
            for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(NORMS[options.norm](width) for width in options.maps)
        self.pools = nn.ModuleList(
            nn.MaxPool2d((pool, 1), ceil_mode=True) for pool in options.pools
        )
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout2d(options.dropout)
        bands = input_dim
        for pool in options.pools:
            bands = -(-bands // pool)
        self.tdnn = TDNN(options, bands * widths[-1])
        self.output_dim = self.tdnn.output_dim
        self.subsampling = self.tdnn.subsampling

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, D)``, ``(B,)`` -> ``(B, ceil(T / s), output_dim)``, ``(B,)``."""
        valid = valid_frames(lengths, frames.shape[1])
        x = (frames * valid[:, :, None]).transpose(1, 2)[:, None]  # (B, maps, bands, T)
        for convolution, norm, pool in zip(self.convolutions, self.norms, self.pools, strict=True):
            y = convolution(x)
            batch, maps, bands, time = y.shape
            # Normalisation is per map, over all bands: fold the bands into the batch.
            y = y.transpose(1, 2).reshape(batch * bands, maps, time)
            y = norm(y, valid.repeat_interleave(bands, 0))
            y = y.view(batch, bands, maps, time).transpose(1, 2)
            x = self.dropout(pool(self.activation(y)))
        return self.tdnn(x.flatten(1, 2).transpose(1, 2), lengths)
