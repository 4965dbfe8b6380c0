"""Sums over all paths of a graph without input: free energy, best path, pruning by posterior."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from seqebm.errors import GraphError
from seqebm.graphs._walks import distances, negative_cycle, potentials
from seqebm.graphs.graph import Derived, Floats, Graph, Ints
from seqebm.graphs.paths import Path, path_of
from seqebm.graphs.trim import chained, connect, keep, topological_order, useful


class Reached(NamedTuple):
    """Lowest energies from the starts to each state, or from each state to the finals.

    Attributes:
        energy: ``(S,)``; +inf where no path leads.
        arc: ``(S,)`` the last (or first) arc of the best path, or -1.
        length: ``(S,)`` number of arcs of the best path.
    """

    energy: Floats
    arc: Ints
    length: Ints


def lowest(graph: Graph, energies: Floats, backwards: bool = False) -> Reached:
    """Lowest energy of the paths to each state (``backwards``: from each state to the end).

    Cycles are allowed; only arcs on some complete path matter. Raises :class:`GraphError`, with
    the states and the energy of one, if there are negative cycles.
    """
    first, last = graph.arcs, graph.arcs + len(graph.starts)
    alive = alive_arcs(graph, energies)
    arcs = np.flatnonzero(alive)
    src, dst, energy = graph.src[arcs], graph.dst[arcs], energies[arcs]
    initial = np.full(graph.states, np.inf)
    if backwards:
        src, dst = dst, src
        initial[graph.finals] = energies[last:]
    else:
        initial[graph.starts] = energies[first:last]
    distance, back, length, trapped = distances(graph.states, src, dst, energy, initial)
    if trapped >= 0:
        cycle = arcs[negative_cycle(graph.states, graph.src[arcs], graph.dst[arcs], energy)]
        states = " -> ".join(str(int(graph.src[arc])) for arc in (*cycle, cycle[0]))
        raise GraphError(
            f"states {states} form a cycle of energy {energies[cycle].sum():g}: it is negative, so "
            "no path has the lowest energy"
        )
    return Reached(distance, np.where(back >= 0, arcs[back] if len(arcs) else -1, -1), length)


def alive_arcs(graph: Graph, energies: Floats) -> np.ndarray:
    """``(A,)`` bool: arcs on some path from a start to a final state without infinite energy."""
    possible = energies < np.inf
    first, last = graph.arcs, graph.arcs + len(graph.starts)
    on = possible[:first]
    states = useful(
        graph.states,
        graph.src[on],
        graph.dst[on],
        graph.starts[possible[first:last]],
        graph.finals[possible[last:]],
    )
    return on & states[graph.src] & states[graph.dst]


def shortest_path(graph: Graph, weights: ArrayLike | None = None) -> Path | None:
    """The path of lowest energy, or None if there is no path (of finite energy).

    Cycles are allowed (Bellman 1958).

    Args:
        graph: any graph.
        weights: ``(W,)`` values of the tied weights; None: fixed energies only.

    Raises :class:`GraphError` for a cycle of negative energy.
    """
    energies = graph.energies(weights)
    last = graph.arcs + len(graph.starts)
    best = lowest(graph, energies)
    ends = best.energy[graph.finals] + energies[last:]
    if not len(ends) or ends.min() == np.inf:
        return None
    final = int(ends.argmin())
    state, entries = int(graph.finals[final]), [last + final]
    while best.arc[state] >= 0:
        entries.append(int(best.arc[state]))
        state = int(graph.src[entries[-1]])
    entries.append(graph.arcs + int(np.flatnonzero(graph.starts == state)[0]))
    return path_of(graph, entries[::-1], energies)


def _sums(graph: Graph, energies: Floats, beta: float) -> tuple[Floats, Floats]:
    """Free energies of the paths to each state and from each state, ends included."""
    if not beta > 0:
        raise GraphError(f"beta is {beta}; it must be positive (inf is allowed)")
    if beta == math.inf:
        return lowest(graph, energies).energy, lowest(graph, energies, backwards=True).energy
    first, last = graph.arcs, graph.arcs + len(graph.starts)
    order = topological_order(graph)
    forward, backward = np.full(graph.states, np.inf), np.full(graph.states, np.inf)
    forward[graph.starts] = energies[first:last]
    backward[graph.finals] = energies[last:]
    arcs = energies[:first]
    return (
        potentials(order, graph.src, graph.dst, arcs, forward, beta),
        potentials(order[::-1], graph.dst, graph.src, arcs, backward, beta),
    )


def softmin(energies: Floats, beta: float) -> float:
    """``-1/beta log sum exp(-beta energies)``; +inf if there is none, the minimum at inf."""
    least = float(energies.min(initial=np.inf))
    if beta == math.inf or least == np.inf:
        return least
    return least - math.log(np.exp(-beta * (energies - least)).sum()) / beta


def total_energy(graph: Graph, weights: ArrayLike | None = None, beta: float = 1.0) -> float:
    """Free energy of all paths; +inf if there is none.

    Args:
        graph: an acyclic graph; at ``beta=inf`` any graph.
        weights: ``(W,)`` values of the tied weights; None: fixed energies only.
        beta: inverse temperature, above 0; inf gives the lowest energy.

    Raises :class:`GraphError` for a cycle (at ``beta=inf``: of negative energy).
    """
    energies = graph.energies(weights)
    forward, _ = _sums(graph, energies, beta)
    return softmin(forward[graph.finals] + energies[graph.arcs + len(graph.starts) :], beta)


def posteriors(graph: Graph, beta: float, weights: ArrayLike | None = None) -> Floats:
    """``(E,)`` probability that a path takes each entry, under exp(-β E) over all paths.

    At ``beta=inf``: 1 along the best path, else 0. All 0 if there is no path.

    Args:
        graph: an acyclic graph; at ``beta=inf`` any graph.
        beta: inverse temperature, above 0.
        weights: ``(W,)`` values of the tied weights; None: fixed energies only.

    Raises :class:`GraphError` for cycles as :func:`total_energy`.
    """
    shares = np.zeros(graph.entries)
    if beta == math.inf:
        best = shortest_path(graph, weights)
        shares[list(best.entries) if best else []] = 1.0
        return shares
    through, total = _through(graph, graph.energies(weights), beta)
    if total < math.inf:
        # The same sum in another order may come out a little lower.
        shares = np.exp(-beta * np.maximum(through - total, 0.0))
    return shares


def _through(graph: Graph, energies: Floats, beta: float) -> tuple[Floats, float]:
    """``(E,)`` free energy of the paths that take each entry, and of all paths."""
    first, last = graph.arcs, graph.arcs + len(graph.starts)
    forward, backward = _sums(graph, energies, beta)
    through = np.concatenate((
        forward[graph.src] + energies[:first] + backward[graph.dst],
        energies[first:last] + backward[graph.starts],
        forward[graph.finals] + energies[last:],
    ))  # fmt: skip
    return through, softmin(through[last:], beta)


def prune(
    graph: Graph, beam: float, weights: ArrayLike | None = None, beta: float = math.inf
) -> Derived:
    """Drop the entries through which all paths are worse than the best by more than ``beam``.

    Args:
        graph: an acyclic graph; at ``beta=inf`` any graph.
        beam: energy, 0 or more. At ``beta=inf`` the best path through an entry may be worse than
            the best path by this; else the posterior of an entry must be ``exp(-beta * beam)`` or
            more, that is, the free energy of the paths through it that of all paths + beam.
        weights: ``(W,)`` values of the tied weights; None: fixed energies only.
        beta: inverse temperature, above 0.

    Returns:
        The trimmed graph and one map.

    Raises :class:`GraphError` for a negative beam, and for cycles as :func:`total_energy`.
    """
    if not beam >= 0:
        raise GraphError(f"prune: beam is {beam}; it must be 0 or more")
    energies = graph.energies(weights)
    first, last = graph.arcs, graph.arcs + len(graph.starts)
    through, total = _through(graph, energies, beta)
    # The same sum in another order differs in the last digits.
    kept = (through <= total + beam + 1e-9 * (1 + abs(total))) & (through < np.inf)
    states = np.zeros(graph.states, dtype=bool)
    for end in (graph.src, graph.dst):
        states[end[kept[:first]]] = True
    states[graph.starts[kept[first:last]]] = True
    states[graph.finals[kept[last:]]] = True
    survivors = keep(graph, kept, states)
    return chained(survivors, connect(survivors.graph))
