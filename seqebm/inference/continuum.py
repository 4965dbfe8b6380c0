"""Answers that are arrays (numbers, poses, images): energies of those that are looked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seqebm.inference.energies import Energies, Single
from seqebm.inference.found import Scored
from seqebm.inference.free_energy import finite, free_energy

Answers = Sequence[Tensor] | Tensor


class Continuum(Energies):
    """An energy E(Y) of every array Y, of which K candidates an item are looked at.

    Candidates are the points of a grid, a sample, or what a search has come upon. The most
    offending incorrect answer is the lowest of them that is not near the right one (LeCun et al.
    2006, section 2.2, on continuous Y).

    Args:
        energy: ``(B, K, *shape)`` answers -> ``(B, K)`` energies, differentiable.
        candidates: ``(B, K, *shape)``.
        apart: root mean square difference below which an answer is as good as the right one.
        summed: whether the candidates stand for all answers, so that they can be summed over: a
            grid or a fair sample. Then the right answer competes with them in training, without
            which nothing would bound the loss. Otherwise :meth:`free_energy` is refused.
    """

    def __init__(
        self,
        energy: Callable[[Tensor], Tensor],
        candidates: Tensor,
        apart: float = 0.0,
        summed: bool = True,
        values: Tensor | None = None,
    ) -> None:
        self.energy, self.candidates, self.apart = energy, candidates, apart
        self.summed = self.eager = summed
        self._values = values

    @property
    def values(self) -> Tensor:
        """``(B, K)`` energies of the candidates."""
        if self._values is None:
            self._values = self.energy(self.candidates)
        return self._values

    @property
    def items(self) -> int:
        """Number of items, B."""
        return len(self.candidates)

    def free_energy(self, beta: float) -> Tensor:
        """``(B,)`` F_β over the candidates."""
        if not self.summed:
            raise self._cannot("be summed over: its candidates do not stand for all answers")
        return free_energy(self.values, beta)

    def clamped(self, targets: Answers) -> Single:
        """The energy of each item's target."""
        right = self._stacked(targets)
        return Single(lambda _: self.energy(right)[:, 0], list(right[:, 0]))

    def including(self, targets: Answers) -> Continuum:
        """The same with the targets among the candidates."""
        right = self._stacked(targets)
        return Continuum(
            self.energy,
            torch.cat([right, self.candidates], 1),
            self.apart,
            self.summed,
            torch.cat([self.energy(right), self.values], 1),
        )

    def rivals(self, targets: Answers) -> Continuum:
        """All candidates that are not near the target."""
        apart = self.candidates - self._stacked(targets)
        apart = apart.reshape(*self.values.shape, -1).square().mean(2).sqrt()
        near = (apart < self.apart) | (apart == 0)
        values = self.values.masked_fill(near, math.inf)
        return Continuum(self.energy, self.candidates, self.apart, self.summed, values)

    def part(self, items: Sequence[int]) -> Continuum:
        """Refused: what computes the energies knows all items."""
        raise self._cannot("be split into its items")

    def least(self, beta: float) -> Tensor:
        """``(B,)`` energy of the best candidate."""
        return self.values.amin(1)

    def posteriors(self, beta: float) -> tuple[Tensor, Tensor]:
        """``(B,)`` F_β and the ``(B, K)`` probabilities of the candidates."""
        free = self.free_energy(beta).detach()
        return free, torch.softmax(-finite(beta) * self.values.detach(), 1)

    def best(self, n: int = 1, beta: float = math.inf) -> list[list[Scored]]:
        """For each item the ``n`` candidates of least energy."""
        values = self.values.detach()
        order = values.argsort(dim=1, stable=True)[:, :n].tolist()
        return [
            [
                Scored(self.candidates[b, k], float(values[b, k]))
                for k in places
                if math.isfinite(values[b, k])
            ]
            for b, places in enumerate(order)
        ]

    def _stacked(self, targets: Answers) -> Tensor:
        """Targets as ``(B, 1, *shape)``."""
        stacked = targets if isinstance(targets, Tensor) else torch.stack(list(targets))
        return stacked.to(self.candidates)[:, None]
