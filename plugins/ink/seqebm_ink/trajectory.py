"""Numba kernels of the front-end ``pen``: resampling, features along the pen's way, context."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

LIFT = 2.0  # the way through the air counts as so much shorter
SMALLEST = 1e-9


@njit(cache=True)
def delayed(x, y, stroke, reach):
    """Which points belong to delayed strokes: dots and bars added after going on.

    A stroke is delayed if its middle is left of the rightmost ink before it by more than
    ``reach`` and it is neither wide nor tall, or if it has hardly any extent and is above the
    x-height.

    Args:
        x, y: ``(N,)`` positions with y = 0 at the base line.
        stroke: ``(N,)``.
        reach: half the x-height.

    Returns bool ``(N,)``.
    """
    count = len(x)
    out = np.zeros(count, np.bool_)
    start, rightmost = 0, -np.inf
    while start < count:
        stop = start + 1
        while stop < count and stroke[stop] == stroke[start]:
            stop += 1
        left, right = x[start:stop].min(), x[start:stop].max()
        low, high = y[start:stop].min(), y[start:stop].max()
        back = (left + right) / 2 < rightmost - reach and right - left < 5 * reach
        back = back and high - low < 2.6 * reach  # the stem of a t is a letter's body
        dot = high - low < 0.6 * reach and right - left < 0.8 * reach and low > 2 * reach
        if start > 0 and (back or dot):
            out[start:stop] = True
        else:
            rightmost = max(rightmost, right)
        start = stop
    return out


@njit(cache=True)
def way(x, y, stroke):
    """``(N,)`` length of the pen's way up to each point; through the air it counts less."""
    length = np.zeros(len(x))
    for i in range(1, len(x)):
        piece = math.hypot(x[i] - x[i - 1], y[i] - y[i - 1])
        length[i] = length[i - 1] + (piece if stroke[i] == stroke[i - 1] else piece / LIFT)
    return length


@njit(cache=True)
def steps(total, step, least, most):
    """How many frames a way of length ``total`` gets, and how far they are apart."""
    count = int(total / step + 0.5) + 1
    count = min(max(count, least), most)
    return count, (total / (count - 1) if count > 1 else 0.0)


@njit(cache=True)
def resample(x, y, stroke, length, count, step):
    """Positions at equal distances along the way: x, y, pen down (1 or 0), each ``(count,)``."""
    px, py, pen = np.empty(count), np.empty(count), np.empty(count)
    i = 0
    last = len(x) - 1
    for t in range(count):
        wanted = min(t * step, length[last])
        while i < last and length[i + 1] < wanted:
            i += 1
        j = min(i + 1, last)
        piece = length[j] - length[i]
        share = (wanted - length[i]) / piece if piece > 0 else 0.0
        px[t] = x[i] + share * (x[j] - x[i])
        py[t] = y[i] + share * (y[j] - y[i])
        pen[t] = 1.0 if stroke[i] == stroke[j] or share <= 0 or share >= 1 else 0.0
    return px, py, pen


@njit(cache=True)
def describe(px, py, pen, out):
    """Write direction, curvature and pen state of each frame: ``out`` is ``(T, 5)``.

    Direction is that from the frame before to the frame after (cosine, sine); curvature is the
    turn from there to here against from here to there, two frames each way (cosine, sine).
    """
    last = len(px) - 1
    for t in range(last + 1):
        a, b = max(t - 1, 0), min(t + 1, last)
        dx, dy = px[b] - px[a], py[b] - py[a]
        norm = math.hypot(dx, dy) + SMALLEST
        out[t, 0], out[t, 1] = dx / norm, dy / norm
        a, b = max(t - 2, 0), min(t + 2, last)
        ax, ay, bx, by = px[t] - px[a], py[t] - py[a], px[b] - px[t], py[b] - py[t]
        norm = math.hypot(ax, ay) * math.hypot(bx, by)
        if norm > SMALLEST:
            out[t, 2] = (ax * bx + ay * by) / norm - 1
            out[t, 3] = (ax * by - ay * bx) / norm
        out[t, 4] = pen[t]


@njit(cache=True)
def raster(x, y, stroke, left, low, width, height, columns, rows):
    """Length of ink in cells ``width`` x ``height``: ``(columns, rows)``, in cell heights.

    Strokes are walked in short steps whose length is shared, by bilinear weights, among the four
    nearest cells; each stroke adds at least half a cell, so that a dot is not lost.
    """
    image = np.zeros((columns, rows))
    start = 0
    while start < len(x):
        stop = start + 1
        while stop < len(x) and stroke[stop] == stroke[start]:
            stop += 1
        total = 0.0
        for i in range(start + 1, stop):
            piece = math.hypot(x[i] - x[i - 1], y[i] - y[i - 1])
            total += piece
            count = min(1 + int(2 * piece / min(width, height)), 10_000)
            for k in range(count):
                share = (k + 0.5) / count
                _splat(
                    image,
                    (x[i - 1] + share * (x[i] - x[i - 1]) - left) / width - 0.5,
                    (y[i - 1] + share * (y[i] - y[i - 1]) - low) / height - 0.5,
                    piece / count / height,
                )
        if total < 0.5 * height:
            _splat(
                image,
                (x[start:stop].mean() - left) / width - 0.5,
                (y[start:stop].mean() - low) / height - 0.5,
                0.5 - total / height,
            )
        start = stop
    return image


@njit(cache=True)
def _splat(image, column, row, amount):
    i, j = math.floor(column), math.floor(row)
    for a in range(i, i + 2):
        for b in range(j, j + 2):
            if 0 <= a < image.shape[0] and 0 <= b < image.shape[1]:
                image[a, b] += amount * (1 - abs(column - a)) * (1 - abs(row - b))


@njit(cache=True)
def context(image, px, left, width, columns, out):
    """Copy what lies around each frame: ``columns`` columns of the raster, centred on it.

    ``out`` is ``(T, columns * rows)``; values are squashed to [0, 1).
    """
    count, rows = image.shape
    for t in range(len(px)):
        centre = (px[t] - left) / width - 0.5
        for c in range(columns):
            at = centre + c - (columns - 1) / 2
            i = math.floor(at)
            share = at - i
            for r in range(rows):
                value = 0.0
                if 0 <= i < count:
                    value += (1 - share) * image[i, r]
                if 0 <= i + 1 < count:
                    value += share * image[i + 1, r]
                out[t, c * rows + r] = math.tanh(value)
