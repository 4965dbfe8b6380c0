"""The distinct strings of lowest energy of an acyclic graph."""

from __future__ import annotations

import heapq
import math

import numpy as np

from seqebm.graphs import Graph, topological_order
from seqebm.graphs._walks import potentials

Labels = tuple[int, ...]


def best_strings(graph: Graph, count: int) -> list[tuple[Labels, float]]:
    """The ``count`` distinct output strings of lowest energy, lowest first; fewer if there are.

    A string's energy is that of its best path. The graph is determinised only where the search
    goes: A* over strings, each with the set of states that it leads to. What is still to come is
    known exactly, so only beginnings of the wanted strings are ever extended (Mohri & Riley 2002,
    "An efficient algorithm for the n-best-strings problem").

    Raises :class:`seqebm.errors.GraphError` for a cyclic graph.
    """
    walk = _Walk(graph)
    # (lower bound, order of discovery, string, states and their energies; None: complete)
    heap: list[tuple[float, int, Labels, dict[int, float] | None]] = []
    starts = graph.energy[graph.arcs : graph.arcs + len(graph.starts)]
    first = dict(zip(graph.starts.tolist(), starts.tolist(), strict=True))
    found: list[tuple[Labels, float]] = []
    number = 0

    def push(bound: float, labels: Labels, states: dict[int, float] | None) -> None:
        nonlocal number
        if bound < math.inf:
            heapq.heappush(heap, (bound, number, labels, states))
            number += 1

    push(walk.bound(first), (), first)
    while heap and len(found) < count:
        energy, _, labels, states = heapq.heappop(heap)
        if states is None:
            found.append((labels, energy))
            continue
        complete, following = walk.extend(states)
        push(complete, labels, None)
        for label, targets in following.items():
            push(walk.bound(targets), (*labels, label), targets)
    return found


class _Walk:
    """Steps from sets of states, over arcs that write nothing, to the next label."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        order = topological_order(graph)
        self.rank = np.empty(graph.states, dtype=np.int64)
        self.rank[order] = np.arange(graph.states)
        self.state_of = order.tolist()
        ends = np.full(graph.states, np.inf)
        ends[graph.finals] = graph.energy[graph.arcs + len(graph.starts) :]
        energy = np.ascontiguousarray(graph.energy[: graph.arcs])
        self.ends = ends.tolist()
        backwards = np.ascontiguousarray(order[::-1])
        self.remaining = potentials(
            backwards, graph.dst, graph.src, energy, ends, math.inf
        ).tolist()
        self.leaving: list[list[tuple[int, int, float]]] = [[] for _ in range(graph.states)]
        rows = zip(
            graph.src.tolist(), graph.dst.tolist(), graph.olabel.tolist(), energy.tolist(),
            strict=True,
        )  # fmt: skip
        for src, dst, label, cost in rows:
            if self.remaining[dst] < math.inf:
                self.leaving[src].append((dst, label, cost))

    def bound(self, states: dict[int, float]) -> float:
        """Least energy of a whole path through one of the states."""
        return min((e + self.remaining[s] for s, e in states.items()), default=math.inf)

    def extend(self, states: dict[int, float]) -> tuple[float, dict[int, dict[int, float]]]:
        """Least energy of ending without another label; each next label, with its states."""
        reached = dict(states)
        queue = [int(self.rank[s]) for s in states]
        heapq.heapify(queue)
        complete = math.inf
        following: dict[int, dict[int, float]] = {}
        last = -1
        while queue:  # in topological order, so a state's energy is final when it comes
            rank = heapq.heappop(queue)
            if rank == last:
                continue
            last = rank
            state = self.state_of[rank]
            energy = reached[state]
            complete = min(complete, energy + self.ends[state])
            for target, label, cost in self.leaving[state]:
                onto = following.setdefault(label, {}) if label else reached
                if energy + cost < onto.get(target, math.inf):
                    if not label and target not in reached:
                        heapq.heappush(queue, int(self.rank[target]))
                    onto[target] = energy + cost
        return complete, following
