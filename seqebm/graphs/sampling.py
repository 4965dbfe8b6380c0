"""Random paths, and the test by them whether two graphs are equivalent."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from seqebm.graphs._walks import distances, group
from seqebm.graphs.graph import Graph
from seqebm.graphs.paths import Path, path_of
from seqebm.graphs.product import compose
from seqebm.graphs.totals import total_energy


def random_paths(
    graph: Graph,
    n: int,
    rng: np.random.Generator,
    max_length: int = 100,
    weights: ArrayLike | None = None,
) -> list[Path]:
    """``n`` random paths of at most ``max_length`` arcs; none if there are no such paths.

    At each state one of the ways on (arcs, or to end here) is taken, all with the same
    probability, except those from which the end is too far. Energies do not matter, but entries
    of infinite energy are not used.

    Args:
        graph: any graph.
        n: how many.
        rng: NumPy's generator.
        max_length: most arcs of a path.
        weights: ``(W,)`` values of the tied weights, for the energies of the paths.
    """
    energies = graph.energies(weights)
    first, last = graph.arcs, graph.arcs + len(graph.starts)
    arcs = np.flatnonzero(energies[:first] < np.inf)
    to_go = np.full(graph.states, np.inf)
    ends = {
        int(state): last + k for k, state in enumerate(graph.finals) if energies[last + k] < np.inf
    }
    to_go[list(ends)] = 0.0
    steps, *_ = distances(graph.states, graph.dst[arcs], graph.src[arcs], np.ones(len(arcs)), to_go)
    offsets, order = group(graph.states, graph.src[arcs])
    order = arcs[order]
    starts = [
        k
        for k, state in enumerate(graph.starts)
        if steps[state] <= max_length and energies[first + k] < np.inf
    ]
    found = []
    for _ in range(n if starts else 0):
        k = int(rng.choice(starts))
        state, entries = int(graph.starts[k]), [first + k]
        while True:
            ways = order[offsets[state] : offsets[state + 1]]
            ways = ways[steps[graph.dst[ways]] <= max_length - len(entries)]
            choice = int(rng.integers(len(ways) + (state in ends)))
            if choice == len(ways):
                break
            entries.append(int(ways[choice]))
            state = int(graph.dst[entries[-1]])
        found.append(path_of(graph, [*entries, ends[state]], energies))
    return found


def _line(labels: tuple[int, ...]) -> Graph:
    places = range(len(labels))
    rows = [(k, k + 1, labels[k], labels[k]) for k in places]
    return Graph.make(len(labels) + 1, rows, [0], [len(labels)])


def equivalent(
    a: Graph,
    b: Graph,
    rng: np.random.Generator,
    samples: int = 100,
    max_length: int = 20,
    beta: float = math.inf,
    weights: ArrayLike | None = None,
    tolerance: float = 1e-6,
) -> bool:
    """Whether two graphs give each pair of strings the same energy, by random testing.

    Pairs (input string, output string) are drawn from random paths of both graphs; for each, the
    free energy of all the paths of ``a`` and of ``b`` with these strings is compared. False is
    proof of a difference, True is none of equality (Mohri 2009, section 6).

    Args:
        a, b: any graphs.
        rng: NumPy's generator.
        samples: number of paths drawn from each.
        max_length: most arcs of the paths that are drawn.
        beta: inverse temperature; inf compares the best paths. A finite one needs graphs without
            cycles of arcs that neither read nor write.
        weights: values of the tied weights that both number alike; None draws them at random.
        tolerance: largest difference allowed, absolute and relative.
    """
    width = max(a.weights, b.weights)
    values = rng.normal(size=width) if weights is None else np.asarray(weights, dtype=np.float64)
    drawn = [
        (path.inputs, path.outputs)
        for graph in (a, b)
        for path in random_paths(graph, samples, rng, max_length)
    ]
    for inputs, outputs in dict.fromkeys(drawn):
        left, right = (
            _energy_of_strings(graph, inputs, outputs, values[: graph.weights], beta)
            for graph in (a, b)
        )
        if not np.isclose(left, right, rtol=tolerance, atol=tolerance):
            return False
    return True


def _energy_of_strings(
    graph: Graph,
    inputs: tuple[int, ...],
    outputs: tuple[int, ...],
    weights: np.ndarray,
    beta: float,
) -> float:
    product = compose(compose(_line(inputs), graph).graph, _line(outputs)).graph
    return total_energy(product, weights, beta)
