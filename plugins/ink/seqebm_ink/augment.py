"""Random distortions of handwriting, in coordinates in which letters have size 1."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

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
    """

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]
    waves: NDArray[np.float64]
    jitter: NDArray[np.float64]
    pace: float


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
            )
        )
    return found


def apply(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    stroke: NDArray[np.float64],
    distortion: Distortion,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distorted ``(N,)`` x and y."""
    d = distortion
    return _apply(x, y, stroke, d.matrix, d.shift, d.waves, d.jitter)  # type: ignore[no-any-return]


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
