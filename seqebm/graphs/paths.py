"""Paths of a graph: their energies, and all of them one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from seqebm.errors import GraphError
from seqebm.graphs.graph import Floats, Graph


class Path(NamedTuple):
    """One path from a start state to a final state.

    Attributes:
        energy: sum of the energies of its entries.
        inputs: labels that it reads, epsilons skipped.
        outputs: labels that it writes, epsilons skipped.
        entries: its start entry, its arcs, its final entry (numbers of entries of the graph).
    """

    energy: float
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    entries: tuple[int, ...]


def path_energy(graph: Graph, entries: Sequence[int], weights: ArrayLike | None = None) -> float:
    """Sum of the energies of ``entries``. Raises :class:`GraphError` unless they form a path."""
    first, last = graph.arcs, graph.arcs + len(graph.starts)
    if len(entries) < 2 or not first <= entries[0] < last <= entries[-1] < graph.entries:
        raise GraphError(f"entries {list(entries)} do not begin with a start and end with a final")
    state = graph.starts[entries[0] - first]
    for arc in entries[1:-1]:
        if not 0 <= arc < first or graph.src[arc] != state:
            raise GraphError(f"entry {arc} is no arc that leaves state {state}")
        state = graph.dst[arc]
    if graph.finals[entries[-1] - last] != state:
        raise GraphError(f"entry {entries[-1]} does not end a path at state {state}")
    return float(graph.energies(weights)[list(entries)].sum())


def path_of(graph: Graph, entries: Sequence[int], energies: Floats) -> Path:
    """The path that the entries (start, arcs, final) make, given the entries' energies."""
    arcs = entries[1:-1]
    return Path(
        float(sum(energies[entry] for entry in entries)),
        tuple(int(graph.ilabel[arc]) for arc in arcs if graph.ilabel[arc]),
        tuple(int(graph.olabel[arc]) for arc in arcs if graph.olabel[arc]),
        tuple(int(entry) for entry in entries),
    )


def enumerate_paths(
    graph: Graph,
    max_arcs: int,
    max_labels: int | None = None,
    weights: ArrayLike | None = None,
) -> Iterator[Path]:
    """Every path of at most ``max_arcs`` arcs, one by one: the specification of all the rest.

    Args:
        graph: any graph.
        max_arcs: most arcs of a path.
        max_labels: most labels that a path may read, and most that it may write.
        weights: ``(W,)`` values of the tied weights.
    """
    energies = graph.energies(weights)
    leaving: list[list[int]] = [[] for _ in range(graph.states)]
    for arc, state in enumerate(graph.src):
        leaving[state].append(arc)
    ends = {int(state): graph.arcs + len(graph.starts) + k for k, state in enumerate(graph.finals)}
    limit = np.inf if max_labels is None else max_labels
    stack: list[tuple[int, tuple[int, ...], int, int]] = [
        (int(state), (graph.arcs + k,), 0, 0) for k, state in enumerate(graph.starts)
    ]
    while stack:
        state, entries, read, wrote = stack.pop()
        if state in ends:
            yield path_of(graph, (*entries, ends[state]), energies)
        if len(entries) > max_arcs:
            continue
        for arc in leaving[state]:
            i, o = read + bool(graph.ilabel[arc]), wrote + bool(graph.olabel[arc])
            if max(i, o) <= limit:
                stack.append((int(graph.dst[arc]), (*entries, arc), i, o))
