"""Rows of elastic matching. See :mod:`tools.bench.row`."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import torch

from tools.bench.row import REAL, THREADS, Array, Job, Row, on_cuda


def _ragged(rng: np.random.Generator, count: int, shortest: int, longest: int, features: int):
    lengths = rng.integers(shortest, longest + 1, count)
    return rng.normal(size=(count, longest, features)).astype(np.float32), lengths


class Matrix:
    """Least energies of all inputs against all templates, symmetric1, squared distances."""

    def __init__(self, inputs: int, templates: int) -> None:
        self.inputs, self.templates = inputs, templates

    def _data(self):
        rng = np.random.default_rng(0)
        return *_ragged(rng, self.inputs, 60, 100, 26), *_ragged(rng, self.templates, 60, 100, 26)

    def seqebm(self, dtype=torch.float32) -> Job:
        """Ours."""
        from seqebm.kernels.warp import ops

        x, xl, y, yl = (torch.from_numpy(a) for a in self._data())
        x, y = x.to(dtype), y.to(dtype)
        return lambda: ops.matrix(x, xl, y, yl, math.inf, "symmetric1").numpy()

    def dtaidistance(self) -> Job:
        """C with OpenMP, on the block of inputs x templates; squared, as it returns the root."""
        from dtaidistance import dtw_ndim

        x, xl, y, yl = self._data()
        series = [
            s[:n].astype(np.float64)
            for a, ls in ((x, xl), (y, yl))
            for s, n in zip(a, ls)  # noqa: B905
        ]
        block = ((0, len(x)), (len(x), len(x) + len(y)))

        def run() -> Array:
            flat = dtw_ndim.distance_matrix_fast(series, block=block, compact=True, parallel=True)
            return np.asarray(flat).reshape(len(x), len(y)) ** 2

        return run

    def aeon(self) -> Job:
        """Numba; the sum of squared distances, channels first."""
        from aeon.distances import pairwise_distance

        x, xl, y, yl = self._data()
        one, two = (
            [np.ascontiguousarray(s[:n].T, np.float64) for s, n in zip(a, ls)]  # noqa: B905
            for a, ls in ((x, xl), (y, yl))
        )
        return lambda: pairwise_distance(one, two, method="dtw", n_jobs=THREADS)

    def tslearn(self) -> Job:
        """Numba and joblib; squared, as it returns the root."""
        from tslearn.metrics import cdist_dtw
        from tslearn.utils import to_time_series_dataset

        x, xl, y, yl = self._data()
        one, two = (
            to_time_series_dataset([s[:n].astype(np.float64) for s, n in zip(a, ls)])  # noqa: B905
            for a, ls in ((x, xl), (y, yl))
        )
        return lambda: cdist_dtw(one, two, n_jobs=THREADS) ** 2

    def row(self) -> Row:
        """The row."""
        count = self.inputs + self.templates
        return Row(
            f"DTW matrix {self.inputs} x {self.templates}, lengths 60-100, D 26",
            {
                "seqebm": self.seqebm, "dtaidistance": self.dtaidistance, "aeon": self.aeon,
                "tslearn": self.tslearn,
            },
            REAL * (count * 80 * 26 + self.inputs * self.templates),
        )  # fmt: skip


class SoftDTW:
    """Soft-DTW, gamma 1, forward and backward to the inputs; the result is the gradient."""

    def __init__(self, pairs: int, T: int, L: int, features: int) -> None:
        self.sizes = pairs, T, L, features

    def _data(self):
        pairs, T, L, features = self.sizes
        rng = np.random.default_rng(1)
        x = rng.normal(size=(pairs, T, features)).astype(np.float32)
        return x, rng.normal(size=(pairs, L, features)).astype(np.float32)

    def seqebm(self, dtype=torch.float32, device: str = "cpu") -> Job:
        """Ours."""
        from seqebm.kernels.warp import ops

        x, y = (torch.from_numpy(a).to(device, dtype) for a in self._data())
        x.requires_grad_()
        xl, yl = torch.full((len(x),), x.shape[1]), torch.full((len(y),), y.shape[1])

        def run() -> Array:
            energies = ops.pairs(x, xl, y, yl, 1.0, "symmetric1")
            return torch.autograd.grad(energies.sum(), x)[0].cpu().numpy()

        return run

    def pysdtw(self, device: str = "cpu") -> Job:
        """Numba."""
        import pysdtw

        x, y = (torch.from_numpy(a).to(device) for a in self._data())
        x.requires_grad_()
        function = pysdtw.SoftDTW(
            gamma=1.0, dist_func=pysdtw.distance.pairwise_l2_squared, use_cuda=device == "cuda"
        )
        return lambda: torch.autograd.grad(function(x, y).sum(), x)[0].cpu().numpy()

    def tslearn(self) -> Job:
        """tslearn's loss for PyTorch."""
        from tslearn.metrics import SoftDTWLossPyTorch

        x, y = (torch.from_numpy(a) for a in self._data())
        x.requires_grad_()
        function = SoftDTWLossPyTorch(gamma=1.0)
        return lambda: torch.autograd.grad(function(x, y).sum(), x)[0].numpy()

    def row(self) -> Row:
        """The row."""
        pairs, T, L, features = self.sizes
        return Row(
            f"soft-DTW forward + backward, B {pairs}, {T} x {L}, D {features}",
            {
                "seqebm": self.seqebm, "pysdtw": self.pysdtw, "tslearn": self.tslearn,
                "seqebm on CUDA": on_cuda(self.seqebm), "pysdtw on CUDA": on_cuda(self.pysdtw),
            },
            REAL * pairs * ((2 * T + L) * features + 2 * T * L),
        )  # fmt: skip


def _recogniser_data(features: int = 64):
    rng = np.random.default_rng(2)
    return *_ragged(rng, 64, 20, 60, features), *_ragged(rng, 30, 8, 12, features)


def recogniser_seqebm(dtype=torch.float32, device: str = "cpu") -> Job:
    """64 inputs x 30 templates, asymmetric, forward and backward to both."""
    from seqebm.kernels.warp import ops

    x, xl, y, yl = (torch.from_numpy(a) for a in _recogniser_data())
    x, y = x.to(device, dtype).requires_grad_(), y.to(device, dtype).requires_grad_()

    def run() -> Array:
        energies = ops.matrix(x, xl, y, yl, 1.0, "asymmetric")
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
    from seqebm.kernels.warp import ops

    local = torch.from_numpy(_paths_data()).to(dtype)
    ts, ls = torch.full((20,), 200), torch.full((20,), 150)
    return lambda: ops.best_path(local, ts, ls, "asymmetric")[0].numpy()


def paths_dtw_python() -> Job:
    """dtw-python, one table after the other."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints a greeting
        import dtw

    tables = _paths_data()
    return lambda: np.array([dtw.dtw(t, step_pattern="asymmetric").distance for t in tables])


ROWS: dict[str, Row] = {
    "matrix-small": Matrix(8, 20).row(),
    "matrix": Matrix(64, 200).row(),
    "matrix-large": Matrix(128, 500).row(),
    "softdtw-small": SoftDTW(4, 50, 45, 13).row(),
    "softdtw": SoftDTW(32, 200, 180, 40).row(),
    "softdtw-large": SoftDTW(16, 1000, 900, 40).row(),
    "recogniser": Row(
        "templates forward + backward, 64 x 30, T 20-60, L 8-12, D 64",
        {
            "seqebm": recogniser_seqebm,
            "(matmuls only)": recogniser_matmul,
            "seqebm on CUDA": on_cuda(recogniser_seqebm),
        },
        REAL * (2 * 64 * (64 * 60 + 30 * 12) + 2 * 64 * 60 * 30 * 12),
    ),
    "paths": Row(
        "best paths of 20 tables 200 x 150",
        {"seqebm": paths_seqebm, "dtw-python": paths_dtw_python},
        20 * 200 * 150 * (REAL + 1),
    ),
}
