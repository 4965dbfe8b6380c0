"""The chain: a label for every frame, with an energy for each pair of neighbours.

A linear-chain conditional random field (Lafferty, McCallum & Pereira 2001) whose factors are
linear in the features. What it is trained with is the loss's choice: NLL gives the CRF proper,
``hinge`` and ``margin_hinge`` the max-margin Markov network (Taskar, Guestrin & Koller 2003),
``perceptron`` Collins's (2002), ``log`` Altun & Hofmann's (2003). ``normalisation: local`` makes it
a maximum-entropy Markov model (McCallum, Freitag & Pereira 2000), which has label bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from seqebm.errors import DataError
from seqebm.hooks import Options as BaseOptions
from seqebm.inference.labellings import Labellings
from seqebm.lattices.base import Lattice
from seqebm.spelling import nearest
from seqebm.text import fields


class Chain(Lattice):
    """A linear-chain CRF on features; an answer is a string of labels, one for each frame.

    The energy of answer y is minus the sum of the scores of its labels, ``(W x_t + b)[y_t]``, plus
    learned energies of its transitions, its first and its last label.
    """

    answers = "string"  # of labels

    class Options(BaseOptions):
        """Options of the linear chain."""

        normalisation: Literal["none", "local"] = Field(
            "none", description="local: at every frame the probabilities of the labels that may "
            "follow a label sum to 1 (MEMM; the last label has no energy of its own); none: CRF",
        )  # fmt: skip
        dropout: float = Field(0.0, ge=0, lt=1, description="on the features, in training")

    def __init__(self, options: Chain.Options, input_dim: int, vocabulary: tuple[str, ...]) -> None:
        super().__init__(vocabulary)
        self.options = options
        self._index = {label: i for i, label in enumerate(self.vocabulary)}
        S = len(self.vocabulary)
        self.dropout = nn.Dropout(options.dropout)
        self.linear = nn.Linear(input_dim, S)
        # All zero, as no label is any different yet; a perceptron may start from there as well.
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.transitions = nn.Parameter(torch.zeros(S, S))
        self.start = nn.Parameter(torch.zeros(S))
        self.final = nn.Parameter(torch.zeros(S), requires_grad=options.normalisation == "none")

    def meet(self, features: Tensor, lengths: Tensor) -> Labellings:
        """The energies of all labellings of features ``(B, T, D)``."""
        emissions = -self.linear(self.dropout(features))
        if self.options.normalisation == "local":
            emissions = self._locally(emissions, lengths)
        return Labellings(
            emissions, lengths, self.transitions, self.start, self.final, self.vocabulary
        )

    def _locally(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Emissions such that the probabilities of what follows each label sum to 1.

        The logarithm of what they sum to belongs to the label before: it is added to the energy
        of that label at the frame before. What it is at the first frame is added to that frame.
        """
        following = torch.logsumexp(-emissions[:, :, None, :] - self.transitions, 3)
        frames = torch.arange(emissions.shape[1], device=emissions.device)
        inside = (frames + 1 < lengths.to(frames.device)[:, None])[:, :, None]
        later = torch.where(inside, following.roll(-1, 1), 0.0)
        first = torch.logsumexp(-emissions[:, 0] - self.start, 1)[:, None, None]
        return emissions + later + torch.where(frames[:, None] == 0, first, 0.0)

    def parse(self, target: str) -> tuple[int, ...]:
        """Numbers of the labels of a transcript. Raises :class:`DataError` for an unknown label."""
        labels = []
        for name in fields(target):
            if name not in self._index:
                shown = ", ".join(self.vocabulary[:12])
                raise DataError(
                    f"the label {name!r} is not in the model's vocabulary ({shown}"
                    f"{', …' if len(self.vocabulary) > 12 else ''})."
                    f"{nearest(name, self._index)} Correct the transcript, or train a "
                    "model whose training data contains the label."
                )
            labels.append(self._index[name])
        return tuple(labels)

    def text(self, value: Sequence[int]) -> str:
        """The labels, separated by spaces."""
        return " ".join(self.vocabulary[i] for i in value)

    def minimum_frames(self, target: str) -> int:
        """As many as ``target`` has labels."""
        return len(self.parse(target))
