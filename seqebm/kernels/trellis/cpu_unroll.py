"""CPU kernel: the lattice of all good paths, a graph without cycles whose nodes know their frame.

An arc at a frame survives if the best complete path through it is within the beam of the best path
of all (Ney and Aubert 1994; Povey et al. 2012 call it lattice beam). Forward energies are exact,
and the backward search follows the surviving arcs alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqebm.compiled import compiled
from seqebm.kernels.machine.jit import JIT
from seqebm.kernels.trellis.cpu_beam import HIGHEST, longer
from seqebm.kernels.trellis.cpu_best import close, energies_at, step
from seqebm.kernels.trellis.packed import Packed

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]


class Unrolled(NamedTuple):
    """The lattice of one item: N nodes, M arcs. NumPy arrays, as nothing here has a gradient.

    Attributes:
        best: energy of the best path; +inf, and no nodes, if there is no path.
        node_state, node_frame: (N,) state of the graph, and frames consumed before. Nodes are
            sorted by frame and, within a frame, so that every arc leads to a higher number.
        src, dst: (M,) nodes; arcs are sorted by ``dst``.
        arc: (M,) number of the arc within its graph.
        energy: (M,) energy of the arc plus its emission.
        start_node, start, start_energy: nodes where paths start, and which start of the graph
            it is.
        final_node, final, final_energy: nodes where paths end, likewise.
    """

    best: float
    node_state: Ints
    node_frame: Ints
    src: Ints
    dst: Ints
    arc: Ints
    energy: Floats
    start_node: Ints
    start: Ints
    start_energy: Floats
    final_node: Ints
    final: Ints
    final_energy: Floats


@compiled(**JIT)
def _survivors(packed, graph, emissions, items, lengths, energies, beam, most, width):
    """Nodes and arcs that survive, from the last frame to the first.

    Args:
        items, lengths: (1,) item and its frames.
        most: states that are kept in each frame.

    Returns:
        best energy; frame of which nothing was left, or -1; nodes (state, frame); arcs (source
        node, destination node, number, energy); starts (node, which) and finals (node, which).
    """
    T = lengths[0]
    frames = emissions[items[0]]
    e0, a0, g0 = packed.entry_offsets[graph], packed.arc_offsets[graph], packed.group_offsets[graph]
    g2 = packed.group_offsets[graph + 1]
    g1 = g0 + packed.emitting_groups[graph]
    b0, c0 = packed.start_offsets[graph], packed.final_offsets[graph]
    starts, finals = packed.start_offsets[graph + 1] - b0, packed.final_offsets[graph + 1] - c0
    states = packed.state_offsets[graph + 1] - packed.state_offsets[graph]
    arcs = packed.arc_offsets[graph + 1] - a0
    f0 = e0 + arcs + starts
    k0 = packed.class_offsets[graph]
    weights = np.empty(arcs)
    for a in range(arcs):
        weights[a] = energies[e0 + packed.turn_arc[a0 + a]]
    rows = np.full((T + 1) * states, math.inf)
    table = np.empty(packed.class_offsets[graph + 1] - k0)
    for n in range(starts):
        rows[packed.starts[b0 + n]] = energies[e0 + arcs + n]
    cut = -1
    for t in range(T + 1):
        here = t * states
        if t > 0:
            energies_at(emissions, items, lengths, t - 1, packed, graph, table, width)
            step(packed, graph, weights, table, rows, here - states, here, width)
        close(packed, graph, weights, rows, here, width)
        if most < states:
            row = rows[here : here + states]
            worst = np.partition(row, most - 1)[most - 1]
            for s in range(states):
                if row[s] > worst:
                    row[s] = math.inf
                    cut = T
    best = math.inf
    for n in range(finals):
        best = min(best, rows[T * states + packed.finals[c0 + n]] + energies[f0 + n])
    # Sums in another order differ by rounding, which must not cut the best path.
    limit = min(best + beam + 1e-10 * (1.0 + abs(best)), HIGHEST)
    nodes = np.empty((16, 2), np.int64)
    links = np.empty((16, 3), np.int64)
    costs = np.empty(16)
    entered = np.empty((starts, 2), np.int64)
    left = np.empty((finals, 2), np.int64)
    count, used, began, ended = 0, 0, 0, 0
    now, before = np.full(states, math.inf), np.full(states, math.inf)
    name, name_before = np.full(states, -1), np.full(states, -1)
    if best == math.inf:
        return best, cut, nodes[:0], links[:0], costs[:0], entered[:0], left[:0]
    for n in range(finals):
        state = packed.finals[c0 + n]
        if rows[T * states + state] + energies[f0 + n] <= limit:
            if name[state] < 0:
                if count == nodes.shape[0]:
                    nodes = longer(nodes)
                name[state] = count
                nodes[count, 0], nodes[count, 1] = state, T
                count += 1
            now[state] = min(now[state], energies[f0 + n])
            left[ended, 0], left[ended, 1] = name[state], n
            ended += 1
    for t in range(T, -1, -1):
        for n in range(g2 - g0):
            # Groups in the order: epsilon from the last to the first, then the others.
            g = g2 - 1 - n
            emitting = g < g1
            if emitting and t == 0:
                break
            dst = packed.group_dst[g]
            rest = now[dst]
            if rest == math.inf:
                continue
            source_row = (t - 1 if emitting else t) * states
            added = 0.0
            if emitting:
                added = frames[t - 1, packed.classes[k0 + packed.group_label[g]]]
            for a in range(packed.group_end[g - 1] if g > g0 else 0, packed.group_end[g]):
                src = packed.pull_src[a0 + a]
                arc = packed.pull_arc[a0 + a]
                cost = energies[e0 + arc] + added
                if not rows[source_row + src] + cost + rest <= limit:
                    continue
                names = name_before if emitting else name
                values = before if emitting else now
                if names[src] < 0:
                    if count == nodes.shape[0]:
                        nodes = longer(nodes)
                    names[src] = count
                    nodes[count, 0], nodes[count, 1] = src, t - 1 if emitting else t
                    count += 1
                if used == links.shape[0]:
                    links = longer(links)
                    costs = longer(costs)
                values[src] = min(values[src], cost + rest)
                links[used, 0], links[used, 1], links[used, 2] = names[src], name[dst], arc
                costs[used] = cost
                used += 1
        if t == 0:
            for n in range(starts):
                state = packed.starts[b0 + n]
                if energies[e0 + arcs + n] + now[state] <= limit:
                    entered[began, 0], entered[began, 1] = name[state], n
                    began += 1
        now, before = before, now
        name, name_before = name_before, name
        for s in range(states):
            before[s] = math.inf
            name_before[s] = -1
    return best, cut, nodes[:count], links[:used], costs[:used], entered[:began], left[:ended]


def _count(offsets: Ints, graph: int) -> int:
    """How many things a graph has."""
    return int(offsets[graph + 1] - offsets[graph])


def unroll(
    packed: Packed, graph: int, emissions: Floats, item: int, length: int, energies: Floats,
    beam: float, most: int, width: object,
) -> tuple[Unrolled, int]:  # fmt: skip
    """Lattice of one item, and the frame at which ``most`` left nothing, or -1."""
    best, cut, nodes, links, costs, entered, left = _survivors(
        packed, graph, emissions, np.array([item]), np.array([length]), energies, beam, most, width
    )
    first, last = packed.group_offsets[graph : graph + 2]
    first += packed.emitting_groups[graph]
    # Epsilon groups are in topological order of the states that they enter.
    rank = np.zeros(np.diff(packed.state_offsets)[graph], np.int64)
    rank[packed.group_dst[first:last]] = np.arange(1, last - first + 1)
    order = np.lexsort((nodes[:, 0], rank[nodes[:, 0]], nodes[:, 1]))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    src, dst = place[links[:, 0]], place[links[:, 1]]
    by_dst = np.lexsort((links[:, 2], dst))
    e0 = packed.entry_offsets[graph]
    f0 = e0 + _count(packed.arc_offsets, graph)
    l0 = f0 + _count(packed.start_offsets, graph)
    entered, left = entered[np.argsort(entered[:, 1])], left[np.argsort(left[:, 1])]
    lattice = Unrolled(
        float(best), nodes[order, 0], nodes[order, 1], src[by_dst], dst[by_dst], links[by_dst, 2],
        costs[by_dst], place[entered[:, 0]], entered[:, 1].copy(), energies[f0 + entered[:, 1]],
        place[left[:, 0]], left[:, 1].copy(), energies[l0 + left[:, 1]],
    )  # fmt: skip
    return lattice, int(cut) if math.isinf(best) else -1
