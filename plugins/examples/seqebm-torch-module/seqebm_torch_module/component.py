"""The feature extractor ``torch_module``: any torch module, given by its import path."""

import importlib
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from seqebm.hooks import ConfigError, FeatureExtractor


class TorchModule(FeatureExtractor):
    """Frames -> a module of somebody else's -> features, e.g. a pretrained encoder.

    The module is called with ``(B, T, D)`` frames, or ``(B, D, T)``, and gives the like, or a tuple
    that begins with it. It must not look into the future of padding: padding is set to 0 before.
    """

    class Options(FeatureExtractor.Options):
        """Keys under ``features:`` of a config."""

        module: str = Field(description="import path, e.g. torch.nn:GRU or my_package:encoder")
        arguments: dict[str, Any] = Field(
            default_factory=dict,
            description="of the call; the text 'input_dim' becomes that number",
        )
        output_dim: int = Field(ge=1, description="features a frame that the module gives")
        subsampling: int = Field(1, ge=1, description="frames for each of its output frames")
        layout: Literal["btd", "bdt"] = "btd"
        weights: str | None = Field(None, description="a state dict, saved by torch.save")
        frozen: bool = Field(False, description="do not train its parameters")

    def __init__(self, options: Options, input_dim: int) -> None:
        super().__init__()
        self.output_dim, self.subsampling = options.output_dim, options.subsampling
        self.layout = options.layout
        package, _, attribute = options.module.partition(":")
        try:
            factory = getattr(importlib.import_module(package), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"features.module: {options.module!r} cannot be imported ({error}); write it as "
                "package.module:attribute"
            ) from error
        arguments = {k: input_dim if v == "input_dim" else v for k, v in options.arguments.items()}
        self.module = factory(**arguments)
        if options.weights is not None:
            self.module.load_state_dict(torch.load(options.weights, weights_only=True))
        for parameter in self.module.parameters():
            parameter.requires_grad_(not options.frozen)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, D)``, ``(B,)`` -> ``(B, T / subsampling, output_dim)``, ``(B,)``."""
        inside = torch.arange(frames.shape[1], device=frames.device) < lengths[:, None]
        frames = frames.masked_fill(~inside[:, :, None], 0.0)
        out = self.module(frames if self.layout == "btd" else frames.transpose(1, 2))
        out = out[0] if isinstance(out, tuple) else out
        out = out if self.layout == "btd" else out.transpose(1, 2)
        return out, (lengths + self.subsampling - 1) // self.subsampling
