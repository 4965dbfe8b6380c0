"""What is measured: for each row the data, and for each contender how to do the job.

A contender's function imports its package, prepares its own data format, and returns a function of
no arguments that does the job once and returns the result as an array. Only that is timed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from tools.bench import chain_jobs, graph_jobs
from tools.bench.devices import on_cuda

Array = NDArray[np.floating]
Job = Callable[[], Array]
#: Every contender may use this many threads; ``--threads`` sets it.
THREADS = int(os.environ.get("SEQEBM_BENCH_THREADS", "2"))


def _ragged(rng: np.random.Generator, count: int, shortest: int, longest: int, features: int):
    lengths = rng.integers(shortest, longest + 1, count)
    return rng.normal(size=(count, longest, features)).astype(np.float32), lengths


def _matrix_data():
    rng = np.random.default_rng(0)
    return *_ragged(rng, 64, 60, 100, 26), *_ragged(rng, 200, 60, 100, 26)


def matrix_seqebm(dtype=torch.float32) -> Job:
    """Least energies, 64 inputs x 200 templates, symmetric1, squared distances."""
    from seqebm.kernels import ops

    x, xl, y, yl = (torch.from_numpy(a) for a in _matrix_data())
    x, y = x.to(dtype), y.to(dtype)
    return lambda: ops.warp_matrix(x, xl, y, yl, math.inf, "symmetric1").numpy()


def matrix_dtaidistance() -> Job:
    """C with OpenMP, on the block of inputs x templates; squared, as it returns the root."""
    from dtaidistance import dtw_ndim

    x, xl, y, yl = _matrix_data()
    series = [
        s[:n].astype(np.float64) for a, ls in ((x, xl), (y, yl)) for s, n in zip(a, ls, strict=True)
    ]
    block = ((0, len(x)), (len(x), len(x) + len(y)))

    def run() -> Array:
        flat = dtw_ndim.distance_matrix_fast(series, block=block, compact=True, parallel=True)
        return np.asarray(flat).reshape(len(x), len(y)) ** 2

    return run


def matrix_aeon() -> Job:
    """Numba; the sum of squared distances, channels first."""
    from aeon.distances import pairwise_distance

    x, xl, y, yl = _matrix_data()
    one, two = (
        [np.ascontiguousarray(s[:n].T, np.float64) for s, n in zip(a, ls, strict=True)]
        for a, ls in ((x, xl), (y, yl))
    )
    return lambda: pairwise_distance(one, two, method="dtw", n_jobs=THREADS)


def matrix_tslearn() -> Job:
    """Numba and joblib; squared, as it returns the root."""
    from tslearn.metrics import cdist_dtw
    from tslearn.utils import to_time_series_dataset

    x, xl, y, yl = _matrix_data()
    one, two = (
        to_time_series_dataset([s[:n].astype(np.float64) for s, n in zip(a, ls, strict=True)])
        for a, ls in ((x, xl), (y, yl))
    )
    return lambda: cdist_dtw(one, two, n_jobs=THREADS) ** 2


def _softdtw_data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(32, 200, 40)).astype(np.float32)
    return x, rng.normal(size=(32, 180, 40)).astype(np.float32)


def softdtw_seqebm(dtype=torch.float32, device: str = "cpu") -> Job:
    """Soft-DTW, gamma 1, forward and backward to x; the result is the gradient."""
    from seqebm.kernels import ops

    x, y = (torch.from_numpy(a).to(device, dtype) for a in _softdtw_data())
    x.requires_grad_()
    xl, yl = torch.full((len(x),), x.shape[1]), torch.full((len(y),), y.shape[1])

    def run() -> Array:
        energies = ops.warp_pairs(x, xl, y, yl, 1.0, "symmetric1")
        return torch.autograd.grad(energies.sum(), x)[0].cpu().numpy()

    return run


def softdtw_pysdtw(device: str = "cpu") -> Job:
    """pysdtw."""
    import pysdtw

    x, y = (torch.from_numpy(a).to(device) for a in _softdtw_data())
    x.requires_grad_()
    function = pysdtw.SoftDTW(
        gamma=1.0, dist_func=pysdtw.distance.pairwise_l2_squared, use_cuda=device == "cuda"
    )
    return lambda: torch.autograd.grad(function(x, y).sum(), x)[0].cpu().numpy()


def softdtw_tslearn() -> Job:
    """tslearn's loss for PyTorch."""
    from tslearn.metrics import SoftDTWLossPyTorch

    x, y = (torch.from_numpy(a) for a in _softdtw_data())
    x.requires_grad_()
    function = SoftDTWLossPyTorch(gamma=1.0)
    return lambda: torch.autograd.grad(function(x, y).sum(), x)[0].numpy()


def _recogniser_data(features: int = 64):
    rng = np.random.default_rng(2)
    return *_ragged(rng, 64, 20, 60, features), *_ragged(rng, 30, 8, 12, features)


def recogniser_seqebm(dtype=torch.float32, device: str = "cpu") -> Job:
    """64 inputs x 30 templates, asymmetric, forward and backward to both."""
    from seqebm.kernels import ops

    x, xl, y, yl = (torch.from_numpy(a) for a in _recogniser_data())
    x, y = x.to(device, dtype).requires_grad_(), y.to(device, dtype).requires_grad_()

    def run() -> Array:
        energies = ops.warp_matrix(x, xl, y, yl, 1.0, "asymmetric")
        return torch.autograd.grad(energies.sum(), (x, y))[1].cpu().numpy()

    return run


def recogniser_matmul() -> Job:
    """No peer but a floor: only the three matmuls that any such layer must do."""
    x, _, y, _ = (torch.from_numpy(a) for a in _recogniser_data())
    u, v = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])

    def run() -> Array:
        table = u @ v.T
        return torch.cat((table @ v, table.T @ u)).numpy()

    return run


def _paths_data():
    rng = np.random.default_rng(3)
    return rng.random((20, 200, 150))


def paths_seqebm(dtype=torch.float64) -> Job:
    """Best paths of 20 tables of 200 x 150, asymmetric."""
    from seqebm.kernels import ops

    local = torch.from_numpy(_paths_data()).to(dtype)
    ts, ls = torch.full((20,), 200), torch.full((20,), 150)
    return lambda: ops.warp_best_path(local, ts, ls, "asymmetric")[0].numpy()


def paths_dtw_python() -> Job:
    """dtw-python, one table after the other."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):  # it prints a greeting
        import dtw

    tables = _paths_data()
    return lambda: np.array([dtw.dtw(t, step_pattern="asymmetric").distance for t in tables])


#: row: (title, {contender: job}); ours is "seqebm", and a name in brackets is a floor, not a peer.
ROWS: dict[str, tuple[str, dict[str, Callable[[], Job]]]] = {
    "matrix": (
        "DTW matrix 64 x 200, lengths 60-100, D 26",
        {
            "seqebm": matrix_seqebm,
            "dtaidistance": matrix_dtaidistance,
            "aeon": matrix_aeon,
            "tslearn": matrix_tslearn,
        },
    ),
    "softdtw": (
        "soft-DTW forward + backward, B 32, 200 x 180, D 40",
        {
            "seqebm": softdtw_seqebm,
            "pysdtw": softdtw_pysdtw,
            "tslearn": softdtw_tslearn,
            "seqebm on CUDA": on_cuda(softdtw_seqebm),
            "pysdtw on CUDA": on_cuda(softdtw_pysdtw),
        },
    ),
    "recogniser": (
        "templates forward + backward, 64 x 30, T 20-60, L 8-12, D 64",
        {
            "seqebm": recogniser_seqebm,
            "(matmuls only)": recogniser_matmul,
            "seqebm on CUDA": on_cuda(recogniser_seqebm),
        },
    ),
    "paths": (
        "best paths of 20 tables 200 x 150",
        {"seqebm": paths_seqebm, "dtw-python": paths_dtw_python},
    ),
}

ROWS |= chain_jobs.ROWS | graph_jobs.ROWS


def exact(row: str) -> Array:
    """The result of a row in float64, which every contender is compared with."""
    return ROWS[row][1]["seqebm"](torch.float64)()  # type: ignore[call-arg]
