"""The reference against brute force on small grids, and the operators against the reference."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.kernels.warp import ops, reference
from seqebm.kernels.warp.patterns import PATTERNS, StepPattern, Window, get_pattern, is_feasible

BETAS = [0.1, 1.0, 7.0, math.inf]
WINDOWS = [
    Window(), Window(band=1.0), Window(band=2.5), Window(slope=1.5), Window(band=2, slope=3.0),
]  # fmt: skip
#: More steps, longer steps and other weights than any built-in pattern has.
EXOTIC = StepPattern(
    "exotic",
    ((1, 1, 1.5, 0.2), (2, 1, 2.0, -0.1), (0, 1, 0.5, 0.3), (1, 3, 1.0, 0.0), (3, 0, 1.0, 0.1)),
)
ALL_PATTERNS = [*PATTERNS.values(), EXOTIC]
patterns = st.sampled_from(ALL_PATTERNS)
windows = st.sampled_from(WINDOWS)
betas = st.sampled_from(BETAS)
seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=60)


def close(a, b, tolerance):
    return np.allclose(a, b, rtol=tolerance, atol=tolerance)


@relaxed
@given(T=st.integers(1, 5), L=st.integers(1, 5), pattern=patterns, window=windows, beta=betas,
       seed=seeds)  # fmt: skip
def test_reference_sums_over_every_path(T, L, pattern, window, beta, seed):
    local = np.random.default_rng(seed).normal(size=(T, L)) * 2
    paths = list(reference.enumerate_paths(local, pattern, window))
    free = reference.free_energy(local, pattern, beta, window)
    gradient = reference.posteriors(local, pattern, beta, window)
    least, path = reference.best_path(local, pattern, window)
    if not paths:
        assert free == math.inf and least == math.inf and path == [] and not gradient.any()
        return
    energies = np.array([e for e, _, _ in paths])
    best = int(energies.argmin())
    assert close(least, energies[best], 1e-12)
    assert path == paths[best][1]
    if math.isinf(beta):
        assert close(free, energies[best], 1e-12)
        assert close(gradient, paths[best][2], 1e-12)
        return
    weights = np.exp(-beta * (energies - energies[best]))
    assert close(free, energies[best] - np.log(weights.sum()) / beta, 1e-9)
    expected = sum(w * spent for w, (_, _, spent) in zip(weights, paths, strict=True))
    assert close(gradient, expected / weights.sum(), 1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@relaxed
@given(pairs=st.integers(1, 19), T=st.integers(1, 9), L=st.integers(1, 9), pattern=patterns,
       window=windows, beta=betas, innermost=st.booleans(), seed=seeds)  # fmt: skip
def test_operators_follow_the_reference(dtype, pairs, T, L, pattern, window, beta, innermost, seed):
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    rng = np.random.default_rng(seed)
    shape = (T, L, pairs) if innermost else (pairs, T, L)
    # Multiples of 1/128: sums are exact in float32 too, so that no rounding turns a tie around.
    local = torch.tensor(rng.permutation(math.prod(shape)).reshape(shape) / 128.0 - 1.0).to(dtype)
    if innermost:
        local = local.permute(2, 0, 1)
    ts, ls = rng.integers(1, T + 1, pairs), rng.integers(1, L + 1, pairs)
    tables = [local[p, : ts[p], : ls[p]].double().numpy().copy() for p in range(pairs)]
    for p in range(pairs):
        # Whatever lies in the padding must not matter.
        local[p, ts[p] :] = math.nan
        local[p, :, ls[p] :] = -math.inf
    local.requires_grad_()
    ts_tensor, ls_tensor = torch.tensor(ts), torch.tensor(ls)
    energies = ops.free_energy(local, ts_tensor, ls_tensor, beta, pattern, window)
    factors = torch.tensor(rng.normal(size=pairs)).to(dtype)
    (gradient,) = torch.autograd.grad(energies, local, factors)
    assert energies.dtype == dtype
    with torch.no_grad():
        again = ops.free_energy(local, ts_tensor, ls_tensor, beta, pattern, window)
    assert torch.equal(again, energies)
    least, paths = ops.best_path(local, ts_tensor, ls_tensor, pattern, window)
    for p, table in enumerate(tables):
        free = reference.free_energy(table, pattern, beta, window)
        assert is_feasible(ts[p], ls[p], pattern, window) == bool(energies[p].isfinite())
        assert close(energies[p].item(), free, tolerance)
        expected = np.zeros((T, L))
        expected[: ts[p], : ls[p]] = reference.posteriors(table, pattern, beta, window)
        assert close(gradient[p].numpy(), expected * factors[p].item(), tolerance)
        best, path = reference.best_path(table, pattern, window)
        assert close(least[p].item(), best, tolerance)
        assert paths[p].dtype == torch.int64 and paths[p].shape == (len(path), 2)
        assert [tuple(cell) for cell in paths[p].tolist()] == path


@pytest.mark.parametrize("metric", reference.METRICS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(deadline=None, max_examples=25)
@given(B=st.integers(1, 4), M=st.integers(1, 35), D=st.integers(1, 6), pattern=patterns,
       window=windows, beta=betas, seed=seeds)  # fmt: skip
def test_matrix_with_and_without_gradient(metric, dtype, B, M, D, pattern, window, beta, seed):
    tolerance = 1e-8 if dtype == torch.float64 else 1e-3
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(B, 9, D)) + 3, rng.normal(size=(M, 7, D)) + 3
    x[0, 0], y[0, 0] = 0, 0  # zero vectors have a convention of their own
    ts, ls = rng.integers(1, 10, B), rng.integers(1, 8, M)
    expected = np.array([
        [
            reference.free_energy(
                reference.local_energy(x[b, : ts[b]], y[m, : ls[m]], metric), pattern, beta, window
            )
            for m in range(M)
        ]
        for b in range(B)
    ])  # fmt: skip
    for b in range(B):
        x[b, ts[b] :] = math.nan
    for m in range(M):
        y[m, ls[m] :] = math.inf
    x, y = torch.tensor(x).to(dtype), torch.tensor(y).to(dtype)
    ts, ls = torch.tensor(ts), torch.tensor(ls)
    fused = ops.matrix(x, ts, y, ls, beta, pattern, window, metric)
    assert close(fused.numpy(), expected, tolerance)
    x.requires_grad_()
    y.requires_grad_()
    energies = ops.matrix(x, ts, y, ls, beta, pattern, window, metric)
    assert close(energies.detach().numpy(), expected, tolerance)
    gradients = torch.autograd.grad(energies.sum(), (x, y))
    assert all(bool(torch.isfinite(g).all()) for g in gradients)
    count = min(B, M)
    pairs = ops.pairs(x[:count], ts[:count], y[:count], ls[:count], beta, pattern, window, metric)
    assert close(pairs.detach().numpy(), expected.diagonal()[:count], tolerance)


@pytest.mark.parametrize("metric", reference.METRICS)
def test_local_energy_of_far_away_data_keeps_its_digits(metric):
    torch.manual_seed(0)
    x, y = torch.randn(2, 5, 8) + 100, torch.randn(3, 4, 8) + 100
    table = ops.local_energy(x, y, metric)
    assert table.shape == (2, 3, 5, 4)
    for b in range(2):
        for m in range(3):
            expected = reference.local_energy(x[b].numpy(), y[m].numpy(), metric)
            assert np.allclose(table[b, m].numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("beta", [0.5, 4.0, math.inf])
@pytest.mark.parametrize("window", [None, Window(slope=2.0)])
@pytest.mark.parametrize("pattern", ["symmetric2", "asymmetric", EXOTIC])
def test_gradcheck_of_local_energies(beta, window, pattern):
    torch.manual_seed(0)
    sizes = [(6, 4), (5, 3), (3, 4), (4, 2), (1, 1)]
    sizes = [size for size in sizes if is_feasible(*size, pattern, window)]
    assert len(sizes) >= 3
    ts, ls = torch.tensor(sizes).T
    local = torch.randn(len(sizes), 6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda c: ops.free_energy(c, ts, ls, beta, pattern, window), (local,)
    )


@pytest.mark.parametrize("metric", reference.METRICS)
@pytest.mark.parametrize("templates", [2, 9])  # fewer and more than half the lanes
def test_gradcheck_of_features(metric, templates):
    torch.manual_seed(0)
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    y = torch.randn(templates, 4, 3, dtype=torch.float64, requires_grad=True)
    ts, ls = torch.tensor([5, 3]), torch.tensor([4, 3, 2, 1, 4, 4, 3, 2, 1][:templates])
    assert torch.autograd.gradcheck(
        lambda x, y: ops.matrix(x, ts, y, ls, 1.0, "symmetric1", None, metric), (x, y)
    )
    assert torch.autograd.gradcheck(
        lambda x, y: ops.pairs(x, ts, y, ls[:2], 1.0, "symmetric1", None, metric),
        (x, y.detach()[:2].requires_grad_()),
    )


@pytest.mark.parametrize("with_posterior", [True, False])
@pytest.mark.parametrize("innermost", [True, False])
def test_opcheck_of_tables(with_posterior, innermost):
    torch.manual_seed(0)
    local = torch.randn(1, 5, 6, 4)
    if innermost:
        local = local.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    local.requires_grad_(with_posterior)
    ts, ls = torch.tensor([[6, 5, 3, 4, 1]]), torch.tensor([[4, 3, 4, 2, 1]])
    steps = [float(n) for step in get_pattern("symmetric2").steps for n in step]
    torch.library.opcheck(
        torch.ops.seqebm.warp_free_energies.default,
        (local, ts, ls, 1.0, steps, math.inf, 2.0, with_posterior),
    )


def test_opcheck_of_features():
    steps = [float(n) for step in get_pattern("symmetric2").steps for n in step]
    x, ts = torch.randn(3, 5, 4), torch.tensor([5, 4, 1])
    y, ls = torch.randn(2, 5, 4), torch.tensor([5, 4])
    torch.library.opcheck(
        torch.ops.seqebm.warp_feature_energies.default,
        (x, ts, y, ls, 1.0, steps, math.inf, math.inf),
    )


@pytest.mark.parametrize("with_posterior", [True, False])
def test_opcheck_of_pairs(with_posterior):
    steps = [float(n) for step in get_pattern("symmetric2").steps for n in step]
    x = torch.randn(3, 5, 4, requires_grad=with_posterior)
    torch.library.opcheck(
        torch.ops.seqebm.warp_pair_energies.default,
        (
            x, torch.tensor([5, 4, 1]), torch.randn(3, 6, 4), torch.tensor([6, 4, 3]), 1.0, steps,
            math.inf, math.inf, with_posterior,
        ),
    )  # fmt: skip


def test_ties_go_to_the_step_listed_first():
    local = torch.zeros(1, 3, 3, requires_grad=True)
    n = torch.tensor([3])
    ops.free_energy(local, n, n, math.inf, "symmetric1").sum().backward()
    assert torch.equal(local.grad[0], torch.eye(3))
    _, (path,) = ops.best_path(local, n, n, "symmetric1")
    assert path.tolist() == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.parametrize("beta", [1.0, 1e4, 1e39, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_impossible_cells_and_any_beta(dtype, beta):
    local = torch.ones(2, 4, 4, dtype=dtype)
    local[0, 1, 1] = math.inf  # a hole to walk round
    local[1, :, 2] = math.inf  # a wall
    local.requires_grad_()
    n = torch.tensor([4, 4])
    energies = ops.free_energy(local, n, n, beta, "symmetric1")
    expected = reference.free_energy(
        local.detach()[0].double().numpy(), get_pattern("symmetric1"), beta
    )
    assert math.isclose(energies[0].item(), expected, rel_tol=1e-5)
    assert energies[1].item() == math.inf
    # An infinite factor on an infeasible pair gives zero, not NaN.
    (gradient,) = torch.autograd.grad(energies, local, torch.tensor([1.0, math.inf], dtype=dtype))
    assert bool(torch.isfinite(gradient).all())
    assert gradient[0, 1, 1] == 0 and not gradient[1].any() and gradient[0].sum() >= 4


@pytest.mark.parametrize("beta", [0.5, math.inf])
def test_long_inputs_lose_no_digits_in_float32(beta):
    generator = torch.Generator().manual_seed(0)
    local = torch.rand(3, 3000, 50, generator=generator) * 20 + 5
    ts, ls = torch.tensor([3000, 2999, 1700]), torch.tensor([50, 33, 50])
    results = []
    for dtype in (torch.float32, torch.float64):
        table = local.to(dtype).requires_grad_()
        energies = ops.free_energy(table, ts, ls, beta, "asymmetric")
        (gradient,) = torch.autograd.grad(energies.sum(), table)
        # The asymmetric pattern spends exactly one weight in each input frame.
        assert torch.allclose(gradient.sum((1, 2)), ts.to(dtype), rtol=1e-5)
        results.append((energies, gradient.double()))
    assert torch.allclose(results[0][0].double(), results[1][0], rtol=1e-6)
    assert (results[0][1] - results[1][1]).abs().max() < 1e-3


def test_batches_without_pairs_and_lengths_of_one():
    none = torch.zeros(0, dtype=torch.int64)
    assert ops.free_energy(torch.zeros(0, 3, 2), none, none, 1.0, "linear").shape == (0,)
    assert ops.best_path(torch.zeros(0, 3, 2), none, none, "linear")[1] == []
    x, y, one = torch.ones(1, 1, 2), torch.zeros(1, 1, 2), torch.tensor([1])
    assert ops.matrix(x, one, y, one, 1.0, "bakis").tolist() == [[2.0]]
    assert ops.matrix(x[:0], none, y, one, 1.0, "bakis").shape == (0, 1)


def test_second_derivatives_are_refused():
    local = torch.rand(1, 3, 3, requires_grad=True)
    n = torch.tensor([3])
    energies = ops.free_energy(local, n, n, 1.0, "symmetric1")
    losses = {"does not require grad": energies.sum(), "once_diff": energies.square().sum()}
    for message, loss in losses.items():
        (gradient,) = torch.autograd.grad(loss, local, create_graph=True)
        with pytest.raises(RuntimeError, match=message):
            gradient.square().sum().backward()
