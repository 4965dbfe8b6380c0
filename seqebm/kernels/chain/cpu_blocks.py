"""The inner loops of the dense chain: a vector of states times a matrix, for four items at once.

A matrix is laid out in *panels* of 2 W columns: panel p holds, row after row, the columns
``2 W p`` to ``2 W (p + 1) - 1``. A pair of lanes of a panel is loaded once and used for four
sequences, so that the matrix is read a quarter as often; eight running totals stay in registers.

The same loop serves two semirings: (+, x) for the scaled probability domain and (min, +) for
Viterbi.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from seqebm.kernels.machine import cells
from seqebm.kernels.machine.jit import LANES, LEAF
from seqebm.kernels.machine.lanes import load, splat, store, where_less, zero_like

#: Sequences that share a read of the matrix, and columns of a panel.
QUAD = 4
PANEL = 2 * LANES

Floats = NDArray[np.floating]


def padded(states: int) -> int:
    """``states`` rounded up to whole panels."""
    return -(-states // PANEL) * PANEL


def panels_of(matrix: Floats, fill: float) -> Floats:
    """The panels, flat, of a matrix (S, S): S rows each, columns beyond S hold ``fill``."""
    S = len(matrix)
    wide = np.full((S, padded(S)), fill, matrix.dtype)
    wide[:, :S] = matrix
    return np.ascontiguousarray(wide.reshape(S, -1, PANEL).transpose(1, 0, 2)).reshape(-1)


def padded_vector(vector: Floats, fill: float) -> Floats:
    """A vector (S,) lengthened to whole panels."""
    wide = np.full(padded(len(vector)), fill, vector.dtype)
    wide[: len(vector)] = vector
    return wide


@njit(**LEAF)
def sum_quad(rows, at, slot, panels, panel_at, states, out, out_at, stride, width):
    """``out[q] = sum over i of rows[q, i] * panel[i]`` for the four slots from ``slot``.

    Args:
        rows: flat; slot q's vector begins at ``at[slot + q]``.
        panels, panel_at: the panel begins there; ``states`` rows.
        out, out_at, stride: slot q's PANEL results go to ``out_at + q * stride``.
    """
    lanes = len(width)
    a0, a1, a2, a3 = at[slot], at[slot + 1], at[slot + 2], at[slot + 3]
    s00 = splat(0.0, out, width)
    s01, s10, s11, s20, s21, s30, s31 = s00, s00, s00, s00, s00, s00, s00
    for i in range(states):
        p = load(panels, panel_at, width)
        q = load(panels, panel_at + lanes, width)
        panel_at += 2 * lanes
        x0 = splat(rows[a0 + i], out, width)
        s00 = s00 + x0 * p
        s01 = s01 + x0 * q
        x1 = splat(rows[a1 + i], out, width)
        s10 = s10 + x1 * p
        s11 = s11 + x1 * q
        x2 = splat(rows[a2 + i], out, width)
        s20 = s20 + x2 * p
        s21 = s21 + x2 * q
        x3 = splat(rows[a3 + i], out, width)
        s30 = s30 + x3 * p
        s31 = s31 + x3 * q
    store(out, out_at, s00)
    store(out, out_at + lanes, s01)
    store(out, out_at + stride, s10)
    store(out, out_at + stride + lanes, s11)
    store(out, out_at + 2 * stride, s20)
    store(out, out_at + 2 * stride + lanes, s21)
    store(out, out_at + 3 * stride, s30)
    store(out, out_at + 3 * stride + lanes, s31)


@njit(**LEAF)
def min_quad(rows, at, slot, panels, panel_at, states, out, out_at, stride, width):
    """``out[q] = min over i of rows[q, i] + panel[i]``; arguments as in :func:`sum_quad`."""
    lanes = len(width)
    a0, a1, a2, a3 = at[slot], at[slot + 1], at[slot + 2], at[slot + 3]
    s00 = splat(math.inf, out, width)
    s01, s10, s11, s20, s21, s30, s31 = s00, s00, s00, s00, s00, s00, s00
    for i in range(states):
        p = load(panels, panel_at, width)
        q = load(panels, panel_at + lanes, width)
        panel_at += 2 * lanes
        x0 = splat(rows[a0 + i], out, width)
        s00 = cells.smaller(s00, x0 + p)
        s01 = cells.smaller(s01, x0 + q)
        x1 = splat(rows[a1 + i], out, width)
        s10 = cells.smaller(s10, x1 + p)
        s11 = cells.smaller(s11, x1 + q)
        x2 = splat(rows[a2 + i], out, width)
        s20 = cells.smaller(s20, x2 + p)
        s21 = cells.smaller(s21, x2 + q)
        x3 = splat(rows[a3 + i], out, width)
        s30 = cells.smaller(s30, x3 + p)
        s31 = cells.smaller(s31, x3 + q)
    store(out, out_at, s00)
    store(out, out_at + lanes, s01)
    store(out, out_at + stride, s10)
    store(out, out_at + stride + lanes, s11)
    store(out, out_at + 2 * stride, s20)
    store(out, out_at + 2 * stride + lanes, s21)
    store(out, out_at + 3 * stride, s30)
    store(out, out_at + 3 * stride + lanes, s31)


@njit(**LEAF)
def fold_min(lanes_value, buffer, width):
    """The least of W lanes; ``buffer`` (W) is overwritten."""
    store(buffer, 0, lanes_value)
    a, b, c, d = buffer[0], buffer[1], buffer[2], buffer[3]
    for lane in range(4, len(width), 4):  # four at a time: one chain of comparisons is slow
        a = cells.smaller(a, buffer[lane])
        b = cells.smaller(b, buffer[lane + 1])
        c = cells.smaller(c, buffer[lane + 2])
        d = cells.smaller(d, buffer[lane + 3])
    return cells.smaller(cells.smaller(a, b), cells.smaller(c, d))


@njit(**LEAF)
def fold_max(lanes_value, buffer, width):
    """The greatest of W lanes; ``buffer`` (W) is overwritten."""
    store(buffer, 0, lanes_value)
    a, b, c, d = buffer[0], buffer[1], buffer[2], buffer[3]
    for lane in range(4, len(width), 4):
        a = max(a, buffer[lane])
        b = max(b, buffer[lane + 1])
        c = max(c, buffer[lane + 2])
        d = max(d, buffer[lane + 3])
    return max(max(a, b), max(c, d))


@njit(**LEAF)
def fold_sum(lanes_value, buffer, width):
    """The sum of W lanes, in float64; ``buffer`` (W) is overwritten."""
    store(buffer, 0, lanes_value)
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for lane in range(0, len(width), 4):
        a += buffer[lane]
        b += buffer[lane + 1]
        c += buffer[lane + 2]
        d += buffer[lane + 3]
    return (a + b) + (c + d)


@njit(**LEAF)
def copy_row(source, begin, states, row, wide, buffer, width):
    """Copy ``states`` energies to ``row`` (``wide``), pad with +inf; returns the least of them."""
    lanes = len(width)
    least = splat(math.inf, row, width)
    whole = states - states % lanes
    for j in range(0, whole, lanes):
        value = load(source, begin + j, width)
        store(row, j, value)
        least = cells.smaller(least, value)
    lowest = fold_min(least, buffer, width)
    for j in range(whole, states):
        row[j] = source[begin + j]
        lowest = min(lowest, row[j])
    for j in range(states, wide):
        row[j] = math.inf
    return lowest


@njit(**LEAF)
def scale_row(source, begin, wide, factor, floor, out, out_at, width):
    """``out = source * factor``, with what is below ``floor`` set to 0."""
    lanes = len(width)
    by = splat(factor, out, width)
    smallest = splat(floor, out, width)
    zero = zero_like(by)
    for j in range(0, wide, lanes):
        value = load(source, begin + j, width) * by
        store(out, out_at + j, where_less(value, smallest, zero, value))
