"""Order and tidiness: connect (trim), sorting of arcs and states, cycles."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from seqebm.errors import GraphError
from seqebm.graphs._walks import group, kahn, reach
from seqebm.graphs.graph import Derived, Graph, Ints, arc_map, derive


def useful(states: int, src: Ints, dst: Ints, starts: Ints, finals: Ints) -> NDArray[np.bool_]:
    """``(states,)`` bool: states on some path from a start state to a final state."""
    return reach(states, src, dst, starts) & reach(states, dst, src, finals)


def keep(graph: Graph, entries: NDArray[np.bool_], states: NDArray[np.bool_]) -> Derived:
    """The graph with only the entries and states that the masks ``(E,)`` and ``(S,)`` name.

    An entry at a state that is not kept must not be kept either.
    """
    first, last = graph.arcs, graph.arcs + len(graph.starts)
    number = np.cumsum(states) - 1
    arcs, starts, finals = entries[:first], entries[first:last], entries[last:]
    old = np.flatnonzero(entries)
    return derive(
        [graph],
        [arc_map(np.arange(len(old)), old, (len(old), graph.entries))],
        int(states.sum()),
        (number[graph.src[arcs]], number[graph.dst[arcs]], graph.ilabel[arcs], graph.olabel[arcs]),
        number[graph.starts[starts]],
        number[graph.finals[finals]],
        graph.isymbols,
        graph.osymbols,
    )


def connect(graph: Graph) -> Derived:
    """Trim: keep the states and entries that lie on some path from a start to a final state.

    An entry of energy +inf counts as a path. A graph without any path becomes the empty graph.
    """
    states = useful(graph.states, graph.src, graph.dst, graph.starts, graph.finals)
    entries = np.concatenate(
        (states[graph.src] & states[graph.dst], states[graph.starts], states[graph.finals])
    )
    return keep(graph, entries, states)


def separate(graph: Graph) -> list[Graph]:
    """The parts of a graph that no arc connects, in the order of their first states.

    States and entries of each part keep their order.
    """
    shape = (graph.states, graph.states)
    links = csr_array((np.ones(graph.arcs, np.int8), (graph.src, graph.dst)), shape=shape)
    parts, part = connected_components(links, directed=False)
    _, first = np.unique(part, return_index=True)
    part = np.argsort(np.argsort(first))[part]  # numbered by their first states
    offsets, order = group(parts, part)
    number = np.empty(graph.states, dtype=np.int64)
    number[order] = np.arange(graph.states) - np.repeat(offsets[:-1], np.diff(offsets))
    # Entries of a part: its arcs, its starts, its finals, so that a stable sort will do.
    entries, rows = group(parts, part[np.concatenate((graph.src, graph.starts, graph.finals))])
    kinds = np.repeat(np.arange(3), (graph.arcs, len(graph.starts), len(graph.finals)))[rows]
    energy, ties = graph.energy[rows], graph.ties[rows]
    found = []
    for k in range(parts):
        begin, stop = entries[k], entries[k + 1]
        mine, kind = rows[begin:stop], kinds[begin:stop]
        arcs = mine[kind == 0]
        low, high = ties.indptr[begin], ties.indptr[stop]
        own = (ties.data[low:high], ties.indices[low:high], ties.indptr[begin : stop + 1] - low)
        found.append(Graph(
            int(offsets[k + 1] - offsets[k]), number[graph.src[arcs]], number[graph.dst[arcs]],
            graph.ilabel[arcs], graph.olabel[arcs],
            number[graph.starts[mine[kind == 1] - graph.arcs]],
            number[graph.finals[mine[kind == 2] - graph.arcs - len(graph.starts)]],
            energy[begin:stop], csr_array(own, shape=(stop - begin, graph.weights)),
            graph.isymbols, graph.osymbols,
        ))  # fmt: skip
    return found


def chained(first: Derived, then: Derived) -> Derived:
    """Two operations in a row, ``then`` on the graph of ``first``, with the maps multiplied."""
    (onto,) = then.maps
    return Derived(then.graph, tuple(csr_array(onto @ rows) for rows in first.maps))


def arc_sort(graph: Graph, by: Literal["ilabel", "olabel"] = "ilabel") -> Derived:
    """Sort the arcs by the state that they leave, then by ``by``; equal ones keep their order."""
    if by not in ("ilabel", "olabel"):
        raise GraphError(f"arc_sort: by is {by!r}; it must be 'ilabel' or 'olabel'")
    order = np.lexsort((getattr(graph, by), graph.src))
    old = np.concatenate((order, np.arange(graph.arcs, graph.entries)))
    return derive(
        [graph],
        [arc_map(np.arange(graph.entries), old, (graph.entries, graph.entries))],
        graph.states,
        (graph.src[order], graph.dst[order], graph.ilabel[order], graph.olabel[order]),
        graph.starts,
        graph.finals,
        graph.isymbols,
        graph.osymbols,
    )


def epsilon_arcs(graph: Graph) -> NDArray[np.bool_]:
    """``(A,)`` bool: arcs that read nothing (their ilabel is epsilon)."""
    return graph.ilabel == 0


def strongly_connected(graph: Graph, epsilon_only: bool = False) -> Ints:
    """``(S,)`` number of the strongly connected component of each state (Tarjan 1972).

    Args:
        graph: the graph.
        epsilon_only: only follow arcs whose ilabel is epsilon.
    """
    chosen = epsilon_arcs(graph) if epsilon_only else np.ones(graph.arcs, bool)
    return components(graph.states, graph.src[chosen], graph.dst[chosen])


def components(states: int, src: Ints, dst: Ints) -> Ints:
    """``(states,)`` number of the strongly connected component of each state."""
    if not states:
        return np.zeros(0, dtype=np.int64)
    adjacency = csr_array((np.ones(len(src), np.int8), (src, dst)), shape=(states, states))
    _, component = connected_components(adjacency, directed=True, connection="strong")
    return component.astype(np.int64)


def on_cycle(states: int, src: Ints, dst: Ints) -> NDArray[np.bool_]:
    """``(len(src),)`` bool: arcs that lie on some cycle."""
    component = components(states, src, dst)
    return component[src] == component[dst]


def _order(graph: Graph, src: Ints, dst: Ints, what: str) -> Ints:
    order = kahn(graph.states, src, dst)
    if len(order) < graph.states:
        state = int(src[on_cycle(graph.states, src, dst)][0])
        raise GraphError(f"state {state} lies on {what}; only an acyclic graph has an order")
    return order


def topological_order(graph: Graph) -> Ints:
    """``(S,)`` states, each before those that its arcs enter.

    Raises :class:`GraphError` that names a state on a cycle, if there is one.
    """
    return _order(graph, graph.src, graph.dst, "a cycle")


def epsilon_order(graph: Graph) -> Ints:
    """``(S,)`` states, each before those that its epsilon arcs (ilabel 0) enter.

    Raises :class:`GraphError` that names a state on a cycle of epsilon arcs, if there is one.
    """
    chosen = epsilon_arcs(graph)
    return _order(graph, graph.src[chosen], graph.dst[chosen], "a cycle of epsilon arcs")


def topological_sort(graph: Graph) -> Derived:
    """Renumber the states so that every arc leads to a larger number; arcs are sorted by source.

    Raises :class:`GraphError` that names a state on a cycle, if there is one.
    """
    number = np.empty(graph.states, dtype=np.int64)
    number[topological_order(graph)] = np.arange(graph.states)
    src, dst = number[graph.src], number[graph.dst]
    order = np.argsort(src, kind="stable")
    old = np.concatenate((order, np.arange(graph.arcs, graph.entries)))
    return derive(
        [graph],
        [arc_map(np.arange(graph.entries), old, (graph.entries, graph.entries))],
        graph.states,
        (src[order], dst[order], graph.ilabel[order], graph.olabel[order]),
        number[graph.starts],
        number[graph.finals],
        graph.isymbols,
        graph.osymbols,
    )
