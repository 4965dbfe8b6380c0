"""CUDA kernels against the CPU's, on whatever runs them: the simulator, or a GPU.

Not collected by itself: ``test_cuda.py`` runs this file in a process of its own, where
``NUMBA_ENABLE_CUDASIM=1`` is set before numba is imported (or not, on a machine with a GPU).
"""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import torch

from seqebm.kernels.chain import cuda as chain_cuda
from seqebm.kernels.chain import ops as chain_ops
from seqebm.kernels.dag import cuda as dag_cuda
from seqebm.kernels.dag import ops as dag_ops
from seqebm.kernels.dag.packed import pack_dags
from seqebm.kernels.machine import cuda
from seqebm.kernels.machine.topology import Topology
from seqebm.kernels.trellis import cuda as trellis_cuda
from seqebm.kernels.trellis import ops as trellis_ops
from seqebm.kernels.trellis.packed import Packed, join, pack
from seqebm.kernels.warp import cuda as warp_cuda
from seqebm.kernels.warp import ops as warp_ops
from seqebm.kernels.warp.patterns import PATTERNS, Window

DEVICE = torch.device("cpu" if cuda.SIMULATED else "cuda")
BETAS = [0.7, math.inf]
SEEDS = pytest.mark.parametrize("seed", [0, 1, 2, 3])


def topology(rng: np.random.Generator, states: int, classes: int, epsilon: bool) -> Topology:
    """A random graph, one in two with labels on states.

    Epsilon arcs lead to states of higher number, so they form no cycle.
    """
    count = 3 * states
    src, dst = rng.integers(0, states, count), rng.integers(0, states, count)
    label = rng.integers(0, classes, count)
    if rng.random() < 0.5:
        label, epsilon = dst % classes, False
    if epsilon:
        free = (rng.random(count) < 0.2) & (src < dst)
        label = np.where(free, -1, label)
    starts = np.unique(rng.integers(0, states, 2))
    return Topology(states, src, dst, label, starts, np.unique(rng.integers(0, states, 2)))


@pytest.fixture(autouse=True)
def simulator(monkeypatch):
    """All blocks of a grid at a time, so that a barrier of the grid holds them all.

    Numba's simulator runs one block after the other, and is fifty times as slow, as it polls its
    threads without a pause in which they could run.
    """
    if not cuda.SIMULATED:
        return
    from numba.cuda.simulator import kernel

    class Together(kernel.BlockManager):
        def run(self, grid_point, *arguments):
            if any(grid_point):
                return
            threads = [
                kernel.BlockThread(lambda: self._f(*arguments), self, block, thread, False)
                for block in np.ndindex(*self._grid_dim)
                for thread in np.ndindex(*self._block_dim)
            ]
            for thread in threads:
                thread.start()
            while alive := [t for t in threads if t.is_alive()]:
                failed = any(t.exception for t in threads)
                if failed or all(t.syncthreads_blocked for t in alive):
                    for t in alive:
                        t.abort = failed
                        t.syncthreads_blocked = False
                        t.syncthreads_event.set()
                time.sleep(0)
            for t in threads:
                if t.exception:
                    raise t.exception[0].with_traceback(t.exception[1])

    monkeypatch.setattr(kernel, "BlockManager", Together)


@pytest.fixture
def shapes(monkeypatch):
    """How launches were divided, where a device has so many multiprocessors, and barriers are so
    cheap, that items get several blocks each."""
    found = []
    launch = cuda.Kernel.launch

    def remember(self, shape, *arguments):
        found.append(shape)
        launch(self, shape, *arguments)

    monkeypatch.setattr(cuda.Kernel, "launch", remember)
    monkeypatch.setattr(cuda, "processors", lambda device: 64)
    monkeypatch.setattr(cuda, "EACH_BLOCK", 1)
    monkeypatch.setattr(cuda, "WARP", 1)
    monkeypatch.setattr(trellis_cuda, "SMALL", 0)
    return found


def test_trellis_across_blocks(shapes):
    test_trellis_free_energies(1, 0.7, 0)
    test_trellis_best_paths(1)
    assert max(shape.across for shape in shapes) > 1


def test_chain_across_blocks(shapes):
    test_chain(1, torch.float32)
    assert shapes[0].across > 1


def test_dags_across_blocks(shapes):
    test_dags(1, 0.7)
    assert shapes[0].across > 1


def test_warps_across_blocks(shapes):
    test_warps("symmetric2", None, 0.7, 0)
    assert shapes[0].across > 1


def joined(packed: Packed) -> tuple[torch.Tensor, torch.Tensor]:
    """Packed graphs as the operators take them."""
    wide, flat = map(torch.from_numpy, join(packed))
    return wide, flat


def trellis_case(seed: int, dtype: torch.dtype, epsilon: bool = True):
    """Emissions, lengths, packed graphs, graph of each item, entry energies."""
    rng = np.random.default_rng(seed)
    packed = pack([topology(rng, int(s), 3, epsilon) for s in rng.integers(1, 7, 3)])
    items = 4
    emissions = torch.tensor(rng.normal(size=(items, 5, 3)), dtype=dtype)
    emissions[rng.random(emissions.shape) < 0.1] = math.inf
    lengths = torch.tensor(rng.integers(1, 6, items))
    graph_of = torch.tensor(rng.integers(0, 3, items))
    energies = torch.tensor(rng.normal(size=int(packed.entry_offsets[-1])), dtype=dtype)
    energies[rng.random(len(energies)) < 0.05] = math.inf
    return emissions, lengths, packed, graph_of, energies


def test_cases_are_of_both_kinds():
    kinds = {int(k) for seed in range(4) for k in trellis_case(seed, torch.float32)[2].on_states}
    assert kinds == {0, 1}


@pytest.mark.parametrize("table_bytes", [1 << 30, 0], ids=["whole", "checkpointed"])
@pytest.mark.parametrize("beta", BETAS)
@SEEDS
def test_trellis_free_energies(seed, beta, table_bytes):
    dtype = torch.float64 if seed % 2 else torch.float32
    emissions, lengths, packed, graph_of, energies = trellis_case(seed, dtype)
    wanted = trellis_ops.posteriors(emissions, lengths, packed, graph_of, energies, beta)
    wide, flat = joined(packed)
    free, posterior, counts = trellis_cuda.free_energies(
        emissions.to(DEVICE), lengths, wide, flat, graph_of, energies.to(DEVICE), beta, True, True,
        table_bytes,
    )  # fmt: skip
    alone, *none = trellis_cuda.free_energies(
        emissions.to(DEVICE), lengths, wide, flat, graph_of, energies.to(DEVICE), beta, False, False
    )
    total = trellis_cuda.entry_gradient(
        counts, torch.ones_like(free), graph_of, wide, energies.to(DEVICE)
    )
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    for one, two in zip((free, posterior, total), wanted, strict=True):
        assert one.dtype == two.dtype == dtype
        assert torch.allclose(one.cpu(), two, atol=tolerance, rtol=tolerance)
    assert torch.allclose(alone, free) and all(not len(t) for t in none)


@SEEDS
def test_trellis_best_paths(seed):
    emissions, lengths, packed, graph_of, energies = trellis_case(seed, torch.float64)
    least, paths = trellis_ops.best_path(emissions, lengths, packed, graph_of, energies)
    free, arcs, frames, sizes, ends = (
        t.cpu()
        for t in trellis_cuda.best_paths(
            emissions.to(DEVICE), lengths, *joined(packed), graph_of, energies.to(DEVICE)
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


def trellis_sums(dtype: torch.dtype) -> None:
    """One launch, as are the other functions named like this: for compilation."""
    emissions, lengths, packed, graph_of, energies = trellis_case(1, dtype)
    wide, flat = joined(packed)
    trellis_cuda.free_energies(emissions, lengths, wide, flat, graph_of, energies, 1.0, True, True)


def trellis_paths(dtype: torch.dtype) -> None:
    """See :func:`trellis_sums`."""
    emissions, lengths, packed, graph_of, energies = trellis_case(1, dtype)
    trellis_cuda.best_paths(emissions, lengths, *joined(packed), graph_of, energies)


def chain_sums(dtype: torch.dtype) -> None:
    """See :func:`trellis_sums`."""
    chain_cuda.free_energies(*chain_case(0, dtype), 1.0, True)


def chain_paths(dtype: torch.dtype) -> None:
    """See :func:`trellis_sums`."""
    targets = torch.zeros(3, 4, dtype=torch.int64)
    chain_cuda.best_paths(*chain_case(0, dtype), targets, 0.5)


def dag_sums(dtype: torch.dtype) -> None:
    """See :func:`trellis_sums`."""
    dags, energies = dag_case(0)
    dag_cuda.free_energies(energies.to(dtype), list(dags), 1.0, True)


def warp_sums(dtype: torch.dtype) -> None:
    """See :func:`trellis_sums`."""
    local, ts, ls = warp_case()
    warp_cuda.free_energies(local.to(dtype), ts, ls, 1.0, LINEAR, math.inf, math.inf, True)


def warp_paths(dtype: torch.dtype) -> None:
    """See :func:`trellis_sums`."""
    local, ts, ls = warp_case()
    local = local.to(dtype).view(4, 5, 4)
    warp_cuda.best_paths(local, ts.view(-1), ls.view(-1), LINEAR, math.inf, math.inf)


def public_calls(beta: float):
    """Public functions, arguments on the CPU, and which of these get gradients."""
    emissions, lengths, packed, graph_of, energies = trellis_case(1, torch.float32)
    yield (
        lambda e, w: trellis_ops.free_energy(e, lengths, packed, graph_of, w, beta),
        [emissions, energies], [0, 1],
    )  # fmt: skip
    scores, counts, *model = chain_case(1, torch.float32)
    yield (
        lambda e, a, s, f: chain_ops.free_energy(e, counts, a, s, f, beta),
        [scores, *model], [0, 1, 2, 3],
    )  # fmt: skip
    dags, weights = dag_case(1)
    yield lambda w: dag_ops.free_energy(dags, w, beta), [weights], [0]
    x, y = torch.rand(3, 6, 2), torch.rand(2, 4, 2)
    ts, ls = torch.tensor([6, 5, 6]), torch.tensor([4, 3])
    yield lambda x, y: warp_ops.matrix(x, ts, y, ls, beta, "symmetric2"), [x, y], [0, 1]
    yield lambda x, y: warp_ops.pairs(x[:2], ts[:2], y, ls, beta, "linear"), [x, y], [0, 1]


def chain_case(seed: int, dtype: torch.dtype, S: int = 3):
    """Emissions, lengths, transitions, start, final."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int, impossible: float = 0.1) -> torch.Tensor:
        values = rng.normal(size=shape)
        return torch.tensor(np.where(rng.random(shape) < impossible, math.inf, values), dtype=dtype)

    model = (draw(S, S), draw(S), draw(S))
    return draw(3, 4, S), torch.tensor([4, 1, 3]), *model


@SEEDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chain(seed, dtype):
    emissions, lengths, *model = chain_case(seed, dtype)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    on = [emissions.to(DEVICE), lengths, *(t.to(DEVICE) for t in model)]
    wanted = torch.ops.seqebm.chain_free_energies(emissions, lengths, *model, 0.8, True)
    for one, two in zip(chain_cuda.free_energies(*on, 0.8, True), wanted, strict=True):
        assert one.dtype == dtype and one.is_contiguous()  # as the fake operator says
        assert torch.allclose(one.cpu(), two, atol=tolerance, rtol=tolerance)
    assert torch.allclose(chain_cuda.free_energies(*on, 0.8, False)[0].cpu(), wanted[0])
    targets = torch.tensor(np.random.default_rng(seed).integers(0, 3, (3, 4)))
    targets[torch.arange(4) >= lengths[:, None]] = 0
    for avoid, cost in ((targets[:0], 0.0), (targets, 0.0), (targets, 0.6)):
        energies, labels = torch.ops.seqebm.chain_best_paths(
            emissions, lengths, *model, avoid, cost
        )
        found, own = (t.cpu() for t in chain_cuda.best_paths(*on, avoid, cost))
        assert torch.allclose(found, energies, atol=tolerance)
        assert torch.equal(own, labels)
        along = torch.ops.seqebm.chain_path_energies(emissions, lengths, labels, *model)
        assert torch.allclose(chain_cuda.path_energies(*on[:2], labels, *on[2:]).cpu(), along)


def dag_case(seed: int):
    """Three packed graphs and the energies of their entries."""
    rng = np.random.default_rng(seed)
    graphs = []
    for _ in range(3):
        states = int(rng.integers(1, 8))
        src, dst = np.sort(rng.integers(0, states, (2, 2 * states)), axis=0)
        src, dst = src[src < dst], dst[src < dst]
        graphs.append(Topology(states, src, dst, 0 * src, np.array([0]), np.array([states - 1])))
    dags = pack_dags(graphs)
    energies = torch.tensor(rng.normal(size=int(dags.entry_offsets[-1])))
    energies[rng.random(len(energies)) < 0.1] = math.inf
    return dags, energies


@pytest.mark.parametrize("beta", BETAS)
@SEEDS
def test_dags(seed, beta):
    dags, energies = dag_case(seed)
    wanted = torch.ops.seqebm.dag_free_energies(energies, list(dags), beta, True)
    found = dag_cuda.free_energies(energies.to(DEVICE), list(dags), beta, True)
    for one, two in zip(found, wanted, strict=True):
        assert torch.allclose(one.cpu(), two, atol=1e-10)


LINEAR = [float(n) for step in PATTERNS["linear"].steps for n in step]


def warp_case():
    """Tables of local energies and lengths of both sides."""
    rng = np.random.default_rng(3)
    local = torch.tensor(rng.normal(size=(2, 2, 5, 4)))
    local[rng.random(local.shape) < 0.05] = math.inf
    ts, ls = torch.tensor([[5, 4], [3, 1]]), torch.tensor([[4, 2], [3, 1]])
    return local, ts, ls


@pytest.mark.parametrize("table_bytes", [1 << 30, 0], ids=["whole", "checkpointed"])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("window", [None, Window(band=1.0), Window(slope=2.0)])
@pytest.mark.parametrize("pattern", ["symmetric2", "bakis"])
def test_warps(pattern, window, beta, table_bytes):
    local, ts, ls = warp_case()
    steps = [float(n) for step in PATTERNS[pattern].steps for n in step]
    limits = (window or Window()).limits
    wanted = torch.ops.seqebm.warp_free_energies(local, ts, ls, beta, steps, *limits, True)
    found = warp_cuda.free_energies(
        local.to(DEVICE), ts, ls, beta, steps, *limits, True, table_bytes
    )
    assert torch.allclose(found[0].cpu(), wanted[0], atol=1e-10)
    # The CPU leaves nothing in the padding; nor does this.
    assert torch.allclose(found[1].cpu(), wanted[1], atol=1e-10)
    alone = warp_cuda.free_energies(local.to(DEVICE), ts, ls, beta, steps, *limits, False)[0]
    assert torch.allclose(alone.cpu(), wanted[0], atol=1e-10)
    flat = local.view(4, 5, 4)
    least, paths = warp_ops.best_path(flat, ts.view(-1), ls.view(-1), pattern, window)
    energies, own = warp_cuda.best_paths(flat.to(DEVICE), ts.view(-1), ls.view(-1), steps, *limits)
    assert torch.allclose(energies.cpu(), least)
    for one, two in zip(own, paths, strict=True):
        assert torch.equal(one, two)
