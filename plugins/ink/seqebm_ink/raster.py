"""Numba kernel that draws pen trajectories as planes of local features."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

STEP = 0.25  # rows between two samples of the trajectory, at most
_TANGENT = 3  # samples to either side between which the direction is taken
_TURN = 6  # samples to either side between whose chords the turn is taken
_MOST = 200_000  # samples of a stroke; a scribble that is longer is walked in longer steps


@njit(cache=True)
def draw(x, y, stroke, directions, curvature, image):
    """Add the trajectory of a pen to an image of feature planes.

    Each stroke is walked in steps of equal length, at most :data:`STEP`. A step adds its length,
    by bilinear weights, to the four pixels around it: shared between the two direction planes
    next to its own direction (Bai & Huo 2005, "A study on the use of 8-directional features for
    online handwritten Chinese character recognition"), and, times its turn, to the plane of
    curvature. A stroke shorter than 1 pixel is made up to length 1 by a dot without direction, so
    that the dot of an i is not lost. Steps off the image are left out.

    Args:
        x, y: ``(N,)`` float64 columns and rows (downwards); integers are the centres of pixels.
        stroke: ``(N,)`` number of the stroke of each point, never falling.
        directions: 4 planes: to the right or left, up-right or down-left, ...; 8: each by itself.
        curvature: whether there is another plane: the mean turn of the ink, 1 for a right angle
            within 3 pixels or more, times the ink there, which counts up to length 1.
        image: ``(T, planes, H)`` float32 zeros, written to; values are in [0, 1].
    """
    width, _, height = image.shape
    ink = np.zeros((width, height), np.float32)
    start = 0
    while start < len(x):
        stop = start + 1
        while stop < len(x) and stroke[stop] == stroke[start]:
            stop += 1
        _draw_stroke(x[start:stop], y[start:stop], directions, curvature, image, ink)
        start = stop
    for t in range(width):
        for h in range(height):
            if ink[t, h] > 0:
                for d in range(directions):
                    image[t, d, h] = min(image[t, d, h], np.float32(1))
                if curvature:
                    image[t, directions, h] *= min(ink[t, h], np.float32(1)) / ink[t, h]


@njit(cache=True)
def _draw_stroke(x, y, directions, curvature, image, ink):
    length = 0.0
    for i in range(1, len(x)):
        length += math.hypot(x[i] - x[i - 1], y[i] - y[i - 1])
    count = math.ceil(min(length / STEP, _MOST))
    step = length / count if count else 0.0
    px, py = _samples(x, y, step, count)
    weights = np.empty(directions, np.float64)
    for i in range(count):
        before, after = max(i - _TANGENT, 0), min(i + _TANGENT, count - 1)
        _share(px[after] - px[before], py[before] - py[after], weights)
        turn = 0.0
        if curvature and _TURN <= i < count - _TURN:
            turn = _turn(px, py, i)
        _splat(px[i], py[i], step, weights, turn, curvature, image, ink)
    if length < 1:
        weights[:] = 1 / directions
        _splat(x.mean(), y.mean(), 1 - length, weights, 1.0, curvature, image, ink)


@njit(cache=True)
def _samples(x, y, step, count):
    """The middles of ``count`` steps of length ``step`` along a polyline."""
    px, py = np.empty(count), np.empty(count)
    i, passed = 0, 0.0  # segment from point i, and the length before it
    for k in range(count):
        wanted = (k + 0.5) * step
        segment = math.hypot(x[i + 1] - x[i], y[i + 1] - y[i])
        while passed + segment < wanted and i + 2 < len(x):
            passed += segment
            i += 1
            segment = math.hypot(x[i + 1] - x[i], y[i + 1] - y[i])
        share = min((wanted - passed) / segment, 1.0) if segment > 0 else 0.0
        px[k] = x[i] + share * (x[i + 1] - x[i])
        py[k] = y[i] + share * (y[i + 1] - y[i])
    return px, py


@njit(cache=True)
def _share(dx, dy, weights):
    """Weights, of sum 1, of the directions next to ``(dx, dy)``, y upwards."""
    count = len(weights)
    if dx == 0 and dy == 0:
        weights[:] = 1 / count
        return
    place = math.atan2(dy, dx) * 4 / math.pi  # in (-4, 4], eighths of a turn
    low = math.floor(place)
    weights[:] = 0.0
    weights[int(low) % count] = 1 - (place - low)
    weights[int(low + 1) % count] += place - low


@njit(cache=True)
def _turn(px, py, i):
    """Angle between the chords before and after sample i, 1 for a right angle or more."""
    ax, ay = px[i] - px[i - _TURN], py[i] - py[i - _TURN]
    bx, by = px[i + _TURN] - px[i], py[i + _TURN] - py[i]
    angle = abs(math.atan2(ax * by - ay * bx, ax * bx + ay * by))
    return min(angle * 2 / math.pi, 1.0)


@njit(cache=True)
def _splat(x, y, amount, weights, turn, curvature, image, ink):
    if not (-1 < x < image.shape[0] and -1 < y < image.shape[2]):
        return
    left, top = math.floor(x), math.floor(y)
    for t in range(left, left + 2):
        for h in range(top, top + 2):
            if 0 <= t < image.shape[0] and 0 <= h < image.shape[2]:
                share = amount * (1 - abs(x - t)) * (1 - abs(y - h))
                ink[t, h] += share
                for d in range(len(weights)):
                    image[t, d, h] += share * weights[d]
                if curvature:
                    image[t, len(weights), h] += share * turn
