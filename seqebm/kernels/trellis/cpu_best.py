"""CPU kernel: the best path of a graph that meets emissions, exact (Viterbi).

Items that share a graph are computed together, one to a SIMD lane. Only energies are stored, not
back pointers: the path is traced back by computing again the few sums that enter its states, and
the arc whose sum equals the stored energy is the one taken. Of equals, the arc that the topology
lists first wins, and a start wins over an epsilon arc into its state.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.compiled import compiled
from seqebm.kernels.machine.jit import JIT, LEAF, take
from seqebm.kernels.machine.lanes import load, splat, store, where_less
from seqebm.kernels.trellis.cpu_rows import reset, turns


@njit(**LEAF)
def energies_at(emissions, items, lengths, t, packed, graph, table, width):
    """Energies of the classes of a graph at frame ``t``: ``table`` (classes * W), written."""
    lanes = len(width)
    first = packed.class_offsets[graph]
    for lane in range(lanes):
        inside = t < lengths[lane]
        for k in range(packed.class_offsets[graph + 1] - first):
            energy = math.inf
            if inside:
                energy = emissions[items[lane], t, packed.classes[first + k]]
            table[k * lanes + lane] = energy


@njit(**LEAF)
def step(packed, graph, weights, table, rows, before, here, width):
    """Least energies over the arcs that consume a frame: row ``here`` from row ``before``."""
    lanes = len(width)
    src, dst, label = turns(packed, graph)
    states = packed.state_offsets[graph + 1] - packed.state_offsets[graph]
    reset(rows, here, states * lanes, math.inf, width)
    for a in range(src.size):
        at = here + np.intp(dst[a]) * lanes
        energy = load(rows, before + np.intp(src[a]) * lanes, width) + splat(
            weights[a], rows, width
        )
        energy = energy + load(table, np.intp(label[a]) * lanes, width)
        best = load(rows, at, width)
        store(rows, at, where_less(energy, best, energy, best))


@njit(**LEAF)
def close(packed, graph, weights, rows, here, width):
    """Follow the epsilon arcs within row ``here``."""
    lanes = len(width)
    a0 = packed.arc_offsets[graph]
    a = packed.emitting_arcs[graph]
    first = packed.group_offsets[graph] + packed.emitting_groups[graph]
    for g in range(first, packed.group_offsets[graph + 1]):
        end = packed.group_end[g]
        at = here + packed.group_dst[g] * lanes
        best = load(rows, at, width)
        while a < end:
            energy = splat(weights[a], rows, width)
            energy = load(rows, here + packed.pull_src[a0 + a] * lanes, width) + energy
            best = where_less(energy, best, energy, best)
            a += 1
        store(rows, at, best)


@njit(**LEAF)
def _entering(
    packed, graph, pointers, state, energies, rows, at, energy, emission, epsilon, stride
):
    """First arc into ``state`` whose sum is ``energy``: (its number, the state it leaves) or -1.

    Args:
        pointers: (S,) first group of each state, emitting or epsilon; -1 for none.
        rows, at, stride: where the energies are that the arcs add to.
        emission: (B, T, C) row of the frame, not read if ``epsilon``.
    """
    a0, g0 = packed.arc_offsets[graph], packed.group_offsets[graph]
    last = packed.group_offsets[graph + 1]
    if not epsilon:
        last = g0 + packed.emitting_groups[graph]
    g = pointers[state]
    found, source = -1, -1
    if g < 0:
        return found, source
    while g < last and packed.group_dst[g] == state:
        added = 0.0
        if not epsilon:
            label = packed.classes[packed.class_offsets[graph] + packed.group_label[g]]
            added = emission[label]
        for a in range(packed.group_end[g - 1] if g > g0 else 0, packed.group_end[g]):
            src = packed.pull_src[a0 + a]
            arc = packed.pull_arc[a0 + a]
            total = rows[at + src * stride] + energies[packed.entry_offsets[graph] + arc]
            if not epsilon:
                total = total + added
            if total == energy and (found < 0 or arc < found):
                found, source = arc, src
        g += 1
    return found, source


@compiled(**JIT)
def best_worker(
    counter, jobs, packed, graph_of, emissions, lengths, energies, trace, best, path_arcs,
    path_frames, counts, ends, width,
):  # fmt: skip
    """Take groups of W items that share a graph until none is left.

    Args:
        jobs, packed, graph_of, emissions, lengths, energies: as in ``scaled_worker``.
        trace: whether paths are wanted; without, memory does not grow with T.
        best: (B,) float64, written; +inf where there is no path.
        path_arcs, path_frames: (B, longest) int64, written *from the end backwards*.
        counts: (B,) int64, written: arcs of the path.
        ends: (B, 2) int64, written: start and final of the path.
    """
    lanes = len(width)
    items = np.zeros(lanes, np.int64)
    frames = np.zeros(lanes, np.int64)
    rows = np.empty(0)  # kept from job to job: fresh memory costs more than what is done in it
    while True:
        job = take(counter)
        if job >= jobs.shape[0]:
            break
        graph = graph_of[jobs[job, 0]]
        longest = 0
        for lane in range(lanes):
            items[lane] = jobs[job, lane]
            frames[lane] = lengths[items[lane]] if items[lane] >= 0 else 0
            longest = max(longest, frames[lane])
        e0, p0 = packed.entry_offsets[graph], packed.arc_offsets[graph]
        g0, g2 = packed.group_offsets[graph], packed.group_offsets[graph + 1]
        g1 = g0 + packed.emitting_groups[graph]
        states = packed.state_offsets[graph + 1] - packed.state_offsets[graph]
        arcs = packed.arc_offsets[graph + 1] - p0
        b0, c0 = packed.start_offsets[graph], packed.final_offsets[graph]
        starts, finals = packed.start_offsets[graph + 1] - b0, packed.final_offsets[graph + 1] - c0
        f0 = e0 + arcs + starts
        weights = np.empty(arcs)
        for a in range(arcs):
            weights[a] = energies[e0 + packed.turn_arc[p0 + a]]
        size = states * lanes
        needed = (longest + 1 if trace else 2) * size
        if rows.size < needed:
            rows = np.empty(needed)
        table = np.empty((packed.class_offsets[graph + 1] - packed.class_offsets[graph]) * lanes)
        for t in range(longest + 1):
            here = (t if trace else t % 2) * size
            if t == 0:
                reset(rows, 0, size, math.inf, width)
                for n in range(starts):
                    for lane in range(lanes):
                        rows[packed.starts[b0 + n] * lanes + lane] = energies[e0 + arcs + n]
            else:
                energies_at(emissions, items, frames, t - 1, packed, graph, table, width)
                before = (t - 1 if trace else (t - 1) % 2) * size
                step(packed, graph, weights, table, rows, before, here, width)
            close(packed, graph, weights, rows, here, width)
            for lane in range(lanes):
                b = items[lane]
                if b < 0 or t != frames[lane]:
                    continue
                best[b] = math.inf
                for n in range(finals):
                    at = here + packed.finals[c0 + n] * lanes + lane
                    energy = rows[at] + energies[f0 + n]
                    if energy < best[b]:
                        best[b] = energy
                        ends[b, 1] = n
        if not trace:
            continue
        by_label, by_epsilon = np.full(states, -1), np.full(states, -1)
        for g in range(g2 - 1, g0 - 1, -1):
            pointers = by_label if g < g1 else by_epsilon
            pointers[packed.group_dst[g]] = g
        for lane in range(lanes):
            b = items[lane]
            if b < 0:
                continue
            counts[b] = 0
            if best[b] == math.inf:
                continue
            place = path_arcs.shape[1]
            t = frames[lane]
            state = packed.finals[c0 + ends[b, 1]]
            while True:
                energy = rows[t * size + state * lanes + lane]
                arc, source = -1, -1
                if t == 0:
                    found = -1
                    for n in range(starts - 1, -1, -1):
                        if packed.starts[b0 + n] == state and energies[e0 + arcs + n] == energy:
                            found = n
                    if found >= 0:
                        ends[b, 0] = found
                        break
                else:
                    arc, source = _entering(
                        packed, graph, by_label, state, energies, rows,
                        (t - 1) * size + lane, energy, emissions[b, t - 1], False, lanes,
                    )  # fmt: skip
                consumed = 1
                by, came = _entering(
                    packed, graph, by_epsilon, state, energies, rows, t * size + lane, energy,
                    emissions[b, 0], True, lanes,
                )  # fmt: skip
                if by >= 0 and (arc < 0 or by < arc):
                    arc, source, consumed = by, came, 0
                place -= 1
                t -= consumed
                path_arcs[b, place] = arc
                path_frames[b, place] = t
                state = source
            counts[b] = path_arcs.shape[1] - place
