"""No latent variable: pool over time, one linear energy per word (the convnet baseline)."""

from __future__ import annotations

import copy
import math

import torch
from pydantic import Field
from torch import Tensor, nn

from seqebm.hooks import Options as BaseOptions
from seqebm.lattices.answers import AnswerSet
from seqebm.lengths import valid_frames


class Pooled(AnswerSet):
    """Mean and maximum over time, dropout, then ``E(Y, X) = -(w_Y · pooled + b_Y)``.

    With NLL at β = 1 this is softmax and cross-entropy.
    """

    class Options(BaseOptions):
        """Options of the pooled lattice."""

        dropout: float = Field(0.1, ge=0, lt=1, description="on the pooled features")

    def __init__(
        self, options: Pooled.Options, input_dim: int, vocabulary: tuple[str, ...]
    ) -> None:
        super().__init__(vocabulary)
        self.dropout = nn.Dropout(options.dropout)
        self.linear = nn.Linear(2 * input_dim, len(vocabulary))

    def energies(self, features: Tensor, lengths: Tensor, beta: float) -> Tensor:
        """``(B, T, D)``, ``(B,)`` -> ``(B, W)``; β plays no part without a latent variable."""
        valid = valid_frames(lengths, features.shape[1])[:, :, None]
        mean = torch.where(valid, features, 0.0).sum(1) / lengths[:, None]
        maximum = features.masked_fill(~valid, -math.inf).amax(1)
        return -self.linear(self.dropout(torch.cat([mean, maximum], dim=1)))

    @torch.no_grad()
    def without(self, word: str) -> Pooled:
        """Without a word's row: what the others score stays as it is."""
        kept = [i for i in range(len(self.vocabulary)) if i != self.index(word)]
        other = copy.deepcopy(self)
        other.linear = nn.Linear(
            self.linear.in_features, len(kept), device=self.linear.weight.device
        )
        other.linear.weight.copy_(self.linear.weight[kept])
        other.linear.bias.copy_(self.linear.bias[kept])
        other._rename(tuple(self.vocabulary[i] for i in kept))
        return other.train(self.training)
