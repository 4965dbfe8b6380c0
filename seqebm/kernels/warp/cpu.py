"""CPU back end: from strided NumPy tables and features to the compiled kernels.

Nothing here checks values; :mod:`seqebm.kernels.warp.ops` does. Arrays come in as NumPy views of
tensors, float32 or float64, and indices are 64-bit throughout, so tables cannot overflow them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqebm.kernels.machine.checks import kernel_beta
from seqebm.kernels.machine.jit import LANES, WIDTH
from seqebm.kernels.machine.threads import launch, threads_for, workspace
from seqebm.kernels.warp.cpu_features import BLOCK, features_worker, pack_templates
from seqebm.kernels.warp.cpu_paths import paths_worker
from seqebm.kernels.warp.cpu_tables import tables_worker

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rules:
    """What constrains a path, as plain numbers: flattened steps and window limits.

    Attributes:
        steps: (di, dj, weight, penalty) of each step, one after the other.
        band, slope: see :func:`seqebm.kernels.warp.patterns.row_limits`; inf for none.
    """

    steps: tuple[float, ...]
    band: float
    slope: float

    def arrays(self, dtype: np.dtype) -> tuple[Ints, Ints, Floats, Floats]:
        """(di, dj, weight, penalty), each (K,)."""
        table = np.array(self.steps, np.float64).reshape(-1, 4)
        di, dj = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
        return di, dj, table[:, 2].astype(dtype), table[:, 3].astype(dtype)


def _flat(array: Floats) -> Floats:
    """1-D view of the memory of a dense array, whatever the order of its strides."""
    return np.lib.stride_tricks.as_strided(array, (array.size,), (array.itemsize,))


def _strides(array: Floats) -> list[int]:
    return [s // array.itemsize for s in array.strides]


def free_energies(
    local: Floats, t_lengths: Ints, l_lengths: Ints, beta: float, rules: Rules,
    gradient: Floats | None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
    """Free energy of each pair from its table of local energies.

    Args:
        local: (N, M, T, L) dense in any order of strides. Fastest when M is the innermost, as the
            lanes then are contiguous.
        t_lengths, l_lengths: (N, M).
        gradient: None, or an array of the shape and strides of ``local`` to write gradients to; it
            may be ``local`` itself.

    Returns:
        energies (N, M) and, of the same shape, whether a valid local energy is NaN or -inf.
    """
    N, M, T, L = local.shape
    n_stride, m_stride, t_stride, l_stride = _strides(local)
    energies = np.empty((N, M), np.float64)
    bad = np.zeros(N * M, local.dtype)
    if N * M == 0:
        return energies, bad.reshape(N, M) > 0
    offsets = (np.arange(N)[:, None] * n_stride + np.arange(M)[None, :] * m_stride).ravel()
    ts, ls = t_lengths.ravel(), l_lengths.ravel()
    if m_stride == 1 and M > 1:
        groups = -(-M // LANES)
        order = np.full((N, groups * LANES), -1)
        order[:, :M] = np.arange(N * M).reshape(N, M)
    else:
        # Pairs of like size share a group, so that few lanes idle; the largest groups go first.
        order = np.full(-(-N * M // LANES) * LANES, -1)
        order[: N * M] = np.lexsort((-ls, -ts))
    order = order.reshape(-1)
    groups = order.size // LANES
    steps = len(rules.steps) // 4
    beta = kernel_beta(beta, float(np.finfo(local.dtype).max))
    room = int(ts.max()) * int(ls.max()) * steps * LANES * threads_for(groups)
    with workspace(0 if gradient is None else room, local.dtype) as scratch:
        launch(
            tables_worker, groups, _flat(local), offsets, t_stride, l_stride, T, L,
            order, ts, ls, *rules.arrays(local.dtype), beta, rules.band, rules.slope,
            energies.reshape(-1), bad, gradient is not None,
            _flat(local if gradient is None else gradient), scratch, WIDTH,
        )  # fmt: skip
    return energies, bad.reshape(N, M) > 0


def free_energies_of_features(
    x: Floats, x_lengths: Ints, y: Floats, y_lengths: Ints, beta: float, rules: Rules
) -> NDArray[np.float64]:
    """Free energy (B, M) of every input against every template, with squared distances.

    Args:
        x: (B, T, D) C-contiguous; x_lengths: (B,).
        y: (M, L, D) C-contiguous; y_lengths: (M,).
    """
    B, T, D = x.shape
    M, L, _ = y.shape
    energies = np.empty((B, M), np.float64)
    if B * M == 0:
        return energies
    order = np.argsort(-y_lengths, kind="stable")
    longest = y_lengths[order][::LANES]
    starts = np.concatenate(([0], np.cumsum(longest * D * LANES))).astype(np.int64)
    packed = np.empty(starts[-1], y.dtype)
    offsets = np.arange(M) * (L * D)
    pack_templates(y.reshape(-1), offsets, D, order, y_lengths, starts, packed, WIDTH)
    # The last block of an input reads past its end: harmless between inputs, not after the last.
    spare = np.zeros((BLOCK - 1) * D, x.dtype)
    beta = kernel_beta(beta, float(np.finfo(x.dtype).max))
    launch(
        features_worker, B * longest.size,
        np.concatenate((x.reshape(-1), spare)), np.arange(B) * (T * D), x_lengths, D, packed,
        starts, order, y_lengths, *rules.arrays(x.dtype), beta, rules.band, rules.slope,
        energies, WIDTH,
    )  # fmt: skip
    return energies


def best_paths(
    local: Floats, t_lengths: Ints, l_lengths: Ints, rules: Rules
) -> tuple[NDArray[np.float64], list[Ints]]:
    """Least energies (P,) and paths, each (n, 2) int64, from tables (P, T, L) of any strides."""
    P, T, L = local.shape
    p_stride, t_stride, l_stride = _strides(local)
    energies = np.empty(P, np.float64)
    paths = np.empty((P, T + L - 1, 2), np.int64)
    counts = np.empty(P, np.int64)
    launch(
        paths_worker, P, _flat(local), np.arange(P) * p_stride, t_stride, l_stride,
        t_lengths, l_lengths, *rules.arrays(np.dtype(np.float64)), rules.band, rules.slope,
        energies, paths, counts, WIDTH,
    )  # fmt: skip
    return energies, [p[p.shape[0] - n :].copy() for p, n in zip(paths, counts, strict=True)]
