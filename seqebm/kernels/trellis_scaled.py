"""CPU kernel: free energies of a graph that meets emissions, in the scaled probability domain.

Energies become factors ``exp(-beta * energy)``, and forward and backward sums are sums of products
(Rabiner 1989, section V.A). The forward vector of each frame is divided by its largest number; the
division is folded into the emission factors of the next frame, and the logarithms of the divisors
add up in float64. Items that share a graph are computed together, one to a SIMD lane, so that the
arcs are read once for all of them.

**Why the result is right, or known to be doubtful.** Numbers below ``TINY`` relative to the
largest are set to 0, so mass may be lost. With backward numbers divided by the total, a state has
posterior ``forward * backward``, and the mass lost at a state has at most ``TINY * backward``.
Hence an item is certified if, at every frame and state, ``backward <= BACKWARD_HIGH``: then what
was lost has posterior 1e-20 per event at most, far below the rounding of float64. The other limits
keep products from leaving the range of float64 before that test sees them:

- forward numbers, before division, have a maximum in ``FORWARD_LOW .. FORWARD_HIGH``: a product
  that underflows (at most 5e-324) grows to 5e-254 < TINY by the division;
- arc factors are at most ``FACTOR_HIGH``; emission factors are at most 1, because the least energy
  of a frame is taken out: an arc or emission factor that underflows meets forward numbers of at
  most FORWARD_HIGH and other factors of at most FACTOR_HIGH, which again stays below TINY;
- backward numbers below TINY meet forward numbers of at most FORWARD_HIGH.

Comparisons are written so that NaN fails them. A doubtful item is computed again in the log
domain, :mod:`seqebm.kernels.trellis_log`, which has no such limits. In practice doubt arises where
the best partial paths and the best complete path are more than 500 nats apart, or where emissions
of one frame that can be reached lie 160 nats above the least of the frame.

``lengths`` may differ between lanes: a lane that has ended has emission factors of 0.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.kernels import cells
from seqebm.kernels.cpu_rows import ENTRY, JIT, fill, take
from seqebm.kernels.lanes import load, splat, store, where_less, zero_like

TINY = 1e-250
FORWARD_LOW = 1e-70
FORWARD_HIGH = 1e30
FACTOR_HIGH = 1e50
BACKWARD_HIGH = 1e230


@njit(**JIT)
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


@njit(**JIT)
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


@njit(**JIT)
def turns(packed, graph):
    """The arcs of a graph that consume a frame, in turns: (src, dst, label)."""
    first = packed.arc_offsets[graph]
    last = first + packed.emitting_arcs[graph]
    return (
        packed.turn_src[first:last], packed.turn_dst[first:last], packed.turn_label[first:last]
    )  # fmt: skip


@njit(**JIT)
def advance(packed, graph, factors, table, rows, before, here, width):
    """Sums over the arcs that consume a frame: row ``here`` from row ``before``."""
    lanes = len(width)
    src, dst, label = turns(packed, graph)
    states = packed.state_offsets[graph + 1] - packed.state_offsets[graph]
    fill(rows, here, here + states * lanes, 0.0)
    for a in range(src.size):
        at = here + np.intp(dst[a]) * lanes
        factor = load(table, np.intp(label[a]) * lanes, width) * splat(factors[a], rows, width)
        source = load(rows, before + np.intp(src[a]) * lanes, width)
        store(rows, at, load(rows, at, width) + factor * source)


@njit(**JIT)
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


@njit(**JIT)
def settle(row, begin, count, largest, width):
    """Set numbers below TINY to 0 and find the ``largest`` (W,) of a row."""
    lanes = len(width)
    tiny = splat(TINY, row, width)
    zero = zero_like(tiny)
    most = zero
    for n in range(begin, begin + count * lanes, lanes):
        value = load(row, n, width)
        # A number that is not one compares as neither less nor more and stays.
        value = where_less(value, tiny, zero, value)
        most = where_less(value, most, most, value)
        store(row, n, value)
    store(largest, 0, most)


@njit(**JIT)
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
    fill(beta_here, 0, beta_here.size, 0.0)
    fill(posterior, 0, posterior.size, 0.0)
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


@njit(**JIT)
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


@njit(**ENTRY)
def scaled_worker(
    counter, jobs, packed, graph_of, emissions, lengths, energies, beta, with_posterior,
    with_counts, free, doubtful, posterior, counts, count_offsets, width,
):  # fmt: skip
    """Take groups of W items that share a graph until none is left.

    Args:
        counter: (1,) int64, the next group.
        jobs: (n, W) items of each group, -1 for none; a group has at least one, the first.
        graph_of, lengths: (B,) int64.
        emissions: (B, T, C).
        energies: (E,) float64 of all entries.
        beta: finite.
        free: (B,) float64, written; doubtful: (B,) uint8, written: 1 if ``free`` cannot be trusted.
        posterior: (B, T, C), zeros, written if ``with_posterior``.
        counts: written if ``with_counts``: expected number of times that an item uses each entry,
            those of item b from ``count_offsets[b]``.
    """
    lanes = len(width)
    keep = with_posterior or with_counts
    items = np.zeros(lanes, np.int64)
    frames = np.zeros(lanes, np.int64)
    bad = np.zeros(lanes, np.bool_)
    least = np.empty(lanes)
    largest = np.empty(lanes)
    shift = np.empty(lanes)
    logs = np.empty(lanes)
    totals = np.empty(lanes)
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
            bad[lane] = False
            shift[lane], logs[lane], totals[lane] = 0.0, 0.0, 0.0
        s0, e0 = packed.state_offsets[graph], packed.entry_offsets[graph]
        states = packed.state_offsets[graph + 1] - s0
        arcs = packed.arc_offsets[graph + 1] - packed.arc_offsets[graph]
        a0, b0 = packed.start_offsets[graph], packed.final_offsets[graph]
        starts, finals = packed.start_offsets[graph + 1] - a0, packed.final_offsets[graph + 1] - b0
        f0 = e0 + arcs + starts
        classes = packed.class_offsets[graph + 1] - packed.class_offsets[graph]
        factors = np.empty(arcs)
        highest = arc_factors(packed, graph, energies, beta, factors)
        if not highest <= FACTOR_HIGH:
            for lane in range(lanes):
                if items[lane] >= 0:
                    doubtful[items[lane]] = 1
            continue
        size = states * lanes
        rows = np.empty((longest + 1 if keep else 2) * size)
        scales = np.empty((longest + 1) * lanes)
        tables = np.empty((longest if keep else 1) * classes * lanes)

        # Forward.
        fill(rows, 0, size, 0.0)
        for n in range(starts):
            factor = math.exp(-beta * energies[e0 + arcs + n])
            for lane in range(lanes):
                if items[lane] >= 0:
                    rows[packed.starts[a0 + n] * lanes + lane] += factor
        for t in range(longest + 1):
            here = (t if keep else t % 2) * size
            if t > 0:
                before = (t - 1 if keep else (t - 1) % 2) * size
                table = tables[(t - 1 if keep else 0) * classes * lanes :]
                inverse = scales[(t - 1) * lanes : t * lanes]
                emission_factors(
                    emissions, items, frames, t - 1, packed, graph, beta, inverse, table, least,
                    width,
                )  # fmt: skip
                for lane in range(lanes):
                    shift[lane] += least[lane]
                advance(packed, graph, factors, table, rows, before, here, width)
            close(packed, graph, factors, rows, here, width)
            settle(rows, here, states, largest, width)
            for lane in range(lanes):
                if t > frames[lane] or items[lane] < 0:
                    scales[t * lanes + lane] = 0.0
                    continue
                most = largest[lane]
                if not (most >= FORWARD_LOW and most <= FORWARD_HIGH):
                    bad[lane] = True
                    most = 1.0
                scales[t * lanes + lane] = 1.0 / most
                if t < frames[lane]:
                    logs[lane] += math.log(most)
                else:
                    for n in range(finals):
                        factor = math.exp(-beta * energies[f0 + n])
                        totals[lane] += factor * rows[here + packed.finals[b0 + n] * lanes + lane]
        for lane in range(lanes):
            if items[lane] < 0:
                continue
            if not (totals[lane] > 0.0 and totals[lane] < math.inf):
                bad[lane] = True
            if bad[lane]:
                totals[lane] = math.inf  # nothing flows back
            else:
                logs[lane] += math.log(totals[lane])
                free[items[lane]] = shift[lane] - logs[lane] / beta

        # Backward: always, because it certifies the result.
        after, now = np.empty(size), np.zeros(size)
        sums = np.zeros(arcs * lanes if with_counts else 0)
        shares = np.empty(classes * lanes if with_posterior else 0)
        final_factor = np.empty(finals)
        for n in range(finals):
            final_factor[n] = math.exp(-beta * energies[f0 + n])
        for t in range(longest, -1, -1):
            here = (t if keep else 0) * size
            if t < longest:
                table = tables[(t if keep else 0) * classes * lanes :]
                if not keep:
                    emission_factors(
                        emissions, items, frames, t, packed, graph, beta,
                        scales[t * lanes : (t + 1) * lanes], table, least, width,
                    )  # fmt: skip
                after, now = now, after
                retreat(
                    packed, graph, factors, table, rows, here, here + (size if keep else 0), after,
                    now, shares, sums, with_posterior, with_counts, width,
                )  # fmt: skip
                if with_posterior:
                    c0 = packed.class_offsets[graph]
                    for lane in range(lanes):
                        if t < frames[lane]:
                            for k in range(classes):
                                label = packed.classes[c0 + k]
                                posterior[items[lane], t, label] = shares[k * lanes + lane]
            for lane in range(lanes):
                if t == frames[lane] and items[lane] >= 0:
                    for n in range(finals):
                        at = packed.finals[b0 + n] * lanes + lane
                        share = final_factor[n] / totals[lane]
                        now[at] += share
                        if with_counts:
                            place = count_offsets[items[lane]] + arcs + starts + n
                            counts[place] = rows[here + at] * share
            reopen(packed, graph, factors, rows, here, now, sums, with_counts, width)
            settle(now, 0, states, largest, width)
            for lane in range(lanes):
                bad[lane] |= not largest[lane] <= BACKWARD_HIGH
        for lane in range(lanes):
            b = items[lane]
            if b < 0:
                continue
            doubtful[b] = bad[lane]
            if not with_counts:
                continue
            place = count_offsets[b]
            for n in range(starts):
                factor = math.exp(-beta * energies[e0 + arcs + n])
                counts[place + arcs + n] = factor * now[packed.starts[a0 + n] * lanes + lane]
            p0 = packed.arc_offsets[graph]
            for a in range(arcs):
                counts[place + packed.turn_arc[p0 + a]] = sums[a * lanes + lane]
