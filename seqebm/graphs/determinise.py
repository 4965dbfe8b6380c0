"""Determinisation of acyclic acceptors, and binding of weights, which it needs."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from seqebm.errors import GraphError
from seqebm.graphs.epsilon import remove_epsilon
from seqebm.graphs.graph import Derived, Graph, arc_map
from seqebm.graphs.totals import softmin
from seqebm.graphs.trim import chained, topological_order


def bind(graph: Graph, weights: ArrayLike | None = None) -> Graph:
    """The same graph with the values of the tied weights put into the fixed energies.

    Args:
        graph: any graph.
        weights: ``(W,)`` values; None drops the ties (all values 0).
    """
    energies = graph.energies(weights).copy()
    return dataclasses.replace(graph, energy=energies, ties=csr_array((graph.entries, 0)))


def determinise(graph: Graph, beta: float = math.inf) -> Derived:
    """A graph with one path for each string, whose energy is the free energy of its old paths.

    The weighted subset construction: a new state is a set of old ones, each with what it still
    owes (its residual energy), and an arc takes the free energy of what it merges. Epsilon arcs
    are removed first. Exponential in the worst case.

    Source: Mohri 1997, "Finite-state transducers in language and speech processing", in the
    semiring of the (soft) minimum.

    Args:
        graph: an acyclic acceptor without tied weights (:func:`bind` them first).
        beta: inverse temperature; inf keeps the best path of each string.

    Returns:
        The graph, with one start state, and a map that only tells of which old entries a new one
        is made (1 each). Energies do **not** follow from this map: they move between entries.

    Raises :class:`GraphError` for ties, a transducer, or a cycle.
    """
    if not beta > 0:
        raise GraphError(f"beta is {beta}; it must be positive (inf is allowed)")
    if graph.ties.nnz:
        raise GraphError(
            "determinise merges energies, which tied weights do not allow: bind weights first"
        )
    different = np.flatnonzero(graph.ilabel != graph.olabel)
    if len(different):
        arc = int(different[0])
        raise GraphError(
            f"determinise: arc {arc} reads {graph.ilabel[arc]} and writes {graph.olabel[arc]}; "
            "only acceptors can be determinised (project first)"
        )
    topological_order(graph)
    if np.any(graph.ilabel == 0):
        removed = remove_epsilon(graph)
        return chained(removed, _subsets(removed.graph, beta))
    return _subsets(graph, beta)


def _subsets(graph: Graph, beta: float) -> Derived:
    first, last = graph.arcs, graph.arcs + len(graph.starts)
    leaving: list[list[int]] = [[] for _ in range(graph.states)]
    for arc in range(graph.arcs):
        if graph.energy[arc] < np.inf:
            leaving[graph.src[arc]].append(arc)
    end_of = {int(state): last + k for k, state in enumerate(graph.finals)}
    rows: list[tuple[int, int, int, int]] = []
    energy: list[float] = []
    origins: list[list[int]] = []
    final_states: list[int] = []
    final_energy: list[float] = []
    final_origins: list[list[int]] = []
    number: dict[tuple[tuple[int, float], ...], int] = {}
    subsets: list[dict[int, float]] = []

    def visit(reached: dict[int, list[float]]) -> tuple[int, float]:
        """Number of the subset, and the energy that its states have in common."""
        sums = {state: softmin(np.array(values), beta) for state, values in reached.items()}
        common = softmin(np.array(list(sums.values())), beta)
        subset = {state: value - common for state, value in sorted(sums.items())}
        key = tuple((state, round(value, 9)) for state, value in subset.items())
        if key not in number:
            number[key] = len(subsets)
            subsets.append(subset)
        return number[key], common

    beginning = {
        int(state): [float(graph.energy[first + k])]
        for k, state in enumerate(graph.starts)
        if graph.energy[first + k] < np.inf
    }
    start_energy = [visit(beginning)[1]] if beginning else []
    at = 0
    while at < len(subsets):
        reached: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        merged: dict[int, list[int]] = defaultdict(list)
        for state, residual in subsets[at].items():
            for arc in leaving[state]:
                label = int(graph.ilabel[arc])
                reached[label][int(graph.dst[arc])].append(residual + graph.energy[arc])
                merged[label].append(arc)
        for label in sorted(reached):
            to, common = visit(reached[label])
            rows.append((at, to, label, label))
            energy.append(common)
            origins.append(merged[label])
        ends = [end_of[state] for state in subsets[at] if state in end_of]
        if ends:
            owed = [subsets[at][int(graph.finals[entry - last])] for entry in ends]
            final_states.append(at)
            final_energy.append(softmin(graph.energy[ends] + np.array(owed), beta))
            final_origins.append(ends)
        at += 1
    begun = [[first + k for k in range(len(graph.starts))]] if beginning else []
    old = [*origins, *begun, *final_origins]
    new = np.repeat(np.arange(len(old)), [len(entries) for entries in old])
    result = Graph.make(
        len(subsets),
        rows,
        [0] if beginning else [],
        final_states,
        [*energy, *start_energy, *final_energy],
        isymbols=graph.isymbols,
        osymbols=graph.osymbols,
    )
    return Derived(
        result,
        (arc_map(new, [e for entries in old for e in entries], (len(old), graph.entries)),),
    )
