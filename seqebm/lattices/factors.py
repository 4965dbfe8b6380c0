"""A factor graph over lattices: energies add."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from pydantic import ConfigDict, Field, field_validator
from torch import Tensor, nn

from seqebm.errors import ConfigError
from seqebm.hooks import Options as BaseOptions
from seqebm.hooks import get_host
from seqebm.lattices.answers import AnswerSet, Warp


class Sum(AnswerSet):
    """``E(Y, Z, X) = Σ_k s_k E_k(Y, Z_k, X)``: several lattices that look at the same features,
    or each at its own.

    Their latent variables are independent given the answer, so the free energy of the sum is the
    sum of free energies, ``F_β(s E) = s F_{sβ}(E)``: each part marginalises its own. With a part
    that knows the order of events (templates) and one that only knows which occurred (pooled),
    each corrects the other.
    """

    class Part(BaseOptions):
        """One lattice: its name, its options, and the factor on its energies."""

        model_config = ConfigDict(extra="allow", frozen=True)
        name: str
        scale: float = Field(1.0, gt=0, description="multiplies the part's energies, s_k")

    class Options(BaseOptions):
        """Options of the sum."""

        parts: list[Sum.Part] = Field(min_length=1, description="the lattices that add up")
        split: tuple[int, ...] | None = Field(
            None,
            description="features of each part, which sees no others (of the features 'parallel'); "
            "null: all see all",
        )

        @field_validator("parts")
        @classmethod
        def _check(cls, parts: list[Sum.Part]) -> list[Sum.Part]:
            # Each part's own options too: a config is checked before any data is read.
            for index, part in enumerate(parts):
                options = part.model_dump(exclude={"name", "scale"})
                component = get_host().registry.get("lattices", part.name)
                component.parse(options, f"lattice.parts.{index}")
            return parts

    def __init__(self, options: Sum.Options, input_dim: int, vocabulary: tuple[str, ...]) -> None:
        super().__init__(vocabulary)
        self.scales = [part.scale for part in options.parts]
        split = options.split
        if split is not None and (
            len(split) != len(options.parts) or min(split) < 1 or sum(split) != input_dim
        ):
            raise ConfigError(
                f"lattice.split: {list(split)} must name, for each of {len(options.parts)} parts, "
                f"how many of the {input_dim} features it sees"
            )
        ends = [input_dim] * len(options.parts) if split is None else list(accumulate(split))
        widths = split or ends
        self.views = [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]
        self.parts = nn.ModuleList()
        for index, part in enumerate(options.parts):
            spec: dict[str, Any] = part.model_dump(exclude={"scale"})
            lattice = get_host().registry.make(
                "lattices",
                spec,
                f"lattice.parts.{index}",
                input_dim=widths[index],
                vocabulary=self.vocabulary,
            )
            if not isinstance(lattice, AnswerSet):
                raise ConfigError(
                    f"lattice.parts.{index}: {part.name!r} cannot be added up, as its answers are "
                    "not those of a list; choose parts such as templates and pooled"
                )
            self.parts.append(lattice)

    def energies(self, features: Tensor, lengths: Tensor, beta: float) -> Tensor:
        """``(B, T, D)``, ``(B,)`` -> ``(B, W)``."""
        total: Any = 0.0
        for scale, view, part in zip(self.scales, self.views, self._lattices(), strict=True):
            total = total + scale * part.energies(features[..., view], lengths, scale * beta)
        return total

    def minimum_frames(self, target: str) -> int:
        """As many frames as the most demanding part needs."""
        return max(part.minimum_frames(target) for part in self._lattices())

    def enrolled(self, word: str, features: Sequence[Tensor]) -> Sum:
        """Every part with the word, if each of them can."""
        return self._of(
            [
                part.enrolled(word, [f[..., view] for f in features])
                for view, part in zip(self.views, self._lattices(), strict=True)
            ]
        )

    def without(self, word: str) -> Sum:
        """Every part without the word, if each of them can."""
        return self._of([part.without(word) for part in self._lattices()])

    def _of(self, parts: Sequence[AnswerSet]) -> Sum:
        other = copy.copy(self)
        modules: dict[str, Any] = {**self._modules, "parts": nn.ModuleList(parts)}
        other._modules = modules
        other._rename(parts[0].vocabulary)
        return other

    def initialise(self, features: list[Tensor], targets: list[str]) -> None:
        """Initialise every part."""
        for view, part in zip(self.views, self._lattices(), strict=True):
            part.initialise([f[..., view] for f in features], targets)

    def warp(self, features: Tensor, word: str) -> Warp | None:
        """That of the first part that has one."""
        parts = zip(self.views, self._lattices(), strict=True)
        return next((w for view, p in parts if (w := p.warp(features[..., view], word))), None)

    def _lattices(self) -> list[AnswerSet]:
        return list(self.parts)  # type: ignore[arg-type]
