"""Random distortions of handwriting, in coordinates in which letters have size 1."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from seqebm_ink.ink import Floats
from seqebm_ink.options import InkAugmentOptions

_WAVES = 3  # of the elastic distortion


class Distortion(NamedTuple):
    """How one ink is distorted.

    Attributes:
        matrix: ``(2, 2)`` linear map of positions.
        shift: ``(2,)`` added to them.
        waves: ``(3, 2, 4)``: amplitude, frequency along x and y (radians per unit), phase, of
            waves that are added to x and to y.
        jitter: ``(2,)`` standard deviation of a shift of each whole stroke, and its seed.
        pace: factor of the distance between frames.
        reverse: probability that a stroke is written from its end.
        reorder: whether the strokes are written in random order.
    """

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]
    waves: NDArray[np.float64]
    jitter: NDArray[np.float64]
    pace: float
    reverse: float
    reorder: bool


def draw(options: InkAugmentOptions, count: int) -> list[Distortion]:
    """``count`` random distortions, from torch's global generator."""
    u = (torch.rand(count, 8, dtype=torch.float64) * 2 - 1).numpy()
    waves = torch.rand(count, _WAVES, 2, 4, dtype=torch.float64).numpy()
    waves[..., 0] = (waves[..., 0] * 2 - 1) * options.elastic / math.sqrt(_WAVES)
    waves[..., 1:3] = (waves[..., 1:3] * 2 - 1) * 2 * math.pi * options.frequency
    waves[..., 3] *= 2 * math.pi
    seeds = torch.randint(2**31, (count,)).numpy()
    found = []
    for i in range(count):
        wide = math.exp(u[i, 0] * options.width)
        tall = math.exp(u[i, 1] * options.height)
        turn = math.radians(u[i, 2] * options.rotation)
        turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        sheared = np.array([[wide, u[i, 3] * options.shear], [0.0, tall]])
        found.append(
            Distortion(
                turned @ sheared,
                u[i, 4:6] * options.shift,
                waves[i],
                np.array([options.jitter, seeds[i]]),
                math.exp(u[i, 6] * options.pace),
                options.reverse,
                bool(u[i, 7] < 2 * options.reorder - 1),
            )
        )
    return found


def apply(
    x: Floats, y: Floats, stroke: Floats, distortion: Distortion
) -> tuple[Floats, Floats, Floats]:
    """Distorted ``(N,)`` x, y and stroke: other positions, and perhaps another order of points."""
    d = distortion
    if d.reverse or d.reorder:
        x, y, stroke = _rewritten(x, y, stroke, int(d.jitter[1]), d.reverse, d.reorder)
    return (*_apply(x, y, stroke, d.matrix, d.shift, d.waves, d.jitter), stroke)


def _rewritten(
    x: Floats, y: Floats, stroke: Floats, seed: int, reverse: float, reorder: bool
) -> tuple[Floats, Floats, Floats]:
    """The same ink, some strokes written from their end, and perhaps in another order."""
    rng = np.random.default_rng(seed)
    strokes = np.split(np.arange(len(x)), np.flatnonzero(np.diff(stroke)) + 1)
    if reorder:
        strokes = [strokes[i] for i in rng.permutation(len(strokes))]
    strokes = [s[::-1] if rng.random() < reverse else s for s in strokes]
    order = np.concatenate(strokes)
    number = np.repeat(np.arange(len(strokes), dtype=np.float64), [len(s) for s in strokes])
    return x[order], y[order], number


@njit(cache=True)
def _apply(x, y, stroke, matrix, shift, waves, jitter):
    ox, oy = np.empty(len(x)), np.empty(len(x))
    np.random.seed(int(jitter[1]))
    jx = jy = 0.0
    for i in range(len(x)):
        if jitter[0] > 0 and (i == 0 or stroke[i] != stroke[i - 1]):
            jx, jy = np.random.normal() * jitter[0], np.random.normal() * jitter[0]
        ax = matrix[0, 0] * x[i] + matrix[0, 1] * y[i] + shift[0] + jx
        ay = matrix[1, 0] * x[i] + matrix[1, 1] * y[i] + shift[1] + jy
        for w in range(len(waves)):
            ax += waves[w, 0, 0] * math.sin(
                waves[w, 0, 1] * x[i] + waves[w, 0, 2] * y[i] + waves[w, 0, 3]
            )
            ay += waves[w, 1, 0] * math.sin(
                waves[w, 1, 1] * x[i] + waves[w, 1, 2] * y[i] + waves[w, 1, 3]
            )
        ox[i], oy[i] = ax, ay
    return ox, oy
