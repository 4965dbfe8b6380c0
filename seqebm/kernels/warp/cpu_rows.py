"""One row of the warping table for W pairs at once: shared by the table and the fused kernels.

All arrays are one-dimensional and hold lanes (see ``machine.lanes``): the number of
pair ``lane`` in column ``j`` is at ``j * W + lane``. A warping table is never whole: ``rows`` is a
ring of ``max di + 1`` rows, each with ``max dj`` columns of +inf to the left, so that no step needs
a bounds check.

Energies in the ring are relative: row i is stored minus ``base[i]``, and the base moves by the
least energy of each row. The energies that meet in a cell are then small numbers, whose difference
is exact enough at any length of input, in float32 too; the bases add up in float64.
"""

from __future__ import annotations

import math

from numba import njit

from seqebm.kernels.machine import cells
from seqebm.kernels.machine.jit import JIT, LEAF, fill
from seqebm.kernels.machine.lanes import (
    candidate,
    gibbs,
    load,
    one_like,
    soft_minimum,
    splat,
    store,
    where_less,
    zero_like,
)
from seqebm.kernels.warp import patterns

row_limits = njit(**JIT)(patterns.row_limits)


@njit(**LEAF)
def start_tables(rows, shifts, base, lanes):
    """Before the first row: nothing is reachable."""
    fill(rows, 0, rows.size, math.inf)
    fill(shifts, 0, shifts.size, 0.0)
    for lane in range(lanes):
        base[lane] = 0.0


@njit(**LEAF)
def row_span(i, t_lengths, l_lengths, columns, band, slope, limits, width):
    """Fill ``limits`` (2 W) with each lane's first and last column; return the span of them all.

    A lane whose input has ended keeps every column, as its cells no longer matter.
    """
    lanes = len(width)
    first, last = columns, -1
    for lane in range(lanes):
        lo, hi = 0, columns - 1
        if i < t_lengths[lane]:
            lo, hi = row_limits(i, t_lengths[lane], l_lengths[lane], band, slope)
            first = min(first, lo)
            last = max(last, hi)
        limits[lane] = lo
        limits[lanes + lane] = hi
    return max(first, 0), min(last, columns - 1)


@njit(**LEAF)
def next_row(i, rows, length, shifts, base, least, extra, at, di, dj, penalty, ring, pad, width):
    """Move the base to row ``i`` and prepare its steps.

    Args:
        i: row, an input frame.
        rows: ring of ``ring`` rows of ``length`` numbers each.
        shifts: (ring * W): base of row i - d minus base of row i, at ``d``; updated.
        base: (W,) float64; updated.
        least: (W,) least relative energy of row i - 1; overwritten.
        extra: (K * W): written: what step k adds to the local energy.
        at: (K,) int64: written: where step k comes from, for column 0.

    Returns:
        where row i begins in ``rows``.
    """
    lanes = len(width)
    inf = splat(math.inf, rows, width)
    if i > 0:
        before = load(least, 0, width)
        shift = where_less(before, inf, before, zero_like(before))
        store(least, 0, shift)
        for lane in range(lanes):
            base[lane] += least[lane]
        for d in range(ring - 1, 0, -1):
            earlier = load(shifts, (d - 1) * lanes, width)
            store(shifts, d * lanes, earlier - shift)
    for k in range(di.size):
        moved = load(shifts, di[k] * lanes, width)
        store(extra, k * lanes, moved + splat(penalty[k], rows, width))
        at[k] = ((i - di[k]) % ring) * length + (pad - dj[k]) * lanes
    return (i % ring) * length + pad * lanes


@njit(**LEAF)
def advance_row(
    i, local, begin, rows, extra, at, weight, beta, first, last, windowed, limits, least,
    keep, shares, shares_at, width,
):  # fmt: skip
    """Energies of row ``i`` from those of the rows before it.

    Args:
        i: row, an input frame.
        local: (columns * W) local energies; ``begin``: where they begin.
        rows: the ring; ``begin_row`` where row i begins.
        extra, at: see :func:`next_row`; weight: (K,).
        beta: inverse temperature, inf for the minimum.
        first, last: columns to compute; ``windowed``: whether ``limits`` cut lanes further.
        least: (W,): written: least energy of the row.
        keep: whether to write ``shares`` (cell, step, lane): the Gibbs probability of each step
            into each cell, from ``shares_at``. No step has a share in a cell with no path.
    """
    lanes = len(width)
    steps = at.size
    local_at, row_at = begin
    inf = splat(math.inf, rows, width)
    zero = zero_like(inf)
    one = one_like(inf)
    smallest = inf
    hard = math.isinf(beta)
    beta_lanes = splat(0.0 if hard else beta, rows, width)
    temperature = splat(1.0 / beta, rows, width)
    lo = load(limits, 0, width)
    hi = load(limits, lanes, width)
    if i == 0:
        # The path starts here: this cell alone has an energy without a step.
        start = load(local, local_at, width)
        store(rows, row_at, start)
        smallest = start
        if keep:
            for k in range(steps):
                store(shares, shares_at + k * lanes, zero)
        first = 1
    for j in range(first, last + 1):
        c = load(local, local_at + j * lanes, width)
        best = inf
        choice = zero - one
        if hard:
            for k in range(steps):
                w = splat(weight[k], rows, width)
                e = candidate(load(rows, at[k] + j * lanes, width), c, w,
                              load(extra, k * lanes, width))  # fmt: skip
                choice = where_less(e, best, splat(k, rows, width), choice)
                best = cells.smaller(best, e)
        else:
            for k in range(steps):
                w = splat(weight[k], rows, width)
                e = candidate(load(rows, at[k] + j * lanes, width), c, w,
                              load(extra, k * lanes, width))  # fmt: skip
                best = cells.smaller(best, e)
        here = shares_at + j * steps * lanes
        total = one
        if not hard:
            # inf - inf is not a number, so an unreachable cell compares with 0 instead.
            finite = where_less(best, inf, best, zero)
            total = zero
            for k in range(steps):
                w = splat(weight[k], rows, width)
                e = candidate(load(rows, at[k] + j * lanes, width), c, w,
                              load(extra, k * lanes, width))  # fmt: skip
                term = gibbs(e, finite, beta_lanes)
                total = total + term
                if keep:
                    store(shares, here + k * lanes, term)
            best = soft_minimum(best, total, temperature)
        if windowed:
            column = splat(j, rows, width)
            best = where_less(column, lo, inf, where_less(hi, column, inf, best))
        if keep and hard:
            reached = where_less(best, inf, choice, zero - one)
            for k in range(steps):
                number = splat(k, rows, width)
                share = where_less(reached, number, zero, where_less(number, reached, zero, one))
                store(shares, here + k * lanes, share)
        if keep and not hard:
            scale = where_less(best, inf, one / where_less(zero, total, total, one), zero)
            for k in range(steps):
                store(shares, here + k * lanes, load(shares, here + k * lanes, width) * scale)
        store(rows, row_at + j * lanes, best)
        smallest = cells.smaller(smallest, best)
    store(least, 0, smallest)
