"""The lattice ``segments``: rigid templates, for comparison with elastic ones."""

import torch
from pydantic import Field
from torch import Tensor, nn

from seqebm.hooks import AnswerSet


class Segments(AnswerSet):
    """An input is cut into K equal parts; part k is compared with part k of each word's template.

    The energy of a word is the mean squared distance of the parts' mean frames. Nothing is latent:
    what elastic templates gain by warping is the difference to this.
    """

    class Options(AnswerSet.Options):
        """Keys under ``lattice:`` of a config."""

        count: int = Field(8, ge=1, description="parts that an input is cut into, K")

    def __init__(self, options: Options, input_dim: int, vocabulary: tuple[str, ...]) -> None:
        super().__init__(vocabulary)
        self.count = options.count
        self.templates = nn.Parameter(torch.randn(len(vocabulary), options.count, input_dim))

    def parts(self, features: Tensor, lengths: Tensor) -> Tensor:
        """``(B, T, D)``, ``(B,)`` -> ``(B, K, D)`` mean frames; short inputs repeat theirs."""
        ends = torch.linspace(0, 1, self.count + 1, device=features.device)
        cuts = ends * lengths.to(features.device)[:, None]
        first, last = cuts[:, :-1].floor(), cuts[:, 1:].ceil()
        frame = torch.arange(features.shape[1], device=features.device)
        inside = (frame >= first[:, :, None]) & (frame < last[:, :, None])
        shares = (inside / inside.sum(2, keepdim=True)).to(features.dtype)
        return shares @ torch.where(inside.any(1)[:, :, None], features, 0.0)

    def energies(self, features: Tensor, lengths: Tensor, beta: float) -> Tensor:
        """``(B, T, D)``, ``(B,)`` -> ``(B, W)``."""
        apart = self.parts(features, lengths)[:, None] - self.templates
        return apart.square().mean((2, 3))

    @torch.no_grad()
    def initialise(self, features: list[Tensor], targets: list[str]) -> None:
        """The mean of each word's inputs."""
        words = torch.tensor([self.index(target) for target in targets])
        parts = torch.cat([self.parts(f[None], torch.tensor([len(f)])) for f in features])
        for word in words.unique():
            self.templates[word] = parts[words == word].mean(0)
