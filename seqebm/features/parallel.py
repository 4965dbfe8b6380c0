"""Several networks side by side on the same frames."""

from __future__ import annotations

import torch
from pydantic import ConfigDict, Field, field_validator
from torch import Tensor, nn

from seqebm.errors import ConfigError
from seqebm.features.base import FeatureExtractor
from seqebm.hooks import Options as BaseOptions
from seqebm.hooks import get_host


class Parallel(FeatureExtractor):
    """Hands the frames to each of its parts, and their features on, one beside the other.

    With the lattice ``sum`` and its ``split`` each part has a lattice of its own: a committee,
    whose energies add.

    Attributes:
        widths: features of each part; they add up to ``output_dim``.
    """

    class Part(BaseOptions):
        """One extractor: its name and its options."""

        model_config = ConfigDict(extra="allow", frozen=True)
        name: str

    class Options(BaseOptions):
        """Options of the parallel networks."""

        parts: list[Parallel.Part] = Field(min_length=1, description="the feature extractors")

        @field_validator("parts")
        @classmethod
        def _check(cls, parts: list[Parallel.Part]) -> list[Parallel.Part]:
            # Each part's own options too: a config is checked before any data is read.
            for index, part in enumerate(parts):
                component = get_host().registry.get("features", part.name)
                component.parse(part.model_dump(exclude={"name"}), f"features.parts.{index}")
            return parts

    def __init__(self, options: Parallel.Options, input_dim: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        for index, part in enumerate(options.parts):
            made = get_host().registry.make(
                "features", part.model_dump(), f"features.parts.{index}", input_dim=input_dim
            )
            if not isinstance(made, FeatureExtractor):
                raise ConfigError(f"features.parts.{index}: {part.name!r} is no feature extractor")
            self.parts.append(made)
        self.subsampling = self._parts()[0].subsampling
        for index, made in enumerate(self._parts()):
            if made.subsampling != self.subsampling:
                raise ConfigError(
                    f"features.parts.{index} makes one frame of {made.subsampling}, but the first "
                    f"part of {self.subsampling}; side by side all must make as many"
                )
        self.widths = tuple(part.output_dim for part in self._parts())
        self.output_dim = sum(self.widths)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, D)``, ``(B,)`` -> ``(B, T', sum of widths)``, ``(B,)``."""
        made = [part(frames, lengths) for part in self._parts()]
        return torch.cat([features for features, _ in made], 2), made[0][1]

    def _parts(self) -> list[FeatureExtractor]:
        return list(self.parts)  # type: ignore[arg-type]
