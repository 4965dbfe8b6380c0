"""One frame of the trellis for W items at once, in the scaled probability domain.

A row holds a number for each state and lane: that of lane ``l`` and state ``s`` at
``s * W + l``. See :mod:`seqebm.kernels.trellis.cpu_scaled` for what the numbers are.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.kernels.machine import cells
from seqebm.kernels.machine.jit import LEAF
from seqebm.kernels.machine.lanes import load, splat, store, where_less, zero_like

#: Numbers below are set to 0: see :mod:`seqebm.kernels.trellis.cpu_scaled`.
TINY = 1e-250


@njit(**LEAF)
def reset(row, begin, count, number, width):
    """Set ``count`` numbers, a multiple of W, from ``begin`` on."""
    value = splat(number, row, width)
    for n in range(begin, begin + count, len(width)):
        store(row, n, value)


@njit(**LEAF)
def emission_factors(
    emissions, items, lengths, t, packed, graph, beta, inverse, table, least, width
):  # fmt: skip
    """Factors of the classes of a graph at frame ``t``: ``table`` (classes * W), written.

    Args:
        emissions: (B, T, C).
        items, lengths: (W,) of the lanes.
        inverse: (W,) float64, what every factor of a lane is multiplied with.
        least: (W,) float64, written: the energy that was taken out; 0 for a lane that has ended.
    """
    lanes = len(width)
    first = packed.class_offsets[graph]
    classes = packed.class_offsets[graph + 1] - first
    for lane in range(lanes):
        least[lane] = 0.0
        if t >= lengths[lane]:
            for k in range(classes):
                table[k * lanes + lane] = -math.inf
            continue
        b = items[lane]
        smallest = math.inf
        for k in range(classes):
            smallest = min(smallest, emissions[b, t, packed.classes[first + k]])
        if smallest < math.inf:
            least[lane] = smallest
        for k in range(classes):
            energy = emissions[b, t, packed.classes[first + k]]
            table[k * lanes + lane] = -beta * (energy - least[lane])
    scale = load(inverse, 0, width)
    for k in range(classes):
        factor = cells.exponential(load(table, k * lanes, width))
        store(table, k * lanes, factor * scale)


@njit(**LEAF)
def arc_factors(packed, graph, energies, beta, factors):
    """Factors of the arcs of a graph, in turns; returns the largest factor of all its entries."""
    a0 = packed.arc_offsets[graph]
    e0, e1 = packed.entry_offsets[graph], packed.entry_offsets[graph + 1]
    least = math.inf
    for e in range(e0, e1):
        least = min(least, energies[e])
    for a in range(factors.size):
        factors[a] = math.exp(-beta * energies[e0 + packed.turn_arc[a0 + a]])
    return math.exp(-beta * least)


@njit(**LEAF)
def turns(packed, graph):
    """The arcs of a graph that consume a frame, in turns: (src, dst, label)."""
    first = packed.arc_offsets[graph]
    last = first + packed.emitting_arcs[graph]
    return (
        packed.turn_src[first:last], packed.turn_dst[first:last], packed.turn_label[first:last]
    )  # fmt: skip


@njit(**LEAF)
def advance(packed, graph, factors, table, rows, before, here, width):
    """Sums over the arcs that consume a frame: row ``here`` from row ``before``."""
    lanes = len(width)
    src, dst, label = turns(packed, graph)
    states = packed.state_offsets[graph + 1] - packed.state_offsets[graph]
    reset(rows, here, states * lanes, 0.0, width)
    for a in range(src.size):
        at = here + np.intp(dst[a]) * lanes
        factor = load(table, np.intp(label[a]) * lanes, width) * splat(factors[a], rows, width)
        source = load(rows, before + np.intp(src[a]) * lanes, width)
        store(rows, at, load(rows, at, width) + factor * source)


@njit(**LEAF)
def close(packed, graph, factors, rows, here, width):
    """Add the epsilon arcs to row ``here``: each state is complete before an arc leaves it."""
    lanes = len(width)
    a0 = packed.arc_offsets[graph]
    g0 = packed.group_offsets[graph]
    a = packed.emitting_arcs[graph]
    for g in range(g0 + packed.emitting_groups[graph], packed.group_offsets[graph + 1]):
        end = packed.group_end[g]
        at = here + packed.group_dst[g] * lanes
        total = load(rows, at, width)
        while a < end:
            factor = splat(factors[a], rows, width)
            total = total + factor * load(rows, here + packed.pull_src[a0 + a] * lanes, width)
            a += 1
        store(rows, at, total)


@njit(**LEAF)
def settle(row, begin, count, largest, width):
    """Set numbers below TINY to 0 and find the ``largest`` (W,) of a row."""
    lanes = len(width)
    tiny = splat(TINY, row, width)
    zero = zero_like(tiny)
    most = zero
    for n in range(begin, begin + count, lanes):
        value = load(row, n, width)
        # A number that is not one compares as neither less nor more and stays.
        value = where_less(value, tiny, zero, value)
        most = where_less(value, most, most, value)
        store(row, n, value)
    store(largest, 0, most)


@njit(**LEAF)
def retreat(
    packed, graph, factors, table, rows, here, later, beta_later, beta_here, posterior, counts,
    with_posterior, with_counts, width,
):  # fmt: skip
    """Backward sums over the arcs that consume a frame, and their posteriors.

    Args:
        rows: forward numbers; ``here``, ``later``: rows of this frame and the next.
        beta_later, beta_here: (S * W) backward numbers; the latter written.
        posterior: (classes * W), written; counts: (A * W), added to.
    """
    lanes = len(width)
    g0 = packed.group_offsets[graph]
    reset(beta_here, 0, beta_here.size, 0.0, width)
    reset(posterior, 0, posterior.size, 0.0, width)
    by_state = packed.on_states[graph] == 1
    if with_posterior and by_state:
        for g in range(g0, g0 + packed.emitting_groups[graph]):
            label = np.intp(packed.group_label[g]) * lanes
            at = np.intp(packed.group_dst[g]) * lanes
            share = load(rows, later + at, width) * load(beta_later, at, width)
            store(posterior, label, load(posterior, label, width) + share)
    src, dst, labels = turns(packed, graph)
    for a in range(src.size):
        at = np.intp(src[a]) * lanes
        label = np.intp(labels[a]) * lanes
        value = load(table, label, width) * splat(factors[a], rows, width)
        value = value * load(beta_later, np.intp(dst[a]) * lanes, width)
        store(beta_here, at, load(beta_here, at, width) + value)
        if with_counts or (with_posterior and not by_state):
            share = value * load(rows, here + at, width)
            if with_counts:
                store(counts, a * lanes, load(counts, a * lanes, width) + share)
            if with_posterior and not by_state:
                store(posterior, label, load(posterior, label, width) + share)


@njit(**LEAF)
def reopen(packed, graph, factors, rows, here, beta_here, counts, with_counts, width):
    """Backward sums over the epsilon arcs, in the opposite order of :func:`close`."""
    lanes = len(width)
    a0 = packed.arc_offsets[graph]
    g0 = packed.group_offsets[graph]
    first = packed.emitting_groups[graph]
    a = packed.arc_offsets[graph + 1] - a0 - 1
    for g in range(packed.group_offsets[graph + 1] - g0 - 1, first - 1, -1):
        begin = packed.emitting_arcs[graph] if g == first else packed.group_end[g0 + g - 1]
        after = load(beta_here, packed.group_dst[g0 + g] * lanes, width)
        while a >= begin:
            at = packed.pull_src[a0 + a] * lanes
            factor = splat(factors[a], beta_here, width)
            store(beta_here, at, load(beta_here, at, width) + factor * after)
            if with_counts:
                share = load(rows, here + at, width) * factor * after
                store(counts, a * lanes, load(counts, a * lanes, width) + share)
            a -= 1
