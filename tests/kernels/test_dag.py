"""Acyclic graphs against enumeration of all their paths, and as torch operators."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.kernels.dag import ops, reference
from seqebm.kernels.dag.packed import concatenate_dags, pack_dag, pack_dags
from seqebm.kernels.machine.topology import Topology

BETAS = [0.1, 1.0, 5.0, math.inf]
relaxed = settings(deadline=None, max_examples=40)


def draw(rng, states, arcs, impossible=0.0):
    """A random acyclic graph whose states are shuffled, and energies of its entries."""
    shuffled = rng.permutation(states)
    ends = np.sort(
        np.array([rng.choice(states, 2, replace=False) for _ in range(arcs)], int).reshape(-1, 2), 1
    )
    src, dst = shuffled[ends[:, 0]], shuffled[ends[:, 1]]
    starts, finals = (
        rng.choice(states, rng.integers(0, min(states, 3) + 1), replace=False) for _ in range(2)
    )
    topology = Topology(states, src, dst, np.zeros(arcs, np.int64), starts, finals)
    energies = rng.normal(size=arcs + len(starts) + len(finals)) * 2
    energies[rng.random(len(energies)) < impossible] = math.inf
    return topology, energies


def close(a, b, tolerance):
    return np.allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@relaxed
@given(graphs=st.integers(0, 4), beta=st.sampled_from(BETAS), seed=st.integers(0, 2**32 - 1),
       impossible=st.sampled_from([0.0, 0.2]))  # fmt: skip
def test_operators_follow_the_reference(dtype, graphs, beta, seed, impossible):
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    rng = np.random.default_rng(seed)
    sizes = [(int(n), int(n > 1) * int(rng.integers(0, 12))) for n in rng.integers(1, 7, graphs)]
    drawn = [draw(rng, *size, impossible) for size in sizes]
    dags = pack_dags([t for t, _ in drawn])
    again = concatenate_dags([pack_dag(t) for t, _ in drawn])
    assert all(torch.equal(a, b) for a, b in zip(dags, again, strict=True))
    flat = torch.tensor(np.concatenate([[], *(e for _, e in drawn)])).to(dtype).requires_grad_()
    free = ops.free_energy(dags, flat, beta)
    factors = torch.tensor(rng.normal(size=graphs)).to(dtype)
    (gradient,) = torch.autograd.grad(free, flat, factors)
    with torch.no_grad():
        assert torch.equal(ops.free_energy(dags, flat, beta), free)
    values, posteriors = ops.posteriors(dags, flat, beta)
    assert torch.equal(values, free.detach())
    least, paths = ops.best_path(dags, flat)
    offsets = dags.entry_offsets.tolist()
    for g, (topology, energies) in enumerate(drawn):
        own = slice(offsets[g], offsets[g + 1])
        assert close(free[g].item(), reference.free_energy(topology, energies, beta), tolerance)
        expected = reference.posteriors(topology, energies, beta)
        assert close(posteriors[own].numpy(), expected, tolerance)
        assert close(gradient[own].numpy(), expected * factors[g].item(), tolerance)
        best = reference.free_energy(topology, energies, math.inf)
        assert close(least[g].item(), best, tolerance)
        path = paths[g]
        if math.isinf(best):
            assert path is None
        else:
            assert path is not None and tuple(path.tolist()) in set(reference.paths(topology))
            assert close(energies[path.numpy()].sum(), best, tolerance)


@pytest.mark.parametrize("beta", BETAS)
def test_gradcheck(beta):
    rng = np.random.default_rng(5)
    drawn = [draw(rng, 5, 9) for _ in range(4)]
    dags = pack_dags([t for t, _ in drawn])
    flat = torch.tensor(np.concatenate([e for _, e in drawn]), requires_grad=True)
    free = ops.free_energy(dags, flat, beta).detach()
    assert int(torch.isfinite(free).sum()) >= 2
    kept = torch.isfinite(free)
    assert torch.autograd.gradcheck(lambda e: ops.free_energy(dags, e, beta)[kept], (flat,))


@pytest.mark.parametrize("with_posterior", [True, False])
def test_opcheck(with_posterior):
    rng = np.random.default_rng(1)
    drawn = [draw(rng, 5, 9) for _ in range(3)]
    dags = pack_dags([t for t, _ in drawn])
    flat = torch.tensor(np.concatenate([e for _, e in drawn]), requires_grad=with_posterior)
    torch.library.opcheck(
        torch.ops.seqebm.dag_free_energies.default, (flat, list(dags), 1.0, with_posterior)
    )


@pytest.mark.parametrize("beta", [1.0, 1e4, 1e300, math.inf])
def test_parallel_arcs_and_any_beta(beta):
    """n equal arcs in parallel, m times over: F = E - m log(n) / beta."""
    n, m = 4, 2000
    src = np.repeat(np.arange(m), n)
    topology = Topology(m + 1, src, src + 1, np.zeros(n * m, int), np.array([0]), np.array([m]))
    energies = torch.full((n * m + 2,), -3.25, dtype=torch.float32, requires_grad=True)
    free = ops.free_energy(pack_dags([topology]), energies, beta)
    expected = -3.25 * (m + 2) - m * math.log(n) / beta
    assert math.isclose(free.item(), expected, rel_tol=1e-6)
    free.sum().backward()
    assert math.isclose(float(energies.grad.sum()), m + 2, rel_tol=1e-6)


def test_infinite_gradients_of_a_graph_without_path():
    topology = Topology(2, *(np.array(a) for a in ([0], [1], [0], [0], [0])))
    stuck = Topology(2, *(np.array(a) for a in ([0], [1], [0], [1], [0])))
    energies = torch.ones(6, requires_grad=True)
    free = ops.free_energy(pack_dags([topology, stuck]), energies, 1.0)
    assert free.tolist() == [2.0, math.inf]
    (gradient,) = torch.autograd.grad(free, energies, torch.tensor([1.0, math.inf]))
    assert gradient.tolist() == [0, 1, 1, 0, 0, 0]


def test_refusals_name_graph_and_state():
    good = Topology(2, *(np.array(a) for a in ([0], [1], [0], [0], [1])))
    loop = Topology(4, *(np.array(a) for a in ([0, 1, 2, 2], [1, 2, 1, 3], [0] * 4, [0], [3])))
    with pytest.raises(ValueError, match=r"graph 1: state [12] lies on a cycle"):
        pack_dags([good, loop])
    with pytest.raises(ValueError, match=r"graph 0: dst\[0\] is 1; there are 1 states"):
        pack_dags([good._replace(states=1, starts=np.array([0]), finals=np.array([0]))])
    dags = pack_dags([good, good])
    with pytest.raises(ValueError, match="energies has 5 numbers; the graphs have 6 entries"):
        ops.free_energy(dags, torch.zeros(5), 1.0)
    with pytest.raises(ValueError, match=r"energies\[4\], entry 1 of graph 1, is nan"):
        ops.free_energy(dags, torch.tensor([0, 0, 0, 0, math.nan, 0]), 1.0)
    with pytest.raises(ValueError, match="beta is -1"):
        ops.free_energy(dags, torch.zeros(6), -1)
