"""CPU kernel: free energy, and its gradient, from tables of local energies.

The pairs are taken in groups of W, one pair to a lane. The gradient of a free energy with respect
to its local energies is the Gibbs posterior, which does not depend on what comes back from the
loss but for one factor per pair. So it is computed here, in the same call, while the shares of
the group are still in cache; the backward pass of autograd is then one multiplication.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.compiled import compiled
from seqebm.kernels.machine.jit import JIT, LEAF, fill, take
from seqebm.kernels.machine.lanes import load, splat, store, where_less, zero_like
from seqebm.kernels.warp.cpu_rows import advance_row, next_row, row_span, start_tables


@njit(**LEAF)
def _gather_row(flat, offsets, stride, together, lengths, columns, local, bad, width):
    """Copy one row of W tables to lanes; padding becomes 0, so that it can hold anything.

    A lane's flag in ``bad`` is set if a valid number is NaN or -inf.
    """
    lanes = len(width)
    if together:
        limit = load(lengths, 0, width)
        nothing = splat(-math.inf, local, width)
        flag = load(bad, 0, width)
        zero = zero_like(flag)
        one = splat(1.0, local, width)
        for j in range(columns):
            at = offsets[0] + j * stride
            if at + lanes <= flat.size:
                c = load(flat, at, width)
            else:
                for lane in range(lanes):
                    inside = at + lane < flat.size
                    local[j * lanes + lane] = flat[at + lane] if inside else 0.0
                c = load(local, j * lanes, width)
            column = splat(j, local, width)
            c = where_less(column, limit, c, zero)
            flag = where_less(nothing, c, flag, one)
            store(local, j * lanes, c)
        store(bad, 0, flag)
        return
    for lane in range(lanes):
        length = int(lengths[lane])
        at = offsets[lane]
        wrong = False
        for j in range(length):
            c = flat[at + j * stride]
            wrong |= not (c > -math.inf)
            local[j * lanes + lane] = c
        if wrong:
            bad[lane] = 1.0
        for j in range(length, columns):
            local[j * lanes + lane] = 0.0


@njit(**LEAF)
def _scatter_row(flat, offsets, stride, together, size, columns, local, width):
    """Copy one row of lanes to ``size`` tables of ``columns`` columns."""
    lanes = len(width)
    if together and size == lanes:
        for j in range(columns):
            store(flat, offsets[0] + j * stride, load(local, j * lanes, width))
        return
    if together:
        for j in range(columns):
            for lane in range(size):
                flat[offsets[lane] + j * stride] = local[j * lanes + lane]
        return
    for lane in range(size):
        at = offsets[lane]
        for j in range(columns):
            flat[at + j * stride] = local[j * lanes + lane]


@njit(**LEAF)
def _posteriors(
    rows_t, columns, spans, shares, visits, weight, di, dj, ring, pad, t_lengths, l_lengths,
    finite, gradient, offsets, t_stride, l_stride, together, size, t_full, l_full, local, at_row,
    width,
):  # fmt: skip
    """Walk back from the ends: spread each cell's visits over the steps that led to it."""
    lanes = len(width)
    steps = di.size
    length = (columns + pad) * lanes
    fill(visits, 0, visits.size, 0.0)
    fill(local, 0, l_full * lanes, 0.0)
    for i in range(t_full - 1, -1, -1):
        for lane in range(lanes):
            at_row[lane] = offsets[lane] + i * t_stride
        if i >= rows_t:
            _scatter_row(gradient, at_row, l_stride, together, size, l_full, local, width)
            continue
        here = (i % ring) * length + pad * lanes
        for lane in range(size):
            if t_lengths[lane] - 1 == i and finite[lane]:
                visits[here + (l_lengths[lane] - 1) * lanes + lane] += 1.0
        first, last = spans[2 * i], spans[2 * i + 1]
        fill(local, 0, min(first, columns) * lanes, 0.0)
        fill(local, max(last + 1, 0) * lanes, columns * lanes, 0.0)
        for j in range(last, first - 1, -1):
            visit = load(visits, here + j * lanes, width)
            slope = zero_like(visit)
            for k in range(steps):
                share = load(shares, ((i * columns + j) * steps + k) * lanes, width)
                flow = visit * share
                slope = slope + flow * splat(weight[k], visits, width)
                to = ((i - di[k]) % ring) * length + (pad + j - dj[k]) * lanes
                store(visits, to, load(visits, to, width) + flow)
            store(local, j * lanes, slope)
        if i == 0:
            store(local, 0, load(visits, here, width))
        _scatter_row(gradient, at_row, l_stride, together, size, l_full, local, width)
        # This slot of the ring becomes an earlier row.
        fill(visits, (i % ring) * length, (i % ring + 1) * length, 0.0)


@compiled(**JIT)
def tables_worker(
    counter, flat, offsets, t_stride, l_stride, t_full, l_full, order, t_lengths, l_lengths,
    di, dj, weight, penalty, beta, band, slope, energies, bad, keep, gradient, scratch, width,
):  # fmt: skip
    """Take groups of W pairs until none is left.

    Args:
        counter: (2,) int64, the next group, and the next thread.
        flat: 1-D view of the local energies, float32 or float64; pair p has frame (i, j) at
            ``offsets[p] + i * t_stride + j * l_stride``.
        t_full, l_full: shape of one table, padding included.
        order: (groups * W,) the pair in each lane of each group, -1 for the empty lanes, which
            come last in a group.
        t_lengths, l_lengths: (P,) int64.
        di, dj, weight, penalty: (K,) the step pattern.
        beta, band, slope: inverse temperature and window limits, inf allowed.
        energies: (P,) float64, written.
        bad: (P,) written: 1 where a valid local energy is NaN or -inf.
        keep: whether to write ``gradient``, laid out as ``flat``; zero in the padding. It may be
            ``flat`` itself, which is then written over.
        scratch: with ``keep``, room for the shares of one group in each thread.
    """
    lanes = len(width)
    steps = di.size
    ring = max(di.max(), 1) + 1
    pad = dj.max()
    windowed = band < math.inf or slope < math.inf
    dtype = flat.dtype
    t_most, l_most = t_lengths.max(), l_lengths.max()
    rows = np.empty(ring * (l_most + pad) * lanes, dtype)
    visits = np.empty(ring * (l_most + pad) * lanes if keep else 0, dtype)
    room = t_most * l_most * steps * lanes if keep else 0
    place = take(counter[1:]) * room
    shares = scratch[place : place + room]
    local = np.empty(l_full * lanes, dtype)
    shifts = np.empty(ring * lanes, dtype)
    extra = np.empty(steps * lanes, dtype)
    limits = np.zeros(2 * lanes, dtype)
    least = np.empty(lanes, dtype)
    valid = np.empty(lanes, dtype)
    flags = np.empty(lanes, dtype)
    base = np.empty(lanes, np.float64)
    at = np.empty(steps, np.int64)
    spans = np.empty(2 * t_most, np.int64)
    group_offsets = np.empty(lanes, np.int64)
    at_row = np.empty(lanes, np.int64)
    ts = np.zeros(lanes, np.int64)
    ls = np.zeros(lanes, np.int64)
    finite = np.zeros(lanes, np.bool_)
    while True:
        start = take(counter) * lanes
        if start >= order.size:
            break
        size = 0
        together = True
        for lane in range(lanes):
            pair = order[start + lane]
            filled = pair >= 0
            if not filled:
                # An empty lane shares the place of the first pair, with no valid frame.
                pair = order[start]
            ts[lane] = t_lengths[pair] if filled else 0
            ls[lane] = l_lengths[pair] if filled else 0
            group_offsets[lane] = offsets[pair]
            finite[lane] = False
            flags[lane] = 0.0
            if filled:
                size += 1
                together &= offsets[pair] == offsets[order[start]] + lane
        rows_t, columns = ts.max(), ls.max()
        length = (columns + pad) * lanes
        start_tables(rows, shifts, base, lanes)
        for i in range(rows_t):
            for lane in range(lanes):
                valid[lane] = ls[lane] if i < ts[lane] else 0
                at_row[lane] = group_offsets[lane] + i * t_stride
            _gather_row(flat, at_row, l_stride, together, valid, columns, local, flags, width)
            row = next_row(
                i, rows, length, shifts, base, least, extra, at, di, dj, penalty, ring, pad, width
            )
            first, last = 0, columns - 1
            if windowed:
                first, last = row_span(i, ts, ls, columns, band, slope, limits, width)
                fill(rows, row, row + columns * lanes, math.inf)
            spans[2 * i] = first
            spans[2 * i + 1] = last
            advance_row(
                i, local, (0, row), rows, extra, at, weight, beta, first, last, windowed, limits,
                least, keep, shares, i * columns * steps * lanes, width,
            )  # fmt: skip
            for lane in range(size):
                if ts[lane] - 1 == i:
                    end = rows[row + (ls[lane] - 1) * lanes + lane]
                    energies[order[start + lane]] = base[lane] + end
                    finite[lane] = end < math.inf
        for lane in range(size):
            bad[order[start + lane]] = flags[lane]
        if keep:
            _posteriors(
                rows_t, columns, spans, shares, visits, weight, di, dj, ring, pad, ts, ls,
                finite, gradient, group_offsets, t_stride, l_stride, together, size, t_full,
                l_full, local, at_row, width,
            )  # fmt: skip
