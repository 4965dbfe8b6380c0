"""The strings of a graph, by walking along every path."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np


def paths(graph, most, weights=None, epsilons=8):
    """All paths of at most ``most`` arcs that read something: (reads, writes, energy, arcs)."""
    energy = graph.energies(weights)
    first = {s: energy[graph.arcs + i] for i, s in enumerate(graph.starts)}
    offset = graph.arcs + len(graph.starts)
    last = {s: energy[offset + i] for i, s in enumerate(graph.finals)}
    leaving = defaultdict(list)
    for arc, source in enumerate(graph.src):
        leaving[source].append(arc)
    stack = [(s, (), (), e, ()) for s, e in first.items()]
    while stack:
        state, reads, writes, total, arcs = stack.pop()
        if state in last:
            yield reads, writes, total + last[state], arcs
        if len(arcs) - len(reads) > epsilons:
            continue
        for arc in leaving[state]:
            i, o = int(graph.ilabel[arc]), int(graph.olabel[arc])
            if not i or len(reads) < most:
                stack.append(
                    (
                        graph.dst[arc],
                        reads + (i,) * (i > 0),
                        writes + (o,) * (o > 0),
                        total + energy[arc],
                        (*arcs, arc),
                    )
                )


def strings(graph, most, weights=None, writes=False):
    """Energies of all paths, sorted, of each string read (or pair of strings read and written)."""
    found = defaultdict(list)
    for reads, written, energy, _ in paths(graph, most, weights):
        if energy < math.inf:
            found[(reads, written) if writes else reads].append(float(energy))
    return {key: sorted(values) for key, values in found.items()}


def labels_on_states(graph):
    """Whether all arcs that read something and enter one state read the same."""
    return all(len(np.unique(graph.ilabel[graph.dst == s])) <= 1 for s in range(graph.states))
