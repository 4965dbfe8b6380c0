"""CUDA kernels against the CPU's, on whatever runs them: the simulator, or a GPU.

Not collected by itself: ``test_cuda.py`` runs this file in a process of its own, where
``NUMBA_ENABLE_CUDASIM=1`` is set before numba is imported (or not, on a machine with a GPU).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seqebm.kernels import cuda, cuda_trellis_ops, ops_trellis
from seqebm.kernels.packed import Topology, join, pack

DEVICE = torch.device("cpu" if cuda.SIMULATED else "cuda")
BETAS = [0.7, math.inf]


def topology(rng: np.random.Generator, states: int, classes: int, epsilon: bool) -> Topology:
    """A random graph; epsilon arcs lead to states of higher number, so they form no cycle."""
    count = 3 * states
    src, dst = rng.integers(0, states, count), rng.integers(0, states, count)
    label = rng.integers(0, classes, count)
    if epsilon:
        free = (rng.random(count) < 0.2) & (src < dst)
        label = np.where(free, -1, label)
    starts = np.unique(rng.integers(0, states, 2))
    return Topology(states, src, dst, label, starts, np.unique(rng.integers(0, states, 2)))


def trellis_case(seed: int, dtype: torch.dtype, epsilon: bool = True):
    """Emissions, lengths, packed graphs, graph of each item, entry energies."""
    rng = np.random.default_rng(seed)
    packed = pack([topology(rng, int(s), 3, epsilon) for s in rng.integers(1, 7, 3)])
    items = 5
    emissions = torch.tensor(rng.normal(size=(items, 6, 3)), dtype=dtype)
    emissions[rng.random(emissions.shape) < 0.1] = math.inf
    lengths = torch.tensor(rng.integers(1, 7, items))
    graph_of = torch.tensor(rng.integers(0, 3, items))
    energies = torch.tensor(rng.normal(size=int(packed.entry_offsets[-1])), dtype=dtype)
    energies[rng.random(len(energies)) < 0.05] = math.inf
    return emissions, lengths, packed, graph_of, energies


@pytest.mark.parametrize("table_bytes", [1 << 30, 0], ids=["whole", "checkpointed"])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("seed", range(4))
def test_trellis_free_energies(seed, beta, table_bytes):
    dtype = torch.float64 if seed % 2 else torch.float32
    emissions, lengths, packed, graph_of, energies = trellis_case(seed, dtype)
    wanted = ops_trellis.trellis_posteriors(emissions, lengths, packed, graph_of, energies, beta)
    wide, flat = map(torch.from_numpy, join(packed))
    free, posterior, counts = cuda_trellis_ops.free_energies(
        emissions.to(DEVICE), lengths, wide, flat, graph_of, energies.to(DEVICE), beta, True, True,
        table_bytes,
    )  # fmt: skip
    alone, *none = cuda_trellis_ops.free_energies(
        emissions.to(DEVICE), lengths, wide, flat, graph_of, energies.to(DEVICE), beta, False, False
    )
    total = cuda_trellis_ops.entry_gradient(
        counts, torch.ones_like(free), graph_of, wide, energies.to(DEVICE)
    )
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    for one, two in zip((free, posterior, total), wanted, strict=True):
        assert one.dtype == two.dtype == dtype
        assert torch.allclose(one.cpu(), two, atol=tolerance, rtol=tolerance)
    assert torch.allclose(alone, free) and all(not len(t) for t in none)


@pytest.mark.parametrize("seed", range(4))
def test_trellis_best_paths(seed):
    emissions, lengths, packed, graph_of, energies = trellis_case(seed, torch.float64)
    least, paths = ops_trellis.trellis_best_path(emissions, lengths, packed, graph_of, energies)
    free, arcs, frames, sizes, ends = (
        t.cpu()
        for t in cuda_trellis_ops.best_paths(
            emissions.to(DEVICE), lengths, packed, graph_of, energies.to(DEVICE)
        )
    )
    assert torch.allclose(free, least)
    for b, path in enumerate(paths):
        if path is None:
            assert sizes[b] == 0
            continue
        first = arcs.shape[1] - int(sizes[b])
        assert torch.equal(arcs[b, first:], path.arcs)
        assert torch.equal(frames[b, first:], path.frames)
        assert ends[b].tolist() == [path.start, path.final]
