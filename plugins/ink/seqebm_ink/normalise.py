"""Numba kernels that find the size, slope and slant of ink, so that front-ends can undo them."""

from __future__ import annotations

import numpy as np
from numba import njit

_ROUNDS = 8  # of expectation and maximisation; the lines hardly move after five
_SPREAD = 0.18  # standard deviation of extrema around their line, as a share of the body
_FLATTEST = 0.12  # the body is at least this share of the whole height of the ink
_STEEPEST = 0.35  # slope of the lines, at most
_MOST_SLANT = 1.0  # shear, at most: 45 degrees


@njit(cache=True)
def box(x, y):
    """Centre and size of ink: ``(N,)`` x, y -> centre x, centre y, size (1 if it has none).

    The size is that of the longer side of the bounding box.
    """
    left, right, low, high = x.min(), x.max(), y.min(), y.max()
    size = max(right - left, high - low)
    return (left + right) / 2, (low + high) / 2, size if size > 0 else 1.0


@njit(cache=True)
def slant(x, y, stroke):
    """Shear of the downstrokes: x per unit of y, 0 for upright writing.

    Least squares over the steep downward pieces of all strokes; in [-1, 1].
    """
    top = bottom = 0.0
    for i in range(1, len(x)):
        if stroke[i] != stroke[i - 1]:
            continue
        dx, dy = x[i] - x[i - 1], y[i] - y[i - 1]
        if dy < 0 and -dy > 0.8 * abs(dx):
            top += dx * dy
            bottom += dy * dy
    if bottom == 0:
        return 0.0
    return min(max(top / bottom, -_MOST_SLANT), _MOST_SLANT)


@njit(cache=True)
def reference_lines(x, y, stroke):
    """Base line and core line (x-height) of a word: slope, base, core at x = 0.

    Four parallel lines are fitted to the extrema of the pen's height by expectation and
    maximisation: minima lie on the descender line or the base line, maxima on the core line or
    the ascender line, or anywhere (Bengio & LeCun 1994, "Word normalization for on-line
    handwritten word recognition", who fit parabolas). The start is the densest band of ink;
    distances between the lines are held near those of handwriting by a weak prior.

    Args:
        x, y: ``(N,)`` float64 positions, y upwards.
        stroke: ``(N,)`` stroke of each point.
    """
    low, high = y.min(), y.max()
    height = high - low
    if height <= 0:
        return 0.0, low, low + 1.0
    base, core = _densest_band(y, x, stroke, low, height)
    ex, ey, kind = _extrema(x, y, stroke, 0.08 * height)
    middle = (x.min() + x.max()) / 2
    body = max(core - base, _FLATTEST * height)
    slope = 0.0
    lines = np.array([base - 0.8 * body, base, base + body, base + 1.9 * body])
    for _ in range(_ROUNDS):
        body = max(lines[2] - lines[1], _FLATTEST * height)
        # Normal equations of the slope and the four heights. The prior counts as a few extrema.
        a = np.zeros((5, 5))
        b = np.zeros(5)
        prior = np.array([lines[1] - 0.8 * body, base, core, lines[2] + 0.9 * body])
        weight = np.array([0.5, 0.7, 0.7, 0.5])
        for j in range(4):
            a[1 + j, 1 + j] += weight[j]
            b[1 + j] += weight[j] * prior[j]
        width = x.max() - x.min()
        a[0, 0] += 1e-6 + 0.3 * width * width  # level writing is likelier
        for i in range(len(ex)):
            first = 0 if kind[i] < 0 else 2
            away = ex[i] - middle
            p = np.empty(2)
            for j in range(2):
                z = (ey[i] - slope * away - lines[first + j]) / (_SPREAD * body)
                # Short words may have neither ascenders nor descenders: the inner lines lead.
                outer = j == (0 if first == 0 else 1)
                p[j] = np.exp(-0.5 * z * z) * (0.3 if outer else 0.7)
            total = p[0] + p[1] + 0.02
            for j in range(2):
                r = p[j] / total
                k = 1 + first + j
                a[0, 0] += r * away * away
                a[0, k] += r * away
                a[k, 0] += r * away
                a[k, k] += r
                b[0] += r * away * ey[i]
                b[k] += r * ey[i]
        solution = np.linalg.solve(a, b)
        slope = min(max(solution[0], -_STEEPEST), _STEEPEST)
        lines = solution[1:].copy()
        if lines[2] - lines[1] < _FLATTEST * height:
            lines[2] = lines[1] + _FLATTEST * height
    return slope, lines[1] - slope * middle, lines[2] - slope * middle


@njit(cache=True)
def _densest_band(y, x, stroke, low, height):
    """The narrowest band that holds 60 % of the ink's length."""
    bins = 40
    ink = np.zeros(bins)
    for i in range(1, len(y)):
        if stroke[i] == stroke[i - 1]:
            length = np.hypot(x[i] - x[i - 1], y[i] - y[i - 1])
            pieces = 1 + int(abs(y[i] - y[i - 1]) / height * bins)
            for k in range(pieces):
                at = y[i - 1] + (y[i] - y[i - 1]) * (k + 0.5) / pieces
                ink[min(int((at - low) / height * bins), bins - 1)] += length / pieces
    total = ink.sum()
    if total <= 0:
        return low, low + height
    best_first, best_stop = 0, bins
    for first in range(bins):
        held = 0.0
        for stop in range(first + 1, bins + 1):
            held += ink[stop - 1]
            if held >= 0.6 * total:
                if stop - first < best_stop - best_first:
                    best_first, best_stop = first, stop
                break
    return low + best_first * height / bins, low + best_stop * height / bins


@njit(cache=True)
def _extrema(x, y, stroke, least):
    """Local extrema of y within strokes that rise or fall by ``least`` between: x, y, kind.

    ``kind`` is -1 for a minimum and 1 for a maximum.
    """
    count = len(y)
    ex, ey, kind = np.empty(count), np.empty(count), np.empty(count, np.int64)
    found = 0
    start = 0
    while start < count:
        stop = start + 1
        while stop < count and stroke[stop] == stroke[start]:
            stop += 1
        low = high = start
        going = 0  # 1: rising, -1: falling
        for i in range(start, stop):
            if y[i] > y[high]:
                high = i
            if y[i] < y[low]:
                low = i
            if going >= 0 and y[high] - y[i] > least:
                ex[found], ey[found], kind[found] = x[high], y[high], 1
                found += 1
                going, low = -1, i
            elif going <= 0 and y[i] - y[low] > least:
                ex[found], ey[found], kind[found] = x[low], y[low], -1
                found += 1
                going, high = 1, i
        if going != 0:
            last = high if going > 0 else low
            ex[found], ey[found], kind[found] = x[last], y[last], going
            found += 1
        start = stop
    return ex[:found], ey[:found], kind[:found]
