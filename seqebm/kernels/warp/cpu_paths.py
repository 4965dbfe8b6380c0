"""CPU kernel: the best warping path of each pair, one pair to a thread, in float64."""

from __future__ import annotations

import math

import numpy as np

from seqebm.compiled import compiled
from seqebm.kernels.machine import cells
from seqebm.kernels.machine.jit import JIT, take
from seqebm.kernels.machine.lanes import candidate
from seqebm.kernels.warp.cpu_rows import row_limits


@compiled(**JIT)
def paths_worker(
    counter, flat, offsets, t_stride, l_stride, t_lengths, l_lengths, di, dj, weight, penalty,
    band, slope, energies, paths, counts, width,
):  # fmt: skip
    """Take pairs until none is left. ``width`` serves as the fingerprint of the sources only.

    Args:
        counter: (1,) int64, the next pair.
        flat, offsets, t_stride, l_stride: see :func:`seqebm.kernels.warp.cpu_tables.tables_worker`.
        energies: (P,) float64, written; +inf when no path exists.
        paths: (P, longest, 2) int64: written *from the end backwards*, cells (i, j).
        counts: (P,) int64: written: cells of the path, 0 when there is none.
    """
    pairs = t_lengths.size
    steps = di.size
    while True:
        p = take(counter)
        if p >= pairs:
            break
        T, L = t_lengths[p], l_lengths[p]
        table = np.full((T, L), math.inf)
        choices = np.zeros((T, L), np.uint8)
        for i in range(T):
            lo, hi = row_limits(i, T, L, band, slope)
            for j in range(lo, hi + 1):
                c = np.float64(flat[offsets[p] + i * t_stride + j * l_stride])
                best = math.inf
                if i == 0 and j == 0:
                    best = c
                else:
                    for k in range(steps):
                        if i >= di[k] and j >= dj[k]:
                            before = table[i - di[k], j - dj[k]]
                            e = candidate(before, c, weight[k], penalty[k])
                            if e < best:
                                choices[i, j] = k
                            best = cells.smaller(best, e)
                table[i, j] = best
        energies[p] = table[T - 1, L - 1]
        counts[p] = 0
        if energies[p] == math.inf:
            continue
        i, j = T - 1, L - 1
        place = paths.shape[1]
        while True:
            place -= 1
            paths[p, place, 0] = i
            paths[p, place, 1] = j
            if i == 0 and j == 0:
                break
            k = choices[i, j]
            i -= di[k]
            j -= dj[k]
        counts[p] = paths.shape[1] - place
