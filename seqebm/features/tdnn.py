"""Time-delay neural network: 1-D convolutions over time (Waibel et al. 1989)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from seqebm.features.base import FeatureExtractor
from seqebm.features.masking import NORMS
from seqebm.features.sizes import Extents, Width
from seqebm.hooks import Options as BaseOptions
from seqebm.lengths import valid_frames


class TDNN(FeatureExtractor):
    """A stack of convolution, normalisation, ReLU and dropout, then a linear map to features.

    Layer i looks at ``kernels[i]`` frames, ``dilations[i]`` apart, and keeps every
    ``strides[i]``-th frame. Padding is zeroed after every layer, so that the features of an item
    do not depend on the items beside it (in evaluation mode, exactly; in training mode batch
    normalisation couples the valid frames of a batch, as it must).

    Peddinti, Povey & Khudanpur (2015) for dilated TDNNs; He et al. (2016) for the residual sums.
    """

    class Options(BaseOptions):
        """Options of the TDNN."""

        channels: Width = Field(96, description="width of every layer")
        kernels: Extents = Field((5, 5, 5), description="frames each layer looks at (odd)")
        dilations: Extents | None = Field(None, description="default: 1 everywhere")
        strides: Extents | None = Field(None, description="default: 1 everywhere")
        output_dim: Width | None = Field(
            48, description="features per frame; null: the channels, without a linear map"
        )
        norm: Literal["batch", "layer", "instance", "none"] = Field(
            "batch", description="after every convolution"
        )
        input_norm: Literal["batch", "layer", "instance", "none"] = Field(
            "none", description="of the frames"
        )
        output_norm: Literal["batch", "layer", "instance", "none"] = Field(
            "none", description="of the features; batch centres them, which cosine energies like"
        )
        dropout: float = Field(0.1, ge=0, lt=1, description="drops whole channels of an item")
        residual: bool = Field(
            False, description="add a layer's input to its output where widths are equal, stride 1"
        )

        @model_validator(mode="after")
        def _check(self):
            for name in ("dilations", "strides"):
                value = getattr(self, name)
                if value is not None and len(value) != len(self.kernels):
                    raise ValueError(
                        f"{name} has {len(value)} entries, but kernels has {len(self.kernels)}"
                    )
            if any(k % 2 == 0 for k in self.kernels):
                raise ValueError(f"kernels must be odd, not {self.kernels}")
            if any(n < 1 for n in (*(self.dilations or ()), *(self.strides or ()))):
                raise ValueError("dilations and strides must be at least 1")
            return self

    def __init__(self, options: TDNN.Options, input_dim: int) -> None:
        super().__init__()
        count = len(options.kernels)
        dilations = options.dilations or (1,) * count
        self.strides = options.strides or (1,) * count
        widths = [input_dim, *[options.channels] * count]
        # Decided here, not from the shapes met: short inputs can make unlike layers look alike.
        self.residual = [
            options.residual and self.strides[i] == 1 and widths[i] == options.channels
            for i in range(count)
        ]
        self.input_norm = NORMS[options.input_norm](input_dim)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(
                widths[i], widths[i + 1], kernel, self.strides[i],
                padding=dilations[i] * (kernel // 2), dilation=dilations[i],
                bias=options.norm == "none",
            )
            for i, kernel in enumerate(options.kernels)
        )  # fmt: skip
        self.norms = nn.ModuleList(NORMS[options.norm](options.channels) for _ in options.kernels)
        self.dropout = nn.Dropout1d(options.dropout)
        self.activation = nn.ReLU()
        self.output: nn.Module = (
            nn.Identity()
            if options.output_dim is None
            else nn.Linear(options.channels, options.output_dim)
        )
        self.output_dim = options.output_dim or options.channels
        self.output_norm = NORMS[options.output_norm](self.output_dim)
        self.subsampling = 1
        for stride in self.strides:
            self.subsampling *= stride

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, D)``, ``(B,)`` -> ``(B, ceil(T / s), output_dim)``, ``(B,)``."""
        valid = valid_frames(lengths, frames.shape[1])
        x = self.input_norm(frames.transpose(1, 2), valid)
        for convolution, norm, stride, residual in zip(
            self.convolutions, self.norms, self.strides, self.residual, strict=True
        ):
            lengths = (lengths + stride - 1) // stride
            y = convolution(x)
            valid = valid_frames(lengths, y.shape[2])
            y = self.activation(norm(y, valid))
            x = self.dropout(y + x if residual else y)
        y = self.output(x.transpose(1, 2)).transpose(1, 2)
        return self.output_norm(y, valid).transpose(1, 2), lengths
