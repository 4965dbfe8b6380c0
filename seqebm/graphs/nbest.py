"""The n best distinct strings of a graph, exactly."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seqebm.compiled import compiled
from seqebm.errors import GraphError
from seqebm.graphs._walks import JIT, expand
from seqebm.graphs.graph import Floats, Graph, Ints
from seqebm.graphs.paths import Path, path_of
from seqebm.graphs.totals import alive_arcs, lowest


@compiled(**JIT)
def _close(
    offsets: Ints, dst: Ints, label: Ints, cost: Floats,
    states: Ints, costs: Floats, arcs: Ints, sources: Ints, place: Ints,
) -> tuple[Ints, Floats, Ints, Ints]:  # fmt: skip
    """What arcs without output reach from a set of states, each at its lowest cost.

    Args:
        offsets, dst, label, cost: the arcs, sorted by (state, label); costs are 0 or more.
        states, costs: distinct states and what it costs to be there.
        arcs, sources: the arc into each, and the place in the parent's set that it leaves.
        place: ``(S,)`` scratch, all -1, and left so.

    Returns:
        The same four for the larger set, the states given coming first; the source of an arc
        without output is a place in this set itself.
    """
    size = max(2 * states.size, 16)
    to, best = np.empty(size, np.int64), np.empty(size)
    arc_in, source = np.empty(size, np.int64), np.empty(size, np.int64)
    waiting = np.empty(size, np.bool_)
    count = states.size
    to[:count], best[:count], arc_in[:count], source[:count] = states, costs, arcs, sources
    queue = list(range(count))
    for k in range(count):
        place[states[k]] = k
        waiting[k] = True
    head = 0
    while head < len(queue):
        k = queue[head]
        head += 1
        waiting[k] = False
        arc = offsets[to[k]]
        while arc < offsets[to[k] + 1] and label[arc] == 0:
            reached = best[k] + cost[arc]
            d = place[dst[arc]]
            if d < 0:
                if count == to.size:
                    room = np.empty(count, np.int64)
                    to, source = np.append(to, room), np.append(source, room)
                    arc_in, best = np.append(arc_in, room), np.append(best, np.empty(count))
                    waiting = np.append(waiting, np.zeros(count, np.bool_))
                d = count
                place[dst[arc]] = d
                to[d], best[d], waiting[d] = dst[arc], np.inf, False
                count += 1
            if reached < best[d]:
                best[d], arc_in[d], source[d] = reached, arc, k
                if not waiting[d]:
                    waiting[d] = True
                    queue.append(d)
            arc += 1
    for k in range(count):
        place[to[k]] = -1
    return to[:count].copy(), best[:count].copy(), arc_in[:count].copy(), source[:count].copy()


@dataclass(slots=True)
class _Prefix:
    """A node of the search: an output prefix, and the states that paths which wrote it are in."""

    parent: _Prefix | None
    states: Ints
    costs: Floats
    arcs: Ints  # into each state; at the root: -1
    sources: Ints  # place in the parent's set; for an arc without output: in this set


def n_best(graph: Graph, n: int, weights: ArrayLike | None = None) -> list[Path]:
    """The ``n`` lowest-energy output strings, each with its best path, best first.

    Strings differ as strings (epsilons skipped), not as paths. The search goes over output
    prefixes: a prefix stands for the set of states in which the paths that wrote it may be
    (the subset construction, made only where the search comes), and is taken in the order of the
    exact energy of its best completion, which the distances to the end give (A*). So nothing
    that is worse than the n-th string is looked at, and determinisation cannot blow up.

    Source: Mohri & Riley 2002, "An efficient algorithm for the n-best-strings problem".

    Args:
        graph: any graph, cyclic allowed.
        n: how many; fewer are returned if there are fewer strings.
        weights: ``(W,)`` values of the tied weights; None: fixed energies only.

    Raises :class:`GraphError` for ``n`` below 0 or a cycle of negative energy.
    """
    if n < 0:
        raise GraphError(f"n_best: n is {n}; it must be 0 or more")
    energies = graph.energies(weights)
    first, last = graph.arcs, graph.arcs + len(graph.starts)
    ahead = lowest(graph, energies, backwards=True)
    useful = np.flatnonzero(alive_arcs(graph, energies))
    order = useful[np.lexsort((graph.olabel[useful], graph.src[useful]))]
    offsets = np.searchsorted(graph.src[order], np.arange(graph.states + 1))
    label, dst = graph.olabel[order], graph.dst[order]
    # How much worse than the best completion an arc (a final) is: 0 along best paths, exactly.
    cost = _excess(energies[order] + ahead.energy[dst], ahead.energy[graph.src[order]])
    final_entry = np.full(graph.states, -1, dtype=np.int64)
    final_entry[graph.finals] = last + np.arange(len(graph.finals))
    final_cost = np.full(graph.states, np.inf)
    possible = np.isfinite(ahead.energy[graph.finals])
    ending = graph.finals[possible]
    final_cost[ending] = _excess(energies[last:][possible], ahead.energy[ending])
    start_energy = energies[first:last] + ahead.energy[graph.starts]
    begin = np.flatnonzero(start_energy < np.inf)
    if not len(begin) or n == 0:
        return []
    states = graph.starts[begin]
    nothing = np.full(len(begin), -1)
    costs = start_energy[begin] - start_energy.min()
    root = _Prefix(None, states, costs, nothing, begin)
    place = np.full(graph.states, -1, dtype=np.int64)
    tick = itertools.count()
    # (cost, arcs still to go, tick, prefix, place of a final state in it or -1). Among equals the
    # one that is nearest to its end comes first, so that ties do not widen the search.
    heap: list[tuple[float, int, int, _Prefix, int]] = [
        (float(costs.min()), int(ahead.length[states[costs.argmin()]]), 0, root, -1)
    ]
    next(tick)
    found: list[Path] = []
    while heap and len(found) < n:
        _, _, _, prefix, at = heapq.heappop(heap)
        if at >= 0:
            entries = [int(final_entry[prefix.states[at]]), *_trace(prefix, at, label, order)]
            entries[-1] += first
            found.append(path_of(graph, entries[::-1], energies))
            continue
        prefix.states, prefix.costs, prefix.arcs, prefix.sources = _close(
            offsets, dst, label, cost,
            prefix.states, prefix.costs, prefix.arcs, prefix.sources, place,
        )  # fmt: skip
        ends = prefix.costs + final_cost[prefix.states]
        at = int(ends.argmin())
        if ends[at] < np.inf:
            heapq.heappush(heap, (float(ends[at]), 0, next(tick), prefix, at))
        for child in _children(prefix, offsets, dst, label, cost):
            nearest = int(child.costs.argmin())
            length = 1 + int(ahead.length[child.states[nearest]])
            heapq.heappush(heap, (float(child.costs[nearest]), length, next(tick), child, -1))
    return sorted(found, key=lambda path: path.energy)


def _excess(energy: Floats, best: Floats) -> Floats:
    excess = energy - best
    return np.where(excess > 1e-10 * (1 + np.abs(best)), excess, 0.0)


def _children(
    prefix: _Prefix, offsets: Ints, dst: Ints, label: Ints, cost: Floats
) -> list[_Prefix]:
    """One longer prefix for each label that can be written next."""
    source, arc = expand(offsets, prefix.states)
    writes = label[arc] > 0
    source, arc = source[writes], arc[writes]
    reached = prefix.costs[source] + cost[arc]
    # The cheapest arc for each (label, state).
    order = np.lexsort((reached, dst[arc], label[arc]))
    source, arc, reached = source[order], arc[order], reached[order]
    to, wrote = dst[arc], label[arc]
    new = np.ones(len(arc), dtype=bool)
    new[1:] = (to[1:] != to[:-1]) | (wrote[1:] != wrote[:-1])
    source, arc, reached, to, wrote = source[new], arc[new], reached[new], to[new], wrote[new]
    bounds = [0, *(np.flatnonzero(wrote[1:] != wrote[:-1]) + 1).tolist(), len(wrote)]
    return [
        _Prefix(prefix, to[i:j], reached[i:j], arc[i:j], source[i:j])
        for i, j in itertools.pairwise(bounds)
        if j > i
    ]


def _trace(prefix: _Prefix, at: int, label: Ints, order: Ints) -> list[int]:
    """Arcs from the end back to the start, then the number of the start."""
    entries = []
    while prefix.arcs[at] >= 0:
        arc = int(prefix.arcs[at])
        entries.append(int(order[arc]))
        at = int(prefix.sources[at])
        if label[arc]:
            assert prefix.parent is not None
            prefix = prefix.parent
    return [*entries, int(prefix.sources[at])]
