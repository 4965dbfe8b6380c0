"""Inference over a finite answer set: the switch over the words of the vocabulary."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from seqebm.errors import DataError, did_you_mean
from seqebm.hooks import Answers, Request, Terms


def free_energy(energies: Tensor, beta: float, dim: int = -1) -> Tensor:
    """``-1/β log Σ exp(-β E)`` along ``dim``; the minimum at β = ∞. ``+inf`` is impossible.

    A slice in which everything is impossible gives ``+inf``, with zero gradient.
    """
    if math.isinf(beta):
        return energies.amin(dim)
    # logsumexp's backward gives NaN on a slice of only -inf: replace, compute, put inf back.
    dead = torch.isinf(energies).all(dim, keepdim=True)
    safe = torch.where(dead, torch.zeros_like(energies), energies)
    result = -torch.logsumexp(-beta * safe, dim) / beta
    return result.masked_fill(dead.squeeze(dim), math.inf)


class AnswerSet(nn.Module):
    """Base of the lattices whose answers can be listed: isolated words, characters.

    A subclass implements :meth:`energies`; the clamped, contrastive and offending numbers follow.
    """

    def __init__(self, vocabulary: tuple[str, ...]) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self._index = {word: i for i, word in enumerate(self.vocabulary)}

    def index(self, target: str) -> int:
        """Place of ``target`` in the vocabulary. Raises :class:`DataError` if it is not there."""
        if target not in self._index:
            shown = ", ".join(self.vocabulary[:12]) + (" …" if len(self.vocabulary) > 12 else "")
            raise DataError(
                f"the word {target!r} is not in the model's vocabulary ({shown})."
                f"{did_you_mean(target, self._index)} Correct the transcript, or train a model "
                "whose training data contains the word."
            )
        return self._index[target]

    def energies(self, features: Tensor, lengths: Tensor, beta: float) -> Tensor:
        """``(B, T, D)``, ``(B,)`` -> ``(B, W)`` free energies of the words."""
        raise NotImplementedError

    def answers(self, features: Tensor, lengths: Tensor, beta: float) -> Answers:
        """The free energy of every word."""
        return Answers(self.energies(features, lengths, beta), self.vocabulary)

    def terms(
        self,
        features: Tensor,
        lengths: Tensor,
        targets: list[str],
        beta: float,
        request: Request = Request(),
    ) -> Terms:
        """The three numbers of each item (see :class:`seqebm.hooks.Terms`).

        All are cheap once the energies are there, so all are given. An answer is one position:
        the cost of a wrong one is 1, Hamming's and the edit distance's alike, and the risk is the
        probability of all wrong ones.
        """
        energies = self.energies(features, lengths, beta)
        wanted = torch.tensor([self.index(t) for t in targets], device=energies.device)[:, None]
        correct = energies.gather(1, wanted).squeeze(1)
        offending = energies.scatter(1, wanted, math.inf).amin(1)
        risk = None
        if request.risk:
            others = free_energy(energies.scatter(1, wanted, math.inf), beta)
            risk = (
                torch.sigmoid(beta * (correct - others))
                if math.isfinite(beta)
                else ((others < correct).to(energies.dtype) + 0 * energies.amin(1))
            )
        if request.cost is not None and request.scale:
            offending = offending - request.scale
            energies = energies - request.scale * torch.ones_like(energies).scatter(1, wanted, 0.0)
        return Terms(correct, free_energy(energies, beta), offending, beta, risk)

    def minimum_frames(self, target: str) -> int:
        """Fewest feature frames with which ``target`` has a path."""
        return 1

    def initialise(self, features: list[Tensor], targets: list[str]) -> None:
        """Nothing to set from data."""
