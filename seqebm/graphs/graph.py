"""The graph: states, arcs, labels and tied weights, without any input X.

Everything that carries energy is an **entry**: the arcs, then the start states, then the final
states. An entry's energy is a fixed number plus a sum of *tied weights*, parameters that many
entries may share::

    energy(w) = graph.energy + graph.ties @ w          # (E,)

Weights live elsewhere (they are learned); a graph only knows how often each entry uses each.
Every operation of this package gives, besides the new graph, one **arc map** for each operand: a
sparse matrix that tells of which entries of the operand each new entry is the sum. Fixed energies
and ties follow from it, so gradients reach every weight through any depth of operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csc_array, csr_array

from seqebm.errors import GraphError
from seqebm.graphs.symbols import Symbols

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def _ints(values: ArrayLike) -> Ints:
    return np.ascontiguousarray(values, dtype=np.int64).reshape(-1)


@dataclass(frozen=True, eq=False)
class Graph:
    """An automaton or transducer whose entries carry energies (low is good).

    Attributes:
        states: number of states, S; states are 0 .. S-1.
        src, dst: ``(A,)`` int64, states that an arc leaves and enters.
        ilabel, olabel: ``(A,)`` int64, what it reads and writes; 0 is epsilon.
        starts: ``(Ns,)`` int64, distinct start states.
        finals: ``(Nf,)`` int64, distinct final states.
        energy: ``(E,)`` float64, fixed energies of the E = A + Ns + Nf entries; +inf: impossible.
        ties: ``(E, W)`` sparse, how often each entry uses each of W tied weights.
        isymbols, osymbols: names of the labels, if known.
    """

    states: int
    src: Ints
    dst: Ints
    ilabel: Ints
    olabel: Ints
    starts: Ints
    finals: Ints
    energy: Floats
    ties: csr_array
    isymbols: Symbols | None = None
    osymbols: Symbols | None = None

    @classmethod
    def make(
        cls,
        states: int,
        arcs: Sequence[Sequence[int]] | Ints,
        starts: ArrayLike,
        finals: ArrayLike,
        energy: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        weights: int = 0,
        isymbols: Symbols | None = None,
        osymbols: Symbols | None = None,
    ) -> Graph:
        """Build a graph from arcs ``(src, dst, ilabel, olabel)`` and check it.

        Args:
            states: number of states.
            arcs: A rows of four whole numbers.
            starts, finals: states, each listed once.
            energy: fixed energy of the first entries (arcs, starts, finals); the rest have 0.
            weight: tied weight id of the first entries, -1 for none; the rest have none.
            weights: number W of tied weights that exist (at least the largest id + 1).
            isymbols, osymbols: names of the labels.

        Raises :class:`GraphError` for a state or label out of range, a start or final state
        listed twice, or an energy that is NaN or -inf.
        """
        table = np.asarray(arcs, dtype=np.int64).reshape(-1, 4)
        src, dst, ilabel, olabel = (np.ascontiguousarray(column) for column in table.T)
        first, last = _ints(starts), _ints(finals)
        entries = len(src) + len(first) + len(last)
        fixed = np.zeros(entries)
        if energy is not None:
            given = np.asarray(energy, dtype=np.float64).reshape(-1)
            fixed[: len(given)] = given
        ids = np.full(entries, -1, dtype=np.int64)
        if weight is not None:
            given_ids = _ints(weight)
            ids[: len(given_ids)] = given_ids
        used = ids >= 0
        width = max(weights, int(ids.max(initial=-1)) + 1)
        rows = np.flatnonzero(used)
        ties = csr_array((np.ones(len(rows)), (rows, ids[used])), shape=(entries, width))
        graph = cls(
            int(states), src, dst, ilabel, olabel, first, last, fixed, ties, isymbols, osymbols
        )
        graph.check()
        return graph

    @property
    def arcs(self) -> int:
        """Number of arcs, A."""
        return len(self.src)

    @property
    def entries(self) -> int:
        """Number of entries, E = arcs + starts + finals."""
        return len(self.src) + len(self.starts) + len(self.finals)

    @property
    def weights(self) -> int:
        """Number of tied weights, W."""
        return self.ties.shape[1]

    def energies(self, weights: ArrayLike | None = None) -> Floats:
        """``(E,)`` energies of the entries, given the values ``(W,)`` of the tied weights."""
        if weights is None:
            return self.energy
        values = np.asarray(weights, dtype=np.float64)
        if values.shape != (self.weights,):
            raise GraphError(
                f"weights have shape {values.shape}, the graph needs ({self.weights},)"
            )
        return self.energy + self.ties @ values

    def check(self) -> None:
        """Raise :class:`GraphError` unless the arrays are consistent."""
        for name in ("src", "dst", "starts", "finals"):
            values = getattr(self, name)
            wrong = np.flatnonzero((values < 0) | (values >= self.states))
            if len(wrong):
                index = int(wrong[0])
                raise GraphError(
                    f"{name}[{index}] is state {values[index]}; the graph has {self.states} states"
                )
        for name in ("starts", "finals"):
            values = getattr(self, name)
            if len(np.unique(values)) < len(values):
                raise GraphError(f"{name} lists a state twice; each may be listed once")
        for name in ("ilabel", "olabel"):
            values = getattr(self, name)
            if len(values) and values.min() < 0:
                raise GraphError(f"{name} has a negative label ({values.min()}); 0 is epsilon")
        if not (len(self.src) == len(self.dst) == len(self.ilabel) == len(self.olabel)):
            raise GraphError("src, dst, ilabel and olabel differ in length")
        if self.energy.shape != (self.entries,) or self.ties.shape[0] != self.entries:
            raise GraphError(
                f"energy {self.energy.shape} and ties {self.ties.shape} must have a row for each "
                f"of the {self.entries} entries"
            )
        wrong = np.flatnonzero(np.isnan(self.energy) | (self.energy == -np.inf))
        if len(wrong):
            raise GraphError(
                f"entry {int(wrong[0])} has energy {self.energy[wrong[0]]}; energies are finite "
                "or +inf (impossible)"
            )


class Derived(NamedTuple):
    """What an operation gives.

    Attributes:
        graph: the new graph.
        maps: for each operand, ``(E_new, E_operand)`` sparse: how often each new entry counts
            each entry of the operand.
    """

    graph: Graph
    maps: tuple[csr_array | csc_array, ...]


def arc_map(new: ArrayLike, old: ArrayLike, shape: tuple[int, int]) -> csr_array:
    """A sparse arc map from pairs (new entry, old entry); a pair listed twice counts twice."""
    rows, columns = _ints(new), _ints(old)
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def derive(
    operands: Sequence[Graph],
    maps: Sequence[csr_array | csc_array],
    states: int,
    arcs: Sequence[ArrayLike],
    starts: ArrayLike,
    finals: ArrayLike,
    isymbols: Symbols | None = None,
    osymbols: Symbols | None = None,
) -> Derived:
    """The graph of an operation: its topology, with energies and ties that follow from the maps.

    Args:
        operands: the graphs that the operation took. Their weights are numbered alike.
        maps: one arc map for each.
        states: number of states of the result.
        arcs: (src, dst, ilabel, olabel) arrays.
        starts, finals: states.
        isymbols, osymbols: names of the labels.
    """
    src, dst, ilabel, olabel = (_ints(column) for column in arcs)
    first, last = _ints(starts), _ints(finals)
    entries = len(src) + len(first) + len(last)
    energy = np.zeros(entries)
    ties = csr_array((entries, max((g.weights for g in operands), default=0)))
    for graph, rows in zip(operands, maps, strict=True):
        # 0 * inf is not a number: a sparse product only meets what the map lists.
        energy = energy + rows @ graph.energy
        own = rows @ graph.ties
        own.resize((entries, ties.shape[1]))
        ties = ties + own
    graph = Graph(
        int(states), src, dst, ilabel, olabel, first, last, energy, csr_array(ties),
        isymbols, osymbols,
    )  # fmt: skip
    return Derived(graph, tuple(maps))
