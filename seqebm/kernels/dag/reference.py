"""Acyclic graphs in float64 NumPy: slow and obvious. It is the specification.

A path is a start entry, arcs, and a final entry; its energy is the sum of its entries'. Every
function here enumerates all paths.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seqebm.kernels.machine.topology import Topology

Array = NDArray[np.float64]


def paths(topology: Topology) -> Iterator[tuple[int, ...]]:
    """Every path, as its entries (numbers of arcs, then of starts, then of finals)."""
    arcs, starts = len(topology.src), len(topology.starts)

    def extend(state: int, entries: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        for k, final in enumerate(topology.finals):
            if final == state:
                yield (*entries, arcs + starts + k)
        for arc in range(arcs):
            if topology.src[arc] == state:
                yield from extend(int(topology.dst[arc]), (*entries, arc))

    for k, start in enumerate(topology.starts):
        yield from extend(int(start), (arcs + k,))


def path_energies(topology: Topology, energies: Array) -> list[tuple[float, tuple[int, ...]]]:
    """(energy, entries) of every path."""
    return [(float(energies[list(path)].sum()), path) for path in paths(topology)]


def free_energy(topology: Topology, energies: Array, beta: float) -> float:
    """``-1/beta log sum exp(-beta E)`` over all paths; inf if there is none."""
    every = np.array([e for e, _ in path_energies(topology, energies)])
    least = float(every.min(initial=math.inf))
    if math.isinf(least) or math.isinf(beta):
        return least
    return least - float(np.log(np.exp(-beta * (every - least)).sum())) / beta


def posteriors(topology: Topology, energies: Array, beta: float) -> Array:
    """Gibbs probability of each entry; the indicator of the best path at beta = inf."""
    result = np.zeros_like(energies)
    every = path_energies(topology, energies)
    free = free_energy(topology, energies, beta)
    if math.isinf(free):
        return result
    best = min(every)[1]
    for energy, path in every:
        weight = float(path == best) if math.isinf(beta) else math.exp(-beta * (energy - free))
        result[list(path)] += weight
    return result
