"""The trellis in float64 NumPy: slow and obvious. It is the specification of the kernels.

One graph (a :class:`Topology`) meets one item: ``emissions`` (T, C), all T
frames valid; ``energies`` (E,) of the arcs, then the starts, then the finals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqebm.kernels.machine.soft_minimum import soft_minimum
from seqebm.kernels.machine.topology import Topology

Table = NDArray[np.float64]


class Found(NamedTuple):
    """One path: its energy, arcs, the frame of each arc, and numbers of its start and final."""

    energy: float
    arcs: tuple[int, ...]
    frames: tuple[int, ...]
    start: int
    final: int


def enumerate_paths(topology: Topology, emissions: Table, energies: Table) -> Iterator[Found]:
    """Every path with exactly T frames, impossible ones included. Brute force, for tests."""
    T = len(emissions)
    A, Ns = len(topology.src), len(topology.starts)

    def extend(state: int, t: int, path: Found) -> Iterator[Found]:
        if t == T:
            for n in np.flatnonzero(topology.finals == state):
                yield path._replace(energy=path.energy + energies[A + Ns + n], final=int(n))
        for a in np.flatnonzero(topology.src == state):
            label = topology.label[a]
            if label >= 0 and t == T:
                continue
            energy = path.energy + energies[a] + (emissions[t, label] if label >= 0 else 0.0)
            longer = path._replace(
                energy=energy, arcs=(*path.arcs, int(a)), frames=(*path.frames, t)
            )
            yield from extend(int(topology.dst[a]), t + int(label >= 0), longer)

    for n, state in enumerate(topology.starts):
        yield from extend(int(state), 0, Found(float(energies[A + n]), (), (), n, -1))


def _order(topology: Topology) -> list[int]:
    """States in topological order of the epsilon arcs."""
    order: list[int] = []
    arcs = [(int(s), int(d)) for s, d, k in zip(*topology[1:4], strict=True) if k < 0]
    while len(order) < topology.states:
        ready = [
            s
            for s in range(topology.states)
            if s not in order and all(src in order for src, dst in arcs if dst == s)
        ]
        if not ready:
            raise ValueError("epsilon arcs form a cycle")
        order += ready
    return order


def forward(topology: Topology, emissions: Table, energies: Table, beta: float) -> Table:
    """Soft minimum of the energies of all partial paths to each state: (T + 1, S)."""
    src, dst, label = topology.src, topology.dst, topology.label
    A = len(src)
    entering = [np.flatnonzero(dst == s) for s in range(topology.states)]
    order = _order(topology)
    table = np.full((len(emissions) + 1, topology.states), np.inf)
    for t in range(len(emissions) + 1):
        for s in order:
            ways = []
            if t == 0:
                ways = [energies[A + n] for n in np.flatnonzero(topology.starts == s)]
            for a in entering[s]:
                if label[a] < 0:
                    ways.append(table[t, src[a]] + energies[a])
                elif t > 0:
                    ways.append(table[t - 1, src[a]] + energies[a] + emissions[t - 1, label[a]])
            table[t, s] = soft_minimum(ways, beta) if ways else np.inf
    return table


def free_energy(topology: Topology, emissions: Table, energies: Table, beta: float) -> float:
    """Free energy over all paths; +inf when there is none."""
    table = forward(topology, emissions, energies, beta)
    last = energies[len(topology.src) + len(topology.starts) :]
    ways = [table[-1, s] + last[n] for n, s in enumerate(topology.finals)]
    return float(soft_minimum(ways, beta)) if ways else math.inf


def best_path(topology: Topology, emissions: Table, energies: Table) -> Found | None:
    """Path of least energy, by enumeration; None when there is none.

    Of equals, the one that from the end backwards has the final and the arcs listed first.
    """
    paths = [p for p in enumerate_paths(topology, emissions, energies) if p.energy < math.inf]
    return min(paths, key=lambda p: (p.energy, p.final, p.arcs[::-1], p.start), default=None)


def posteriors(
    topology: Topology, emissions: Table, energies: Table, beta: float
) -> tuple[Table, Table]:
    """Gradients of the free energy by enumeration: (T, C) and (E,). Zero when there is no path.

    At beta = inf the indicators of :func:`best_path`.
    """
    classes, entries = np.zeros(emissions.shape), np.zeros(energies.shape)
    if math.isinf(beta):
        best = best_path(topology, emissions, energies)
        paths = [] if best is None else [best]
        weights = np.ones(len(paths))
    else:
        paths = [p for p in enumerate_paths(topology, emissions, energies) if p.energy < math.inf]
        levels = np.array([p.energy for p in paths])
        weights = np.exp(-beta * (levels - levels.min(initial=math.inf)))
        weights /= weights.sum() or 1.0
    A, Ns = len(topology.src), len(topology.starts)
    for path, weight in zip(paths, weights, strict=True):
        entries[A + path.start] += weight
        entries[A + Ns + path.final] += weight
        for a, t in zip(path.arcs, path.frames, strict=True):
            entries[a] += weight
            if topology.label[a] >= 0:
                classes[t, topology.label[a]] += weight
    return classes, entries
