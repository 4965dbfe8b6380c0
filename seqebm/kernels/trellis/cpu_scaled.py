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
domain, ``cpu_log``, which has no such limits. In practice doubt arises where
the best partial paths and the best complete path are more than 500 nats apart, or where emissions
of one frame that can be reached lie 160 nats above the least of the frame.

``lengths`` may differ between lanes: a lane that has ended has emission factors of 0.

**Memory.** Where posteriors are wanted and the forward rows of all frames would leave the cache,
one row in about sqrt(T) is kept, and the backward pass computes the rows between again: that takes
less time than to fetch them from memory, and memory grows with sqrt(T).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.compiled import compiled
from seqebm.kernels.machine.jit import JIT, LEAF, take
from seqebm.kernels.trellis.cpu_rows import (
    advance,
    arc_factors,
    close,
    emission_factors,
    reopen,
    reset,
    retreat,
    settle,
)

FORWARD_LOW = 1e-70
FORWARD_HIGH = 1e30
FACTOR_HIGH = 1e50
BACKWARD_HIGH = 1e230

#: Numbers in the forward rows of all frames up to which they are all kept: half a megabyte.
SMALL = 1 << 16


@njit(**LEAF)
def _copy(source, begin, target, at, count):
    for n in range(count):
        target[at + n] = source[begin + n]


@njit(**LEAF)
def _forward(
    packed, graph, emissions, items, frames, energies, factors, beta, span, rows, saved, scales,
    tables, shift, logs, totals, bad, least, largest, width,
):  # fmt: skip
    """All frames of a group: scales, logarithms of them, and the sum over all paths.

    Args:
        span: frames between two saved rows; 0: keep nothing but two rows.
        rows: ``span + 1`` rows, or two. In the end, those from the last saved row on.
        saved: row ``n * span`` at n.
        scales: (T + 1, W) flat, written: what each row is multiplied with afterwards.
        tables: emission factors of each frame, or room for one.
        shift, logs, totals, bad: (W,), updated: energies taken out; logarithms of the scales; sum
            over all paths; whether the result cannot be trusted.
        least, largest: (W,) scratch.
    """
    lanes = len(width)
    longest = (len(scales) // lanes) - 1
    size = (packed.state_offsets[graph + 1] - packed.state_offsets[graph]) * lanes
    room = (packed.class_offsets[graph + 1] - packed.class_offsets[graph]) * lanes
    b0, c0 = packed.start_offsets[graph], packed.final_offsets[graph]
    starts, finals = packed.start_offsets[graph + 1] - b0, packed.final_offsets[graph + 1] - c0
    e0 = packed.entry_offsets[graph] + packed.arc_offsets[graph + 1] - packed.arc_offsets[graph]
    reset(rows, 0, size, 0.0, width)
    for n in range(starts):
        factor = math.exp(-beta * energies[e0 + n])
        for lane in range(lanes):
            rows[packed.starts[b0 + n] * lanes + lane] += factor
    for t in range(longest + 1):
        here = 0
        if t > 0:
            before = ((t - 1) % span if span > 0 else (t - 1) % 2) * size
            here = before + size if span > 0 else (t % 2) * size
            table = tables[(t - 1) * room :] if span > 0 else tables
            inverse = scales[(t - 1) * lanes : t * lanes]
            emission_factors(
                emissions, items, frames, t - 1, packed, graph, beta, inverse, table, least, width
            )
            for lane in range(lanes):
                shift[lane] += least[lane]
            advance(packed, graph, factors, table, rows, before, here, width)
        close(packed, graph, factors, rows, here, width)
        settle(rows, here, size, largest, width)
        for lane in range(lanes):
            if t > frames[lane]:
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
                    factor = math.exp(-beta * energies[e0 + starts + n])
                    totals[lane] += factor * rows[here + packed.finals[c0 + n] * lanes + lane]
        if span > 0 and t % span == 0 and t < longest:
            _copy(rows, here, saved, t // span * size, size)
            if t > 0:
                _copy(rows, here, rows, 0, size)


@njit(**LEAF)
def _backward(
    packed, graph, emissions, items, frames, energies, factors, beta, span, rows, saved, scales,
    tables, totals, bad, with_posterior, with_counts, posterior, counts, places, least, largest,
    after, now, sums, shares, width,
):  # fmt: skip
    """All frames of a group from the last: certificate and posteriors.

    Args:
        span .. tables: as :func:`_forward` left them.
        posterior: (B, T, C), written if ``with_posterior``.
        counts: written if ``with_counts``, from ``places`` (W,) on.
        least, largest: (W,) scratch; after, now: backward rows, ``now`` all 0; sums: (A * W),
            all 0, expected uses of arcs; shares: (classes * W) scratch.
    """
    lanes = len(width)
    longest = (len(scales) // lanes) - 1
    size = (packed.state_offsets[graph + 1] - packed.state_offsets[graph]) * lanes
    classes = packed.class_offsets[graph + 1] - packed.class_offsets[graph]
    a0, k0 = packed.arc_offsets[graph], packed.class_offsets[graph]
    arcs = packed.arc_offsets[graph + 1] - a0
    b0, c0 = packed.start_offsets[graph], packed.final_offsets[graph]
    starts, finals = packed.start_offsets[graph + 1] - b0, packed.final_offsets[graph + 1] - c0
    e0 = packed.entry_offsets[graph] + arcs
    segment = (longest - 1) // span if span > 0 else 0
    here = (longest - segment * span) * size
    for t in range(longest, -1, -1):
        if t < longest:
            table = tables[t * classes * lanes :] if span > 0 else tables
            if span == 0:
                inverse = scales[t * lanes : (t + 1) * lanes]
                emission_factors(
                    emissions, items, frames, t, packed, graph, beta, inverse, table, least, width
                )
            elif t // span < segment:
                segment = t // span
                _copy(saved, segment * size, rows, 0, size)
                for n in range(1, span + 1):
                    row = n * size
                    between = tables[(segment * span + n - 1) * classes * lanes :]
                    advance(packed, graph, factors, between, rows, row - size, row, width)
                    close(packed, graph, factors, rows, row, width)
                    settle(rows, row, size, largest, width)
            here = (t - segment * span) * size
            after, now = now, after
            retreat(
                packed, graph, factors, table, rows, here, here + size, after, now, shares, sums,
                with_posterior, with_counts, width,
            )  # fmt: skip
            if with_posterior:
                for lane in range(lanes):
                    if t < frames[lane]:
                        for k in range(classes):
                            label = packed.classes[k0 + k]
                            posterior[items[lane], t, label] = shares[k * lanes + lane]
        for lane in range(lanes):
            if t == frames[lane] and items[lane] >= 0:
                for n in range(finals):
                    at = packed.finals[c0 + n] * lanes + lane
                    share = math.exp(-beta * energies[e0 + starts + n]) / totals[lane]
                    now[at] += share
                    if with_counts:
                        counts[places[lane] + arcs + starts + n] = rows[here + at] * share
        reopen(packed, graph, factors, rows, here, now, sums, with_counts, width)
        settle(now, 0, size, largest, width)
        for lane in range(lanes):
            bad[lane] |= not largest[lane] <= BACKWARD_HIGH
    for lane in range(lanes):
        if items[lane] < 0 or not with_counts:
            continue
        for n in range(starts):
            factor = math.exp(-beta * energies[e0 + n])
            at = packed.starts[b0 + n] * lanes + lane
            counts[places[lane] + arcs + n] = factor * now[at]
        for a in range(arcs):
            counts[places[lane] + packed.turn_arc[a0 + a]] = sums[a * lanes + lane]


@compiled(**JIT)
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
    while True:
        job = take(counter)
        if job >= jobs.shape[0]:
            break
        items = jobs[job]
        graph = graph_of[items[0]]
        frames, places = np.zeros(lanes, np.int64), np.zeros(lanes, np.int64)
        for lane in range(lanes):
            if items[lane] >= 0:
                frames[lane] = lengths[items[lane]]
                places[lane] = count_offsets[items[lane]]
        longest = frames.max()
        factors = np.empty(packed.arc_offsets[graph + 1] - packed.arc_offsets[graph])
        highest = arc_factors(packed, graph, energies, beta, factors)
        if not highest <= FACTOR_HIGH:
            for lane in range(lanes):
                if items[lane] >= 0:
                    doubtful[items[lane]] = 1
            continue
        size = (packed.state_offsets[graph + 1] - packed.state_offsets[graph]) * lanes
        room = (packed.class_offsets[graph + 1] - packed.class_offsets[graph]) * lanes
        span = 0
        if with_posterior or with_counts:
            span = longest if size * longest <= SMALL else int(math.sqrt(longest))
        rows = np.empty((span + 1 if span > 0 else 2) * size)
        saved = np.empty(((longest - 1) // span + 1 if span > 0 else 0) * size)
        tables = np.empty((longest if span > 0 else 1) * room)
        scales = np.empty((longest + 1) * lanes)
        shift, logs, totals = np.zeros(lanes), np.zeros(lanes), np.zeros(lanes)
        bad = np.zeros(lanes, np.bool_)
        least, largest = np.empty(lanes), np.empty(lanes)
        after, now = np.empty(size), np.zeros(size)
        sums = np.zeros(factors.size * lanes if with_counts else 0)
        shares = np.empty(room if with_posterior else 0)
        _forward(
            packed, graph, emissions, items, frames, energies, factors, beta, span, rows, saved,
            scales, tables, shift, logs, totals, bad, least, largest, width,
        )  # fmt: skip
        for lane in range(lanes):
            if items[lane] < 0:
                continue
            bad[lane] |= not (totals[lane] > 0.0 and totals[lane] < math.inf)
            if bad[lane]:
                totals[lane] = math.inf  # nothing flows back
            else:
                free[items[lane]] = shift[lane] - (logs[lane] + math.log(totals[lane])) / beta
        # Always, because it certifies the result.
        _backward(
            packed, graph, emissions, items, frames, energies, factors, beta, span, rows, saved,
            scales, tables, totals, bad, with_posterior, with_counts, posterior, counts, places,
            least, largest, after, now, sums, shares, width,
        )  # fmt: skip
        for lane in range(lanes):
            if items[lane] >= 0:
                doubtful[items[lane]] = bad[lane]
