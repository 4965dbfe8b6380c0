"""Labellings: a label for every frame, with an energy for each pair of neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seqebm.errors import ConfigError, DataError, SeqebmError
from seqebm.inference.energies import Energies, Single
from seqebm.inference.found import Aligned, Found, Scored, Segment, Segments
from seqebm.inference.free_energy import finite
from seqebm.inference.terms import Request
from seqebm.kernels.chain import ops

if TYPE_CHECKING:
    from seqebm.inference.search import Search


@dataclass(frozen=True)
class Labellings(Energies):
    """All labellings of a batch; an answer is a label ``0 .. S - 1`` for each frame.

    Attributes:
        emissions: ``(B, T, S)`` energies of the labels at each frame.
        lengths: ``(B,)`` valid frames.
        transitions: ``(S, S)`` energies [from, to].
        start, final: ``(S,)`` energies of the first and of the last label.
        names: of the S labels.
        cost: labels ``(B, T)`` and the energy that each other label is lower by.
    """

    emissions: Tensor
    lengths: Tensor
    transitions: Tensor
    start: Tensor
    final: Tensor
    names: tuple[str, ...] = ()
    cost: tuple[Tensor, float] | None = None

    @property
    def _model(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.transitions, self.start, self.final

    @property
    def items(self) -> int:
        """Number of items, B."""
        return len(self.emissions)

    def labels(self, targets: Sequence[Sequence[int]]) -> Tensor:
        """Answers as a table ``(B, T)``, 0 beyond each length.

        Raises :class:`DataError` if one does not have a label for each of its frames.
        """
        table = torch.zeros(self.emissions.shape[:2], dtype=torch.int64)
        for b, (target, frames) in enumerate(zip(targets, self.lengths.tolist(), strict=True)):
            if len(target) != frames:
                begin = " ".join(self.names[i] if self.names else str(i) for i in target[:8])
                raise DataError(
                    f"item {b} has {len(target)} labels and {frames} feature frames: a chain has a "
                    "label for every frame. Correct the labels, or use features without "
                    f"subsampling. The labels begin {begin!r}."
                )
            table[b, :frames] = torch.tensor(target)
        return table

    def free_energy(self, beta: float) -> Tensor:
        """``(B,)`` F_β over all labellings, differentiable; +inf where none is possible."""
        return ops.free_energy(self._lowered, self.lengths, *self._model, beta)

    @property
    def _lowered(self) -> Tensor:
        if self.cost is None:
            return self.emissions
        labels, scale = self.cost
        wrong = torch.ones_like(self.emissions).scatter(
            2, labels.to(self.emissions.device)[:, :, None], 0.0
        )
        return self.emissions - scale * wrong

    def energy(self, labels: Tensor) -> Tensor:
        """``(B,)`` energies of the labellings ``(B, T)``, differentiable: F_β(clamped), any β."""
        return ops.path_energy(self._lowered, self.lengths, labels, *self._model)

    def clamped(self, targets: Sequence[Sequence[int]]) -> Single:
        """The energy of each item's target: it leaves nothing latent."""
        labels = self.labels(targets)
        return Single(lambda _: self.energy(labels), targets)

    def rivals(self, targets: Sequence[Sequence[int]]) -> Energies:
        """All labellings but the target."""
        return Rivals(self, self.labels(targets))

    def costly(self, targets: Sequence[Sequence[int]], request: Request) -> Labellings:
        """All labellings, lower by ``request.scale`` for each label that is not the target's.

        Raises :class:`ConfigError` for an edit cost: all answers are of one length, and Hamming's
        cost is exact on a chain.
        """
        if request.cost != "hamming":
            raise ConfigError(
                f"the lattice 'chain' has no cost {request.cost!r}: set loss.cost to hamming"
            )
        return replace(self, cost=(self.labels(targets), request.scale))

    def part(self, items: Sequence[int]) -> Labellings:
        """Some of the items, which may be repeated."""
        index = torch.tensor(items)
        cost = None if self.cost is None else (self.cost[0][index], self.cost[1])
        return replace(
            self, emissions=self.emissions[index], lengths=self.lengths[index], cost=cost
        )

    def double(self) -> Labellings:
        """The same in double precision, differentiable."""
        return replace(
            self, emissions=self.emissions.double(), transitions=self.transitions.double(),
            start=self.start.double(), final=self.final.double(),
        )  # fmt: skip

    def best(self, n: int = 1, beta: float = math.inf) -> list[list[Scored]]:
        """For each item the ``n`` labellings of least energy, best first."""
        emissions = self._lowered
        if n == 1:
            energies, paths = ops.best_path(emissions, self.lengths, *self._model)
            return [
                [Scored(tuple(path.tolist()), energy)] if math.isfinite(energy) else []
                for path, energy in zip(paths, energies.tolist(), strict=True)
            ]
        return [
            [
                Scored(tuple(labels.tolist()), energy)
                for energy, labels in ops.n_best(item[:frames], *self._model, n)
            ]
            for item, frames in zip(emissions, self.lengths.tolist(), strict=True)
        ]

    def posteriors(self, beta: float) -> tuple[Tensor, Tensor, Tensor]:
        """``(B,)`` free energies, ``(B, T, S)`` label and ``(B, S, S)`` transition posteriors."""
        return ops.posteriors(self._lowered, self.lengths, *self._model, beta)

    def search(self, how: Search, names: Sequence[str], shift: float) -> list[Found | SeqebmError]:
        """The labelling of least energy of each item; its labels are words of a frame each."""
        found = super().search(how, names, shift)
        answers = [one if isinstance(one, Found) else None for one in found]
        shares = self.posteriors(finite(how.beta))[1] if how.confident else None
        for b, answer in enumerate(answers):
            if answer is None:
                continue
            words = tuple(
                Segment(
                    self.names[label] if self.names else str(label), t, t + 1,
                    None if shares is None else float(shares[b, t, label]),
                )
                for t, label in enumerate(answer.value)
            )  # fmt: skip
            found[b] = replace(answer, words=words)
        return found

    def align(
        self, values: Sequence[Sequence[int]], names: Sequence[str], shift: float
    ) -> list[Aligned | SeqebmError]:
        """Each label has a frame."""
        energies = self.energy(self.labels(values)).tolist()
        found: list[Aligned | SeqebmError] = []
        for b, (value, energy) in enumerate(zip(values, energies, strict=True)):
            words = tuple(
                Segment(self.names[label] if self.names else str(label), t, t + 1)
                for t, label in enumerate(value)
            )
            emissions = self.emissions[b, : int(self.lengths[b])]
            found.append(Aligned(energy, Segments(words, (), words), emissions, self.names))
        return found


class Rivals(Energies):
    """All labellings but one of each item; only their least energy is known."""

    def __init__(self, every: Labellings, labels: Tensor) -> None:
        self.every, self.labels = every, labels

    @property
    def items(self) -> int:
        """Number of items, B."""
        return self.every.items

    def least(self, beta: float) -> Tensor:
        """``(B,)`` least energy of another labelling; exact, whatever β: nothing is latent."""
        every = self.every
        if every.cost is not None and not torch.equal(every.cost[0], self.labels):
            raise self._cannot("search with a cost to another answer than the one left out")
        scale = 0.0 if every.cost is None else every.cost[1]
        return ops.offending(
            every.emissions, every.lengths, self.labels, every.transitions, every.start,
            every.final, scale,
        )[0]  # fmt: skip

    def free_energy(self, beta: float) -> Tensor:
        """Refused: use :meth:`least`."""
        raise self._cannot("be summed over, only searched")

    def clamped(self, targets: Sequence[Sequence[int]]) -> Single:
        """The energy of another labelling."""
        return self.every.clamped(targets)

    def best(self, n: int = 1, beta: float = math.inf) -> list[list[Scored]]:
        """The best of them; ``n`` is 1."""
        if n != 1:
            raise self._cannot("give more than the best of all but one")
        every = self.every
        energies, paths = ops.offending(
            every.emissions, every.lengths, self.labels, every.transitions, every.start,
            every.final, 0.0 if every.cost is None else every.cost[1],
        )  # fmt: skip
        return [
            [Scored(tuple(path.tolist()), energy)] if math.isfinite(energy) else []
            for path, energy in zip(paths, energies.tolist(), strict=True)
        ]
