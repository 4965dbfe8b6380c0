"""CPU kernel: free energies of a graph that meets emissions, in the log domain, at any range.

The refuge of :mod:`seqebm.kernels.trellis.cpu_scaled`, one item at a time, in float64. Forward
energies are soft minima, kept relative to the least of each frame. Backward there are no energies:
the occupancy of a state is shared out to the arcs that enter it, by their Gibbs probabilities,
which add up to 1 whatever beta and the energies are.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.compiled import compiled
from seqebm.kernels.machine.jit import JIT, LEAF, take


@njit(**LEAF)
def _soft_minimum(values, count, beta):
    """Soft minimum of ``values[:count]``, which become Gibbs probabilities."""
    least = math.inf
    for n in range(count):
        least = min(least, values[n])
    if least == math.inf:
        for n in range(count):
            values[n] = 0.0
        return math.inf
    total = 0.0
    for n in range(count):
        values[n] = math.exp(-beta * (values[n] - least))
        total += values[n]
    for n in range(count):
        values[n] /= total
    return least - math.log(total) / beta


@njit(**LEAF)
def _state_end(packed, first, last):
    """Where the run of groups that enter the same state as group ``first`` ends."""
    end = first + 1
    while end < last and packed.group_dst[end] == packed.group_dst[first]:
        end += 1
    return end


@njit(**LEAF)
def _arc_begin(packed, g, g0):
    return packed.group_end[g - 1] if g > g0 else 0


@njit(**LEAF)
def _candidates(packed, graph, first, end, energies, frame, row, values):
    """Energies along all arcs of groups ``first .. end``; returns their number."""
    g0, a0 = packed.group_offsets[graph], packed.arc_offsets[graph]
    e0 = packed.entry_offsets[graph]
    count = 0
    for g in range(first, end):
        emission = 0.0
        if packed.group_label[g] >= 0:
            label = packed.classes[packed.class_offsets[graph] + packed.group_label[g]]
            emission = frame[label]
        for a in range(_arc_begin(packed, g, g0), packed.group_end[g]):
            energy = energies[e0 + packed.pull_arc[a0 + a]]
            values[count] = row[packed.pull_src[a0 + a]] + energy + emission
            count += 1
    return count


@compiled(**JIT)
def log_worker(
    counter, jobs, packed, graph_of, emissions, lengths, energies, beta, with_posterior,
    with_counts, free, posterior, counts, count_offsets, width,
):  # fmt: skip
    """Take items until none is left; ``width`` is but the fingerprint of the sources.

    Args:
        jobs: (n,) items; the rest as in :func:`seqebm.kernels.trellis.cpu_scaled.scaled_worker`.
            ``posterior`` and ``counts`` of the items are overwritten.
    """
    keep = with_posterior or with_counts
    while True:
        job = take(counter)
        if job >= jobs.size:
            break
        b = jobs[job]
        T = lengths[b]
        graph = graph_of[b]
        g0, g2 = packed.group_offsets[graph], packed.group_offsets[graph + 1]
        g1 = g0 + packed.emitting_groups[graph]
        a0 = packed.arc_offsets[graph]
        arcs = packed.arc_offsets[graph + 1] - a0
        e0 = packed.entry_offsets[graph]
        states = packed.state_offsets[graph + 1] - packed.state_offsets[graph]
        b0, c0 = packed.start_offsets[graph], packed.final_offsets[graph]
        starts, finals = packed.start_offsets[graph + 1] - b0, packed.final_offsets[graph + 1] - c0
        values = np.empty(arcs + finals + 1)
        depth = T + 1 if keep else 2
        # Energies before the epsilon arcs, needed to share out; and with them.
        plain = np.empty((depth if g2 > g1 else 0, states))
        full = np.empty((depth, states))
        base = 0.0
        for t in range(T + 1):
            row = full[t if keep else t % 2]
            for s in range(states):
                row[s] = math.inf
            if t == 0:
                for n in range(starts):
                    row[packed.starts[b0 + n]] = energies[e0 + arcs + n]
            else:
                before = full[t - 1 if keep else (t - 1) % 2]
                g = g0
                while g < g1:
                    end = _state_end(packed, g, g1)
                    n = _candidates(
                        packed, graph, g, end, energies, emissions[b, t - 1], before, values
                    )
                    row[packed.group_dst[g]] = _soft_minimum(values, n, beta)
                    g = end
            if g2 > g1:
                for s in range(states):
                    plain[t if keep else t % 2, s] = row[s]
            for g in range(g1, g2):
                n = _candidates(packed, graph, g, g + 1, energies, emissions[b, 0], row, values)
                values[n] = row[packed.group_dst[g]]
                row[packed.group_dst[g]] = _soft_minimum(values, n + 1, beta)
            least = math.inf
            for s in range(states):
                least = min(least, row[s])
            if least < math.inf:
                base += least
                for s in range(states):
                    row[s] -= least
                    if g2 > g1:
                        plain[t if keep else t % 2, s] -= least
        row = full[T if keep else T % 2]
        for n in range(finals):
            values[n] = row[packed.finals[c0 + n]] + energies[e0 + arcs + starts + n]
        free[b] = base + _soft_minimum(values, finals, beta)
        if not keep:
            continue
        place = count_offsets[b] if with_counts else 0
        if with_counts:
            for n in range(arcs + starts + finals):
                counts[place + n] = 0.0
        if with_posterior:
            for t in range(T):
                for label in range(posterior.shape[2]):
                    posterior[b, t, label] = 0.0
        own = np.zeros(arcs + starts + finals)
        now, before = np.zeros(states), np.zeros(states)
        for n in range(finals):
            now[packed.finals[c0 + n]] += values[n]
            own[arcs + starts + n] = values[n]
        for t in range(T, -1, -1):
            for g in range(g2 - 1, g1 - 1, -1):
                state = packed.group_dst[g]
                share = now[state]
                if share == 0.0:
                    continue
                n = _candidates(packed, graph, g, g + 1, energies, emissions[b, 0], full[t], values)
                values[n] = plain[t, state]
                _soft_minimum(values, n + 1, beta)
                now[state] = share * values[n]
                begin = _arc_begin(packed, g, g0)
                for k in range(n):
                    now[packed.pull_src[a0 + begin + k]] += share * values[k]
                    own[packed.pull_arc[a0 + begin + k]] += share * values[k]
            if t == 0:
                for n in range(starts):
                    own[arcs + n] = now[packed.starts[b0 + n]]
                break
            for s in range(states):
                before[s] = 0.0
            g = g0
            while g < g1:
                end = _state_end(packed, g, g1)
                share = now[packed.group_dst[g]]
                if share > 0.0:
                    n = _candidates(
                        packed, graph, g, end, energies, emissions[b, t - 1], full[t - 1], values
                    )
                    _soft_minimum(values, n, beta)
                    a = _arc_begin(packed, g, g0)
                    first = a
                    for h in range(g, end):
                        label = packed.classes[packed.class_offsets[graph] + packed.group_label[h]]
                        while a < packed.group_end[h]:
                            used = share * values[a - first]
                            before[packed.pull_src[a0 + a]] += used
                            own[packed.pull_arc[a0 + a]] += used
                            if with_posterior:
                                posterior[b, t - 1, label] += used
                            a += 1
                g = end
            now, before = before, now
        if with_counts:
            for n in range(own.size):
                counts[place + n] = own[n]
