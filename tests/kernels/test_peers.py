"""Parity with packages that others have tested; skipped where they are not installed."""

import math

import numpy as np
import pytest
import torch

from seqebm.kernels.warp import ops
from seqebm.kernels.warp.patterns import get_pattern


def _sequences(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(3, 20, 4)), rng.normal(size=(5, 17, 4))
    return x, y, rng.integers(5, 21, 3), rng.integers(5, 18, 5)


def _ours(x, y, ts, ls, beta, pattern):
    return ops.matrix(
        torch.tensor(x), torch.tensor(ts), torch.tensor(y), torch.tensor(ls), beta, pattern
    ).numpy()


def test_dtaidistance():
    dtw_ndim = pytest.importorskip("dtaidistance.dtw_ndim")
    x, y, ts, ls = _sequences(0)
    ours = _ours(x, y, ts, ls, math.inf, "symmetric1")
    for b in range(3):
        for m in range(5):
            theirs = dtw_ndim.distance(x[b, : ts[b]], y[m, : ls[m]])
            assert math.isclose(ours[b, m], theirs**2, rel_tol=1e-9)


@pytest.mark.parametrize("name", ["symmetric1", "symmetric2", "asymmetric"])
def test_dtw_python(name):
    dtw = pytest.importorskip("dtw")
    x, y, ts, ls = _sequences(1)
    ls = np.minimum(ls, 2 * ts.min() - 1)  # so that the asymmetric pattern has a path
    ours = _ours(x, y, ts, ls, math.inf, name)
    pattern = get_pattern(name)
    for b in range(3):
        for m in range(5):
            local = ((x[b, : ts[b], None] - y[m, None, : ls[m]]) ** 2).sum(-1)
            theirs = dtw.dtw(local, step_pattern=name)
            assert math.isclose(ours[b, m], theirs.distance, rel_tol=1e-9)
            if pattern.normalisation != "none":
                length = pattern.normaliser(int(ts[b]), int(ls[m]))
                assert math.isclose(ours[b, m] / length, theirs.normalizedDistance, rel_tol=1e-9)


def test_tslearn_soft_dtw():
    metrics = pytest.importorskip("tslearn.metrics")
    x, y, ts, ls = _sequences(2)
    ours = _ours(x, y, ts, ls, 2.0, "symmetric1")
    for b in range(3):
        for m in range(5):
            theirs = metrics.soft_dtw(x[b, : ts[b]], y[m, : ls[m]], gamma=0.5)
            assert math.isclose(ours[b, m], theirs, rel_tol=1e-6)
