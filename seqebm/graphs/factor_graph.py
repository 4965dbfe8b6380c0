"""Factor graphs over discrete variables, and the trellis whose paths are their assignments.

The energy of an assignment is the sum of its factors. Enumeration evaluates every factor for each
assignment. In a trellis an arc stands for what a factor says of its own variables, and paths share
arcs: LeCun et al. (2006), "A tutorial on energy-based learning", section 6.1, where 96 evaluations
become 16. Min-sum and log-sum-exp are then shortest path and free energy of a graph, as for any
other: the sum-product algorithm with its variables in a line (Kschischang, Frey & Loeliger 2001).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from seqebm.errors import GraphError
from seqebm.graphs.graph import Floats, Graph
from seqebm.graphs.symbols import Symbols

Assignment = dict[str, int]


class Factor(NamedTuple):
    """Energies of the joint values of some variables: ``energies[value of 1st, of 2nd, ...]``."""

    variables: tuple[str, ...]
    energies: Floats


@dataclass(frozen=True)
class FactorGraph:
    """Discrete variables and the factors whose energies add up.

    Attributes:
        sizes: number of values of each variable; values are 0 .. size - 1.
        factors: each with an array of energies, one axis a variable; +inf is impossible.

    Raises :class:`GraphError` for a factor without variables, with one twice, with one that there
    is not, or whose array has another shape; and for energies that are NaN or -inf.
    """

    sizes: Mapping[str, int]
    factors: Sequence[Factor]

    @classmethod
    def make(
        cls, sizes: Mapping[str, int], factors: Sequence[tuple[Sequence[str], ArrayLike]]
    ) -> FactorGraph:
        """Build from names and anything that numpy takes for an array."""
        made = [Factor(tuple(names), np.asarray(table, np.float64)) for names, table in factors]
        return cls(dict(sizes), made)

    def __post_init__(self) -> None:
        for name, size in self.sizes.items():
            if size < 1:
                raise GraphError(f"variable {name!r} has {size} values; it needs 1 or more")
        for number, (names, table) in enumerate(self.factors):
            unknown = [name for name in names if name not in self.sizes]
            if unknown or not names or len(set(names)) < len(names):
                raise GraphError(
                    f"factor {number} is of {names}; it needs distinct variables out of "
                    f"{', '.join(self.sizes)}"
                )
            shape = tuple(self.sizes[name] for name in names)
            if table.shape != shape:
                raise GraphError(f"factor {number} of {names} is {table.shape}, not {shape}")
            if np.isnan(table).any() or (table == -np.inf).any():
                raise GraphError(f"factor {number} of {names} has energies that are NaN or -inf")

    def energy(self, assignment: Mapping[str, int]) -> float:
        """The energy of one assignment of all variables."""
        return float(
            sum(table[tuple(assignment[n] for n in names)] for names, table in self.factors)
        )

    def assignments(self) -> Iterator[Assignment]:
        """All assignments, the last variable's value changing fastest."""
        for values in itertools.product(*map(range, self.sizes.values())):
            yield dict(zip(self.sizes, values, strict=True))

    def enumeration_cost(self) -> int:
        """Factor evaluations that trying all assignments takes."""
        total = 1
        for size in self.sizes.values():
            total *= size
        return total * len(self.factors)

    def order(self) -> list[str]:
        """An order of the variables that keeps the trellis narrow, found greedily.

        Next comes the variable after which the fewest joint values of earlier variables have to
        be remembered; of equals, a neighbour of the variable that came last. This follows chains
        from end to end and trees branch by branch; the narrowest order is NP-hard to find.
        """
        best: list[str] = []
        best_cost = float("inf")
        near = {
            name: {n for f in self.factors if name in f.variables for n in f.variables}
            for name in self.sizes
        }
        for first in self.sizes:
            found, left = [first], [name for name in self.sizes if name != first]
            while left:

                def cost_of(name: str, found: list[str] = found) -> tuple[int, int, int]:
                    recent = max((k for k, n in enumerate(found) if n in near[name]), default=-1)
                    joint = self._joint(self._frontier([*found, name]))
                    return joint, self._width([*found, name]), -recent

                found.append(min(left, key=cost_of))
                left.remove(found[-1])
            cost = sum(self._width(found[: k + 1]) for k in range(len(found)))
            if cost < best_cost:
                best, best_cost = found, cost
        return best

    def trellis(self, order: Sequence[str] | None = None) -> Graph:
        """The graph whose paths are the assignments, with their energies.

        After k variables, the state is the joint value of those among them that a factor shares
        with a later variable. The arc into it gives the k-th variable its value (labels read
        ``name=value``) and has the energies of the factors whose last variable that is. With the
        narrowest order, there are about as many arcs as the largest clique of the elimination
        has joint values, times the variables: exponential in the width of the graph, linear in its
        length.

        Args:
            order: of all variables; default :meth:`order`.

        Raises :class:`GraphError` if ``order`` is not one of the variables, or there are none.
        """
        names = self.order() if order is None else list(order)
        if sorted(names) != sorted(self.sizes) or not names:
            raise GraphError(f"order {names} is not one of the variables {list(self.sizes)}")
        symbols = Symbols(f"{n}={v}" for n in names for v in range(self.sizes[n]))
        place = {name: k for k, name in enumerate(names)}
        last = [max(place[name] for name in factor.variables) for factor in self.factors]
        states: dict[tuple[int, ...], int] = {(): 0}
        kept: list[str] = []
        count, arcs, energies = 1, [], []
        for k, name in enumerate(names):
            own = [factor for factor, end in zip(self.factors, last, strict=True) if end == k]
            after = self._frontier(names[: k + 1])
            reached: dict[tuple[int, ...], int] = {}
            for values, source in states.items():
                known = dict(zip(kept, values, strict=True))
                for value in range(self.sizes[name]):
                    known[name] = value
                    key = tuple(known[n] for n in after)
                    if key not in reached:
                        reached[key] = count
                        count += 1
                    label = symbols.id(f"{name}={value}")
                    arcs.append((source, reached[key], label, label))
                    tables = (f.energies[tuple(known[n] for n in f.variables)] for f in own)
                    energies.append(float(sum(tables)))
            states, kept = reached, after
        return Graph.make(
            count, arcs, [0], sorted(states.values()), energies, isymbols=symbols, osymbols=symbols
        )

    def trellis_cost(self, order: Sequence[str] | None = None) -> int:
        """Factor evaluations that the trellis takes: of each factor, one for each of its arcs."""
        names = self.order() if order is None else list(order)
        place = {name: k for k, name in enumerate(names)}
        total = 0
        for factor in self.factors:
            k = max(place[name] for name in factor.variables)
            total += self._joint(self._frontier(names[:k])) * self.sizes[names[k]]
        return total

    def read(self, graph: Graph, labels: Sequence[int]) -> Assignment:
        """The assignment that a path of the trellis reads."""
        assert graph.isymbols is not None
        pairs = (graph.isymbols.name(label).rpartition("=") for label in labels)
        return {name: int(value) for name, _, value in pairs}

    def _frontier(self, done: Sequence[str]) -> list[str]:
        """Which of the variables ``done`` share a factor with one that is not."""
        before = set(done)
        open_ = {
            name
            for factor in self.factors
            if not before.issuperset(factor.variables)
            for name in factor.variables
        }
        return [name for name in done if name in open_]

    def _joint(self, names: Sequence[str]) -> int:
        return int(np.prod([self.sizes[name] for name in names], initial=1))

    def _width(self, done: Sequence[str]) -> int:
        """States after these variables, times the values of the last one."""
        return self._joint(self._frontier(done[:-1])) * self.sizes[done[-1]]
