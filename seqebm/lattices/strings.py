"""What lattices of graphs share: answers are output strings, and the three numbers are exact."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from seqebm.errors import DataError
from seqebm.graphs import Derived, Graph, compose, difference, edit_cost, hamming_cost, linear
from seqebm.hooks import Request, Terms
from seqebm.lattices.risk import expected_cost

#: Graph and target -> another graph, with arc maps.
Operation = Callable[[Graph, Sequence[int]], Derived]


class StringLattice:
    """Base of the lattices in which each item follows a graph and writes an output string.

    The answer is that string (olabels along a path, epsilons skipped), the latent variable the
    path that writes it. A subclass gives :meth:`free_energy`, :meth:`best_strings`,
    :meth:`derived`, :meth:`double` and ``items``.
    """

    @property
    def items(self) -> int:
        """Number of items, B."""
        raise NotImplementedError

    def free_energy(self, beta: float) -> Tensor:
        """``(B,)`` F_β over all paths, differentiable; +inf where there is none."""
        raise NotImplementedError

    def best_strings(self) -> list[tuple[int, ...] | None]:
        """For each item what its path of least energy writes; None where there is none."""
        raise NotImplementedError

    def derived(self, targets: Sequence[Sequence[int]], operation: Operation) -> Self:
        """The lattice that an operation makes of each item's graph; energies follow arc maps."""
        raise NotImplementedError

    def clamped(self, targets: Sequence[Sequence[int]]) -> Self:
        """The paths that write each item's target (labels, none 0)."""
        return self.derived(targets, lambda graph, target: compose(graph, linear(target)))

    def rivals(self, targets: Sequence[Sequence[int]]) -> Self:
        """The paths that write anything but the target."""
        return self.derived(targets, difference)

    def double(self) -> Self:
        """The same lattice in double precision, differentiable."""
        raise NotImplementedError

    def costly(self, targets: Sequence[Sequence[int]], request: Request) -> Self:
        """All paths, less ``request.scale`` times the cost of what they write."""

        def product(graph: Graph, target: Sequence[int]) -> Derived:
            labels = np.union1d(graph.olabel[graph.olabel > 0], np.asarray(target, np.int64))
            if request.cost == "edit":
                cost = edit_cost(target, labels.tolist(), request.cap)
            else:
                cost = hamming_cost(target, labels.tolist())
            gain = dataclasses.replace(cost, energy=-request.scale * cost.energy)
            return compose(graph, gain)

        return self.derived(targets, product)

    def terms(
        self, targets: Sequence[Sequence[int]], beta: float, request: Request = Request()
    ) -> Terms:
        """The three numbers of each item; those that ``request`` leaves out are NaN.

        The most offending answer is exact: what the best path among all others writes, whatever
        their number. Its energy is F_β over its paths, as the right one's is.

        Args:
            targets: for each item the labels of its right answer.
            beta: inverse temperature; inf is legal.
            request: which numbers, and what cost they are augmented by. ``"hamming"`` compares
                position by position; a label too many or missing counts as a wrong one.

        Raises :class:`DataError` for a wrong number of targets.
        """
        if len(targets) != self.items:
            raise DataError(f"{len(targets)} targets for {self.items} items")
        correct = self.clamped(targets).free_energy(beta)
        contrastive = offending = torch.full_like(correct, math.nan)
        costs = request.cost is not None and request.scale != 0
        lattice = self.costly(targets, request) if costs else self
        if request.contrastive:
            contrastive = lattice.free_energy(beta)
        if request.offending:
            # The difference must come last: the product with a cost keeps all strings.
            others = lattice.rivals(targets)
            # Where there is no other answer, the target: no path of these writes it.
            answers = [
                target if answer is None else answer
                for target, answer in zip(targets, others.best_strings(), strict=True)
            ]
            offending = others.clamped(answers).free_energy(beta)
        risk = None
        if request.risk:
            exact = self.double()
            risk = expected_cost(
                lambda s: exact.costly(targets, request._replace(scale=s)).free_energy(beta), beta
            ).to(correct.dtype)
        return Terms(correct, contrastive, offending, beta, risk)
