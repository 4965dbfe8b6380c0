"""Space-displacement neural network: a 2-D convnet swept along an image of a whole word."""

from __future__ import annotations

from itertools import pairwise

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from seqebm.errors import ConfigError
from seqebm.features.base import FeatureExtractor
from seqebm.features.masking import NORMS
from seqebm.features.sizes import Extent, Extents, Width, Widths
from seqebm.features.tdnn import TDNN
from seqebm.lengths import valid_frames


class SDNN(FeatureExtractor):
    """2-D convolutions and pooling over rows and columns of an image, then a TDNN over columns.

    Frames are the columns of an image of ``planes`` feature planes, each frame holding one plane
    after another from the top row down. The first layer of the TDNN spans all rows that pooling
    has left: it is the convolution of full height that turns a recogniser of characters into one
    that is swept along the word. Matan et al. (1992), "Multi-digit recognition using a space
    displacement neural network"; LeCun et al. (1998), section VIII.
    """

    class Options(TDNN.Options):
        """Options of the 2-D layers and of the TDNN."""

        planes: Width = Field(5, description="feature planes of the image; must divide D")
        maps: Widths = Field((16, 32, 48), description="feature maps of each 2-D layer")
        pools: tuple[tuple[Extent, Extent], ...] = Field(
            ((2, 2), (2, 1), (1, 1)), description="rows and columns pooled after each 2-D layer"
        )
        map_kernel: Extent = Field(3, description="rows and columns a 2-D layer looks at (odd)")
        channels: Width = Field(96, description="width of every layer of the TDNN")
        kernels: Extents = Field(
            (5, 3), description="columns each layer of the TDNN looks at (odd)"
        )

        @model_validator(mode="after")
        def _check_maps(self):
            if len(self.maps) != len(self.pools):
                raise ValueError(f"maps has {len(self.maps)} entries, but pools {len(self.pools)}")
            if self.map_kernel % 2 == 0:
                raise ValueError(f"map_kernel must be odd, not {self.map_kernel}")
            if not self.kernels:
                raise ValueError("kernels must not be empty; its first layer spans all rows")
            return self

    def __init__(self, options: SDNN.Options, input_dim: int) -> None:
        super().__init__()
        if input_dim % options.planes:
            raise ConfigError(
                f"features.planes: {input_dim} features per frame are not {options.planes} planes "
                "of so many rows; set planes to those of the front-end"
            )
        self.planes, self.rows = options.planes, input_dim // options.planes
        self.pools = options.pools
        widths = [options.planes, *options.maps]
        kernel = options.map_kernel
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, kernel, padding=kernel // 2, bias=options.norm == "none")
            for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(NORMS[options.norm](width) for width in options.maps)
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout2d(options.dropout)
        rows = self.rows
        columns = 1
        for down, across in options.pools:
            rows = -(-rows // down)
            columns *= across
        self.tdnn = TDNN(options, rows * widths[-1])
        self.output_dim = self.tdnn.output_dim
        self.subsampling = columns * self.tdnn.subsampling

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, planes * rows)``, ``(B,)`` -> ``(B, ceil(T / s), output_dim)``, ``(B,)``."""
        batch, time, _ = frames.shape
        valid = valid_frames(lengths, time)
        x = (frames * valid[:, :, None]).view(batch, time, self.planes, self.rows)
        # (B, planes, rows, T), the layout in which both the norms and convolutions are fast.
        x = x.permute(0, 2, 3, 1).contiguous(memory_format=torch.channels_last)
        for convolution, norm, (down, across) in zip(
            self.convolutions, self.norms, self.pools, strict=True
        ):
            y = convolution(x)
            # Statistics are per map, over all rows: rows become further frames.
            _, maps, rows, time = y.shape
            y = norm(y.flatten(2), valid.repeat(1, rows)).view(batch, maps, rows, time)
            y = self.activation(y)
            if down > 1 or across > 1:
                # Padding is 0 and no value is less, so that the maximum does not see it.
                y = nn.functional.max_pool2d(y, (down, across), ceil_mode=True)
            lengths = (lengths + across - 1) // across
            valid = valid_frames(lengths, y.shape[3])
            x = self.dropout(y)
        return self.tdnn(x.flatten(1, 2).transpose(1, 2), lengths)
