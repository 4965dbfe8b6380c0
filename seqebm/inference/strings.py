"""What energies on graphs share: answers are output strings, and the three numbers are exact."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from seqebm.graphs import Derived, Graph, compose, difference, edit_cost, hamming_cost, linear
from seqebm.inference.energies import Energies
from seqebm.inference.terms import Request

#: Graph and target -> another graph, with arc maps.
Operation = Callable[[Graph, Sequence[int]], Derived]


class Strings(Energies):
    """Base of the energies in which each item follows a graph and writes an output string.

    The answer is that string (olabels along a path, epsilons skipped), the latent variable the
    path that writes it. A subclass gives :meth:`derived`; clamped, rivals and costs follow.
    """

    @abstractmethod
    def derived(self, targets: Sequence[Sequence[int]], operation: Operation) -> Self:
        """The energies that an operation makes of each item's graph; they follow arc maps."""

    def clamped(self, targets: Sequence[Sequence[int]]) -> Self:
        """The paths that write each item's target (labels, none 0)."""
        return self.derived(targets, _writing)

    def rivals(self, targets: Sequence[Sequence[int]]) -> Energies:
        """The paths that write anything but the target."""
        return self.derived(targets, difference)

    def costly(self, targets: Sequence[Sequence[int]], request: Request) -> Energies:
        """All paths, less ``request.scale`` times the cost of what they write.

        ``"hamming"`` compares position by position; a label too many or missing is a wrong one.
        """

        def product(graph: Graph, target: Sequence[int]) -> Derived:
            labels = np.union1d(graph.olabel[graph.olabel > 0], np.asarray(target, np.int64))
            if request.cost == "edit":
                cost = edit_cost(target, labels.tolist(), request.cap)
            else:
                cost = hamming_cost(target, labels.tolist())
            gain = dataclasses.replace(cost, energy=-request.scale * cost.energy)
            return compose(graph, gain)

        return self.derived(targets, product)


def _writing(graph: Graph, target: Sequence[int]) -> Derived:
    """The paths of a graph that write a string; what is written keeps its names."""
    found = compose(graph, linear(target))
    return found._replace(graph=dataclasses.replace(found.graph, osymbols=graph.osymbols))
