"""All sentences of a hierarchical HMM that meets emissions: a trellis that knows its graphs.

What any trellis computes by graph operations is here taken from graphs that are made once and kept
(those of one transcript), or not needed at all (where the best sentence is a rival already).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from seqebm.inference.energies import Energies, Single
from seqebm.inference.found import Scored
from seqebm.inference.terms import Request
from seqebm.inference.trellis import Trellis, together
from seqebm.lattices.hmm_graphs import HMMGraphs

Labels = Sequence[int]


class Sentences(Trellis):
    """The energies of all sentences.

    Args:
        graphs: of the model.
        emissions, lengths, weights: see :class:`Trellis`.
        origin: what these are a copy of in double precision.
    """

    def __init__(
        self,
        graphs: HMMGraphs,
        emissions: Tensor,
        lengths: Tensor,
        weights: Tensor,
        origin: Sentences | None = None,
    ) -> None:
        super().__init__(graphs.full, emissions, lengths, weights, graphs.inventory)
        self.graphs, self.origin = graphs, origin

    def clamped(self, targets: Sequence[Labels]) -> Trellis:  # type: ignore[override]
        """Each item's target: all its pronunciations and silences."""
        return self.under(together([self.graphs.clamped(target) for target in targets]))

    def rivals(self, targets: Sequence[Labels]) -> Energies:
        """All sentences but the target."""
        return Rivals(self, targets)

    def costly(self, targets: Sequence[Labels], request: Request) -> Energies:
        """All sentences, less ``request.scale`` times their cost.

        ``"hamming"`` counts the frames whose class is not that of the target's best path,
        ``"edit"`` the words.
        """
        if request.cost == "edit":
            return Edited(self, Edits(tuple(map(tuple, targets)), request.scale, request.cap))
        wrong = (self.origin or self)._wrong_frames(targets).to(self.emissions)
        less = self.emissions - request.scale * wrong
        return Sentences(self.graphs, less, self.lengths, self.weights)

    def double(self) -> Sentences:
        """The same in double precision; costs are those of the original's best paths."""
        return Sentences(
            self.graphs, self.emissions.double(), self.lengths, self.weights.double(),
            self.origin or self,
        )  # fmt: skip

    def part(self, items: Sequence[int]) -> Sentences:
        """Some of the items, which may be repeated; padding is cut to the longest of them."""
        index = torch.tensor(items)
        lengths = self.lengths[index]
        emissions = self.emissions[index, : int(lengths.max())]
        return Sentences(self.graphs, emissions, lengths, self.weights)

    def _wrong_frames(self, targets: Sequence[Labels]) -> Tensor:
        """``(B, T, C)``: 0 at each frame's class on the target's best path, else 1."""
        wrong = torch.ones_like(self.emissions)
        right = self.clamped(targets)
        for b, path in enumerate(right.best_path()[1]):
            classes = right.labels(b, path)
            wrong[b, torch.arange(len(classes)), classes] = 0
        return wrong


class Transcripts(Trellis):
    """Items of which each follows the graph of its own transcript: there is nothing to clamp."""

    def clamped(self, targets: Sequence[Labels]) -> Transcripts:
        """Itself."""
        return self


class Edits(NamedTuple):
    """What the energies of sentences are lessened for: ``scale`` an edit, up to ``cap`` edits."""

    targets: tuple[Labels, ...]
    scale: float
    cap: int

    def gains(self, answers: Sequence[Labels], like: Tensor) -> Tensor:
        """``(B,)`` by how much the energy of one sentence of each item is lessened."""
        apart = [
            Levenshtein.distance(tuple(t), tuple(a))
            for t, a in zip(self.targets, answers, strict=True)
        ]
        return self.scale * like.new_tensor(apart).clamp(max=self.cap)

    def part(self, items: Sequence[int]) -> Edits:
        """Of some of the items."""
        return self._replace(targets=tuple(self.targets[b] for b in items))


class Edited(Energies):
    """All sentences, each item's lessened by what the edits to its target cost.

    The graphs, one an item, are made when they are first needed: of the best rival alone other
    ones are.
    """

    def __init__(self, every: Sentences, edits: Edits) -> None:
        self.every, self.edits = every, edits

    @cached_property
    def _trellis(self) -> Trellis:
        graphs, (targets, scale, cap) = self.every.graphs, self.edits
        return self.every.under(together([graphs.costly(t, scale, cap) for t in targets]))

    @property
    def items(self) -> int:
        """Number of items, B."""
        return self.every.items

    def free_energy(self, beta: float) -> Tensor:
        """``(B,)`` F_β over all sentences."""
        return self._trellis.free_energy(beta)

    def best(self, n: int = 1, beta: float = math.inf) -> list[list[Scored]]:
        """For each item the ``n`` sentences of the best paths."""
        return self._trellis.best(n)

    def clamped(self, targets: Sequence[Labels]) -> Single:
        """One sentence of each item."""
        own = self.every.clamped(targets)
        gains = self.edits.gains(targets, self.every.emissions)
        return Single(lambda beta: own.free_energy(beta) - gains, targets)

    def rivals(self, targets: Sequence[Labels]) -> Energies:
        """All sentences but the target, which must be what the edits are counted from."""
        if [tuple(t) for t in targets] != [tuple(t) for t in self.edits.targets]:
            raise self._cannot("leave out another answer than the one that edits are counted from")
        return Rivals(self.every, targets, self.edits)

    def part(self, items: Sequence[int]) -> Edited:
        """Some of the items."""
        return Edited(self.every.part(items), self.edits.part(items))


class Rivals(Energies):
    """All sentences but one of each item, less what their edits cost if there are such costs.

    Exact: where the best sentence of all is another one, that is it; only for items that are right
    already (or where edits cost) is the graph of all others searched.
    """

    def __init__(
        self, every: Sentences, targets: Sequence[Labels], edits: Edits | None = None
    ) -> None:
        self.every, self.targets, self.edits = every, [tuple(t) for t in targets], edits

    @property
    def items(self) -> int:
        """Number of items, B."""
        return self.every.items

    def free_energy(self, beta: float) -> Tensor:
        """``(B,)`` F_β over all other sentences."""
        return self._others(range(self.items)).free_energy(beta)

    def best(self, n: int = 1, beta: float = math.inf) -> list[list[Scored]]:
        """For each item the ``n`` other sentences of the best paths."""
        if n > 1 or self.edits is not None:
            return self._others(range(self.items)).best(n)
        found = self.every.best()
        right = [b for b, own in enumerate(found) if own and own[0].value == self.targets[b]]
        if right:
            for b, own in zip(right, self._others(right).best(), strict=True):
                found[b] = own
        return found

    def clamped(self, targets: Sequence[Labels]) -> Energies:
        """One other sentence of each item."""
        if self.edits is None:
            return self.every.clamped(targets)
        return Edited(self.every, self.edits).clamped(targets)

    def part(self, items: Sequence[int]) -> Rivals:
        """Some of the items."""
        edits = None if self.edits is None else self.edits.part(items)
        return Rivals(self.every.part(items), [self.targets[b] for b in items], edits)

    def _others(self, items: Sequence[int]) -> Trellis:
        """Some of the items, each in the graph of all sentences but its target."""
        graphs, edits = self.every.graphs, self.edits
        if edits is None:
            own = [graphs.rivals(self.targets[b]) for b in items]
        else:
            own = [graphs.costly(self.targets[b], edits.scale, edits.cap, True) for b in items]
        return self.every.part(items).under(together(own))
