"""The loss ``focal``: NLL that forgets what it knows already."""

import torch
from pydantic import Field
from torch import Tensor

from seqebm.hooks import Loss, Request, Terms


class Focal(Loss):
    """(1 - P)^γ (C - F), with P the probability of the right answer.

    Lin, Goyal, Girshick, He & Dollár (2017), "Focal loss for dense object detection": items that
    are right by far weigh little, so that rare and hard ones are heard. γ = 0 is NLL.
    """

    class Options(Loss.Options):
        """Keys under ``loss:`` of a config."""

        gamma: float = Field(2.0, ge=0, description="how much what is known is forgotten")

    margin = None  # a minimum has a gap, of no fixed size
    request = Request(contrastive=True, offending=False)  # what it reads besides C

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.gamma = options.gamma

    def __call__(self, terms: Terms) -> Tensor:
        """Loss of each item, ``(B,)``."""
        gap = terms.correct - terms.contrastive
        beta = min(terms.beta, 1e6)  # at β = ∞ the probability is 1 or 0
        return (-torch.expm1(-beta * gap)).clamp(min=0).pow(self.gamma) * gap
