"""CPU kernel: free energy of every input against every template, straight from their features.

For recognition without gradients: local energies are computed a few rows at a time, next to the
recursion that consumes them, so memory is O(L) per pair and no table of (T, L) ever exists. The
local energy is a sum of squared differences, not ``|x|**2 + |y|**2 - 2 x y``, which loses its
digits where frames are alike.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.compiled import compiled
from seqebm.kernels.machine.jit import JIT, LEAF, fill, take
from seqebm.kernels.machine.lanes import load, splat, store, zero_like
from seqebm.kernels.warp.cpu_rows import advance_row, next_row, row_span, start_tables

#: Input frames whose local energies are computed together: each number of a template is then
#: loaded once for that many uses.
BLOCK = 4


@compiled(**JIT)
def pack_templates(y, offsets, stride, order, lengths, starts, packed, width):
    """Lay templates out in groups of W: (group, frame, feature, lane), padding 0.

    Args:
        y: 1-D view of the features; template m has frame j at ``offsets[m] + j * stride``.
        order: (M,) templates in the order in which they fill the lanes.
        lengths: (M,) int64.
        starts: (groups + 1,) where each group begins in ``packed``.
    """
    lanes = len(width)
    fill(packed, 0, packed.size, 0.0)
    for place in range(order.size):
        template = order[place]
        at = starts[place // lanes] + place % lanes
        for n in range(lengths[template] * stride):
            packed[at + n * lanes] = y[offsets[template] + n]


@njit(**LEAF)
def _local_block(x, at, features, packed, begin, columns, local, width):
    """Squared distances of BLOCK input frames to a group of templates."""
    lanes = len(width)
    size = columns * lanes
    for j in range(columns):
        zero = zero_like(load(packed, begin, width))
        sum0, sum1, sum2, sum3 = zero, zero, zero, zero
        for d in range(features):
            y = load(packed, begin + (j * features + d) * lanes, width)
            d0 = splat(x[at + d], packed, width) - y
            d1 = splat(x[at + features + d], packed, width) - y
            d2 = splat(x[at + 2 * features + d], packed, width) - y
            d3 = splat(x[at + 3 * features + d], packed, width) - y
            sum0 = sum0 + d0 * d0
            sum1 = sum1 + d1 * d1
            sum2 = sum2 + d2 * d2
            sum3 = sum3 + d3 * d3
        store(local, j * lanes, sum0)
        store(local, size + j * lanes, sum1)
        store(local, 2 * size + j * lanes, sum2)
        store(local, 3 * size + j * lanes, sum3)


@compiled(**JIT)
def features_worker(
    counter, x, x_starts, x_lengths, features, packed, starts, order, l_lengths,
    di, dj, weight, penalty, beta, band, slope, energies, width,
):  # fmt: skip
    """Take (group of templates, input) items until none is left.

    Args:
        counter: (1,) int64, the next item.
        x: 1-D features of all inputs, input b from ``x_starts[b]``, BLOCK - 1 spare frames after.
        x_lengths: (B,) int64.
        packed, starts, order: see :func:`pack_templates`.
        l_lengths: (M,) int64.
        energies: (B, M) float64, written.
    """
    lanes = len(width)
    inputs = x_lengths.size
    templates = order.size
    groups = starts.size - 1
    steps = di.size
    ring = max(di.max(), 1) + 1
    pad = dj.max()
    windowed = band < math.inf or slope < math.inf
    dtype = packed.dtype
    l_most = l_lengths.max()
    rows = np.empty(ring * (l_most + pad) * lanes, dtype)
    shares = np.empty(0, dtype)
    local = np.empty(BLOCK * l_most * lanes, dtype)
    shifts = np.empty(ring * lanes, dtype)
    extra = np.empty(steps * lanes, dtype)
    limits = np.zeros(2 * lanes, dtype)
    least = np.empty(lanes, dtype)
    base = np.empty(lanes, np.float64)
    at = np.empty(steps, np.int64)
    ts = np.zeros(lanes, np.int64)
    ls = np.zeros(lanes, np.int64)
    while True:
        item = take(counter)
        if item >= groups * inputs:
            break
        group, b = item // inputs, item % inputs
        size = min(lanes, templates - group * lanes)
        for lane in range(lanes):
            ts[lane] = x_lengths[b]
            ls[lane] = l_lengths[order[group * lanes + min(lane, size - 1)]]
        columns = ls.max()
        length = (columns + pad) * lanes
        start_tables(rows, shifts, base, lanes)
        row = 0
        for i in range(x_lengths[b]):
            part = i % BLOCK
            if part == 0:
                frame = x_starts[b] + i * features
                _local_block(x, frame, features, packed, starts[group], columns, local, width)
            row = next_row(
                i, rows, length, shifts, base, least, extra, at, di, dj, penalty, ring, pad, width
            )
            first, last = 0, columns - 1
            if windowed:
                first, last = row_span(i, ts, ls, columns, band, slope, limits, width)
                fill(rows, row, row + columns * lanes, math.inf)
            advance_row(
                i, local, (part * columns * lanes, row), rows, extra, at, weight, beta, first,
                last, windowed, limits, least, False, shares, 0, width,
            )  # fmt: skip
        for lane in range(size):
            end = rows[row + (ls[lane] - 1) * lanes + lane]
            energies[b, order[group * lanes + lane]] = base[lane] + end
