"""Specification of elastic matching: slow, obvious, float64 NumPy.

Every other kernel of this package is tested against this module, and this module against
:func:`enumerate_paths`, which lists each path of a small grid. Conventions: ``local`` is one
pair's (T, L) table of local energies c(i, j); i counts input frames, j template frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seqebm.kernels.machine.soft_minimum import soft_minimum
from seqebm.kernels.warp.patterns import StepPattern, Window

Table = NDArray[np.float64]
Path = list[tuple[int, int]]

METRICS = ("sqeuclidean", "cosine")


def local_energy(x: Table, y: Table, metric: str = "sqeuclidean") -> Table:
    """Local energies (T, L) of frames ``x`` (T, D) against frames ``y`` (L, D).

    "sqeuclidean" is ``|x - y|**2``; "cosine" is ``1 - cos(x, y)``, and a zero vector is at right
    angles to everything (energy 1, even against another zero vector).
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if metric == "sqeuclidean":
        return ((x[:, None, :] - y[None, :, :]) ** 2).sum(-1)
    if metric != "cosine":
        raise ValueError(f"metric {metric!r} is not one of {', '.join(METRICS)}")
    norms = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(y, axis=1)[None, :]
    cosines = np.divide(x @ y.T, norms, out=np.zeros_like(norms), where=norms > 0)
    return 1.0 - cosines


def _candidates(
    table: Table, local: Table, i: int, j: int, pattern: StepPattern
) -> list[tuple[float, int, int, float]]:
    """(energy, previous i, previous j, weight) of each step that stays on the grid."""
    found = []
    for di, dj, weight, penalty in pattern.steps:
        if i >= di and j >= dj:
            energy = table[i - di, j - dj] + weight * local[i, j] + penalty
            found.append((energy, i - di, j - dj, weight))
    return found


def _forward(local: Table, pattern: StepPattern, beta: float, window: Window) -> Table:
    T, L = local.shape
    table = np.full((T, L), np.inf)
    for i in range(T):
        lo, hi = window.lo_hi(i, T, L)
        for j in range(lo, hi + 1):
            if (i, j) == (0, 0):
                table[0, 0] = local[0, 0]
            else:
                steps = _candidates(table, local, i, j, pattern)
                table[i, j] = soft_minimum([e for e, _, _, _ in steps], beta)
    return table


def free_energy(
    local: Table, pattern: StepPattern, beta: float, window: Window | None = None
) -> float:
    """Free energy over all warping paths of one pair; +inf when there is none."""
    local = np.asarray(local, np.float64)
    return float(_forward(local, pattern, beta, window or Window())[-1, -1])


def posteriors(
    local: Table, pattern: StepPattern, beta: float, window: Window | None = None
) -> Table:
    """Gradient (T, L) of :func:`free_energy`: the expected step weight spent in each cell.

    At beta = inf it follows the best path; on a tie, the step listed first. Zero throughout when
    no path exists.
    """
    local = np.asarray(local, np.float64)
    table = _forward(local, pattern, beta, window or Window())
    T, L = local.shape
    gradient = np.zeros((T, L))
    if math.isinf(table[-1, -1]):
        return gradient
    visits = np.zeros((T, L))
    visits[-1, -1] = 1.0
    for i in reversed(range(T)):
        for j in reversed(range(L)):
            if (i, j) == (0, 0):
                gradient[0, 0] = visits[0, 0]
                continue
            if visits[i, j] == 0.0:
                continue
            steps = _candidates(table, local, i, j, pattern)
            best = min(range(len(steps)), key=lambda k: steps[k][0])
            for k, (energy, pi, pj, weight) in enumerate(steps):
                if math.isinf(beta):
                    share = float(k == best)
                else:
                    share = math.exp(-beta * (energy - table[i, j]))
                visits[pi, pj] += visits[i, j] * share
                gradient[i, j] += visits[i, j] * share * weight
    return gradient


def best_path(
    local: Table, pattern: StepPattern, window: Window | None = None
) -> tuple[float, Path]:
    """Least energy and its path as a list of (i, j); (inf, []) when no path exists."""
    local = np.asarray(local, np.float64)
    table = _forward(local, pattern, math.inf, window or Window())
    if math.isinf(table[-1, -1]):
        return math.inf, []
    i, j = local.shape[0] - 1, local.shape[1] - 1
    path = [(i, j)]
    while (i, j) != (0, 0):
        # min() keeps the first of equals: the step listed first wins a tie.
        _, i, j, _ = min(_candidates(table, local, i, j, pattern), key=lambda step: step[0])
        path.append((i, j))
    return float(table[-1, -1]), path[::-1]


def enumerate_paths(
    local: Table, pattern: StepPattern, window: Window | None = None
) -> Iterator[tuple[float, Path, Table]]:
    """Every path of a small grid: (energy, cells, step weight spent in each cell (T, L)).

    Brute force, for tests: the number of paths grows exponentially.
    """
    local = np.asarray(local, np.float64)
    window = window or Window()
    T, L = local.shape

    def inside(i: int, j: int) -> bool:
        if i >= T or j >= L:
            return False
        lo, hi = window.lo_hi(i, T, L)
        return lo <= j <= hi

    def extend(energy: float, path: Path, spent: Table) -> Iterator[tuple[float, Path, Table]]:
        i, j = path[-1]
        if (i, j) == (T - 1, L - 1):
            yield energy, path, spent
        for di, dj, weight, penalty in pattern.steps:
            ni, nj = i + di, j + dj
            if inside(ni, nj):
                more = spent.copy()
                more[ni, nj] += weight
                cost = weight * local[ni, nj] + penalty
                yield from extend(energy + cost, [*path, (ni, nj)], more)

    if inside(0, 0):
        start = np.zeros((T, L))
        start[0, 0] = 1.0
        yield from extend(float(local[0, 0]), [(0, 0)], start)
