"""Epsilon cycles: all the ways around, summed in closed form.

A frame's work is a sweep over states in an order in which epsilon arcs lead forwards; a cycle of
epsilon arcs has none. So each strongly connected component of epsilon arcs is replaced by the arcs
of its *closure*: from every state that a path may enter the component by, to every state that it
may leave by, with the free energy of all walks between the two. That is no sum of arc energies, so
it is no graph operation: it depends on β and is computed, differentiably, when energies are known.

Source: Mohri 2002, "Semiring frameworks and algorithms for shortest-distance problems", section 4
(the generic all-pairs algorithm of Kleene, with the star of a cycle).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from seqebm.errors import GraphError
from seqebm.graphs import Graph
from seqebm.graphs.graph import Ints
from seqebm.graphs.trim import strongly_connected
from seqebm.inference.free_energy import free_energy


@dataclass(frozen=True)
class Cycle:
    """One strongly connected component of epsilon arcs: k states, m arcs.

    Attributes:
        states: ``(k,)`` their numbers in the graph, for messages.
        src, dst: ``(m,)`` places, 0 .. k-1, of the ends of its arcs.
        fixed: ``(m,)`` fixed energies.
        rows, columns, counts: the arcs' ties as triplets (arc, weight, how often).
        entries: ``(k k,)`` the closure's entries, from state p to state q at ``p k + q``.
    """

    states: Ints
    src: Tensor
    dst: Tensor
    fixed: Tensor
    rows: Tensor
    columns: Tensor
    counts: Tensor
    entries: Tensor

    def shifted(self, entries: int) -> Cycle:
        """The same component in a batch whose earlier graphs have so many entries."""
        return dataclasses.replace(self, entries=self.entries + entries)

    def energies(self, weights: Tensor, beta: float) -> Tensor:
        """``(k k,)`` free energies of all walks from each state to each, the empty one included.

        Raises :class:`GraphError` where going round a cycle costs less than nothing (at finite β:
        nothing or less), so that the energy of ever longer paths has no bound.
        """
        arcs = self.fixed.to(weights.dtype).index_add(
            0, self.rows, self.counts.to(weights.dtype) * weights[self.columns]
        )
        k = len(self.states)
        between = [[self._parallel(arcs, p, q, beta) for q in range(k)] for p in range(k)]
        walks = torch.stack([torch.stack(row) for row in between])
        for via in range(k):
            around = walks[via, via]
            cost = float(around.detach())
            limit = 0.0 if math.isinf(beta) else math.ulp(0.0)
            if cost < limit:
                raise GraphError(
                    f"an epsilon cycle through state {self.states[via]} has energy "
                    f"{cost:.6g}: paths that go around it for ever cost less and less. "
                    "Give its arcs more energy, or an input label"
                )
            star = 0.0 if math.isinf(beta) else torch.log(-torch.expm1(-beta * around)) / beta
            detour = walks[:, via, None] + star + walks[None, via, :]
            walks = free_energy(torch.stack([walks, detour]), beta, 0)
        empty = torch.where(torch.eye(k, dtype=torch.bool), 0.0, math.inf).to(walks.dtype)
        return free_energy(torch.stack([walks, empty]), beta, 0).flatten()

    def _parallel(self, arcs: Tensor, p: int, q: int, beta: float) -> Tensor:
        own = arcs[(self.src == p) & (self.dst == q)]
        return free_energy(own, beta) if len(own) else arcs.new_tensor(math.inf)


def close(graph: Graph) -> tuple[Graph, list[Cycle]]:
    """Replace epsilon cycles by closure arcs; without any, the graph itself.

    Each state of a component becomes two: paths enter the first, closure arcs lead from first to
    second ones, and everything else leaves from the second (its numbers follow the graph's own).
    Closure arcs come after the graph's other arcs, with no energy of their own.

    Raises :class:`GraphError` if an arc on an epsilon cycle writes a label: its closure would have
    to write many strings.
    """
    component = strongly_connected(graph, epsilon_only=True)
    inside = (graph.ilabel == 0) & (component[graph.src] == component[graph.dst])
    if not inside.any():
        return graph, []
    writing = np.flatnonzero(inside & (graph.olabel > 0))
    if len(writing):
        arc = int(writing[0])
        raise GraphError(
            f"arc {arc} ({graph.src[arc]} -> {graph.dst[arc]}) reads nothing, lies on a cycle of "
            f"such arcs and writes label {graph.olabel[arc]}; let it read something"
        )
    second = np.arange(graph.states)
    split = np.flatnonzero(np.isin(component, component[graph.src[inside]]))
    second[split] = graph.states + np.arange(len(split))
    kept = np.flatnonzero(~inside)
    src, dst = [second[graph.src[kept]]], [graph.dst[kept]]
    components, count = [], len(kept)
    ties = graph.ties.tocsr()
    for number in np.unique(component[graph.src[inside]]):
        states = np.flatnonzero(component == number)
        k = len(states)
        arcs = np.flatnonzero(inside & (component[graph.src] == number))
        own = ties[arcs].tocoo()
        rows, columns = own.coords
        src.append(np.repeat(states, k))
        dst.append(np.tile(second[states], k))
        components.append(
            Cycle(
                states,
                torch.from_numpy(np.searchsorted(states, graph.src[arcs])),
                torch.from_numpy(np.searchsorted(states, graph.dst[arcs])),
                torch.from_numpy(graph.energy[arcs]),
                torch.from_numpy(rows.astype(np.int64)),
                torch.from_numpy(columns.astype(np.int64)),
                torch.from_numpy(own.data),
                torch.arange(count, count + k * k),
            )
        )
        count += k * k
    added = count - len(kept)
    ends = np.arange(graph.arcs, graph.entries)
    nothing = np.zeros(added, dtype=np.int64)
    energy = np.concatenate([graph.energy[kept], np.zeros(added), graph.energy[ends]])
    old = np.concatenate([kept, ends])
    new = np.concatenate([np.arange(len(kept)), count + np.arange(len(ends))])
    move = csr_array((np.ones(len(old)), (new, old)), shape=(count + len(ends), graph.entries))
    closed = Graph(
        graph.states + len(split), np.concatenate(src), np.concatenate(dst),
        np.concatenate([graph.ilabel[kept], nothing]),
        np.concatenate([graph.olabel[kept], nothing]),
        graph.starts, second[graph.finals], energy, csr_array(move @ graph.ties),
        graph.isymbols, graph.osymbols,
    )  # fmt: skip
    return closed, components
