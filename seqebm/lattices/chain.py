"""The chain: a label for every frame, with an energy for each pair of neighbours.

A linear-chain conditional random field (Lafferty, McCallum & Pereira 2001) whose factors are
linear in the features. What it is trained with is the loss's choice: NLL gives the CRF proper,
``hinge`` and ``margin_hinge`` the max-margin Markov network (Taskar, Guestrin & Koller 2003),
``perceptron`` Collins's (2002), ``log`` Altun & Hofmann's (2003). ``normalisation: local`` makes it
a maximum-entropy Markov model (McCallum, Freitag & Pereira 2000), which has label bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from seqebm.errors import ConfigError, DataError, did_you_mean
from seqebm.hooks import Options as BaseOptions
from seqebm.hooks import Request, Terms
from seqebm.kernels.chain import ops
from seqebm.lattices.risk import expected_cost


@dataclass(frozen=True)
class Labellings:
    """The lattice of all labellings of a batch.

    Attributes:
        emissions: ``(B, T, S)`` energies of the labels at each frame.
        lengths: ``(B,)`` valid frames.
        transitions: ``(S, S)`` energies [from, to].
        start, final: ``(S,)`` energies of the first and of the last label.
    """

    emissions: Tensor
    lengths: Tensor
    transitions: Tensor
    start: Tensor
    final: Tensor

    @property
    def _model(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.transitions, self.start, self.final

    def free_energy(self, beta: float) -> Tensor:
        """``(B,)`` F_β over all labellings, differentiable; +inf where none is possible."""
        return ops.free_energy(self.emissions, self.lengths, *self._model, beta)

    def energy(self, labels: Tensor) -> Tensor:
        """``(B,)`` energies of the labellings ``(B, T)``, differentiable: F_β(clamped), any β."""
        return ops.path_energy(self.emissions, self.lengths, labels, *self._model)

    def offending(self, labels: Tensor, cost: float = 0.0) -> Tensor:
        """``(B,)`` least energy of another labelling, less ``cost`` a wrong label; exact."""
        return ops.offending(
            self.emissions, self.lengths, labels, *self._model, cost
        )[0]  # fmt: skip

    def costly(self, labels: Tensor, scale: float) -> Labellings:
        """The same with ``scale`` less for each label that is not that of ``labels (B, T)``."""
        wrong = torch.ones_like(self.emissions).scatter(
            2, labels.to(self.emissions.device)[:, :, None], 0.0
        )
        return replace(self, emissions=self.emissions - scale * wrong)

    def double(self) -> Labellings:
        """The same in double precision, differentiable."""
        return Labellings(
            self.emissions.double(), self.lengths, *(part.double() for part in self._model)
        )

    def best_path(self) -> tuple[Tensor, list[Tensor]]:
        """``(B,)`` least energies, and the labels ``(T_b,)`` of each item."""
        return ops.best_path(self.emissions, self.lengths, *self._model)

    def posteriors(self, beta: float) -> tuple[Tensor, Tensor, Tensor]:
        """``(B,)`` free energies, ``(B, T, S)`` label and ``(B, S, S)`` transition posteriors."""
        return ops.posteriors(self.emissions, self.lengths, *self._model, beta)

    def n_best(self, n: int) -> list[list[tuple[float, Tensor]]]:
        """For each item the ``n`` labellings of least energy: (energy, labels), best first."""
        return [
            ops.n_best(item[:frames], *self._model, n)
            for item, frames in zip(self.emissions, self.lengths.tolist(), strict=True)
        ]


class Answer(NamedTuple):
    """A labelling: its labels, separated by spaces, and its energy."""

    text: str
    energy: float


class Chain(nn.Module):
    """A linear-chain CRF on features; an answer is a string of labels, one for each frame.

    The energy of answer y is minus the sum of the scores of its labels, ``(W x_t + b)[y_t]``, plus
    learned energies of its transitions, its first and its last label.
    """

    sequential = True  # answers are strings of labels

    class Options(BaseOptions):
        """Options of the linear chain."""

        normalisation: Literal["none", "local"] = Field(
            "none", description="local: at every frame the probabilities of the labels that may "
            "follow a label sum to 1 (MEMM; the last label has no energy of its own); none: CRF",
        )  # fmt: skip
        dropout: float = Field(0.0, ge=0, lt=1, description="on the features, in training")

    def __init__(self, options: Chain.Options, input_dim: int, vocabulary: tuple[str, ...]) -> None:
        super().__init__()
        self.options = options
        self.vocabulary = tuple(vocabulary)
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

    def labellings(self, features: Tensor, lengths: Tensor) -> Labellings:
        """The contrastive lattice of features ``(B, T, D)``."""
        emissions = -self.linear(self.dropout(features))
        if self.options.normalisation == "local":
            emissions = self._locally(emissions, lengths)
        return Labellings(emissions, lengths, self.transitions, self.start, self.final)

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

    def labels(self, targets: Sequence[str], lengths: Tensor) -> Tensor:
        """Targets as label numbers ``(B, T)``, 0 beyond each length.

        Raises :class:`DataError` for an unknown label, or if a target does not have one label for
        each of its frames.
        """
        counts = lengths.tolist()
        table = torch.zeros(len(targets), max(counts, default=0), dtype=torch.int64)
        for b, (target, frames) in enumerate(zip(targets, counts, strict=True)):
            names = target.split()
            if len(names) != frames:
                raise DataError(
                    f"item {b} has {len(names)} labels and {frames} feature frames: a chain has a "
                    "label for every frame. Correct the labels, or use features without "
                    f"subsampling. The labels begin {' '.join(names[:8])!r}."
                )
            for t, name in enumerate(names):
                if name not in self._index:
                    shown = ", ".join(self.vocabulary[:12])
                    raise DataError(
                        f"the label {name!r} is not in the model's vocabulary ({shown}"
                        f"{', …' if len(self.vocabulary) > 12 else ''})."
                        f"{did_you_mean(name, self._index)} Correct the transcript, or train a "
                        "model whose training data contains the label."
                    )
                table[b, t] = self._index[name]
        return table

    def terms(
        self,
        features: Tensor,
        lengths: Tensor,
        targets: list[str],
        beta: float,
        request: Request = Request(),
    ) -> Terms:
        """The three numbers of each item; those that ``request`` leaves out are NaN.

        Raises :class:`DataError` (see :meth:`labels`), :class:`ConfigError` for an edit cost: all
        answers are of one length, and Hamming's cost is exact on a chain.
        """
        if request.cost not in (None, "hamming"):
            raise ConfigError(
                f"the lattice 'chain' has no cost {request.cost!r}: set loss.cost to hamming"
            )
        lattice = self.labellings(features, lengths)
        labels = self.labels(targets, lengths)
        # A batch may be padded beyond its longest item.
        labels = nn.functional.pad(labels, (0, features.shape[1] - labels.shape[1]))
        correct = lattice.energy(labels)
        contrastive = offending = torch.full_like(correct, math.nan)
        scale = request.scale if request.cost else 0.0
        if request.contrastive:
            contrastive = (lattice.costly(labels, scale) if scale else lattice).free_energy(beta)
        if request.offending:
            offending = lattice.offending(labels, scale)
        risk = None
        if request.risk:
            exact = lattice.double()
            risk = expected_cost(lambda s: exact.costly(labels, s).free_energy(beta), beta)
            risk = risk.to(correct.dtype)
        return Terms(correct, contrastive, offending, beta, risk)

    @torch.no_grad()
    def best_path(self, features: Tensor, lengths: Tensor) -> list[Answer]:
        """The labelling of least energy of each item."""
        energies, paths = self.labellings(features, lengths).best_path()
        return [
            Answer(self._text(path), energy)
            for path, energy in zip(paths, energies.tolist(), strict=True)
        ]

    @torch.no_grad()
    def n_best(self, features: Tensor, lengths: Tensor, n: int) -> list[list[Answer]]:
        """The ``n`` labellings of least energy of each item, best first."""
        found = self.labellings(features, lengths).n_best(n)
        return [[Answer(self._text(path), energy) for energy, path in item] for item in found]

    @torch.no_grad()
    def posteriors(self, features: Tensor, lengths: Tensor, beta: float) -> Tensor:
        """``(B, T, S)`` probability of each label of the vocabulary at each frame."""
        return self.labellings(features, lengths).posteriors(beta)[1]

    def _text(self, labels: Tensor) -> str:
        return " ".join(self.vocabulary[i] for i in labels.tolist())

    def minimum_frames(self, target: str) -> int:
        """As many as ``target`` has labels."""
        return len(target.split())

    def initialise(self, features: list[Tensor], targets: list[str]) -> None:
        """Nothing: all energies start at 0."""
