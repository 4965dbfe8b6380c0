"""The dense chain against brute force, in both numeric domains, and as torch operators."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.kernels.chain import cpu, ops, reference

BETAS = [0.1, 1.0, 5.0, math.inf]
relaxed = settings(deadline=None, max_examples=12)


def close(a, b, tolerance):
    return np.allclose(a, b, rtol=tolerance, atol=tolerance)


def draw(seed, B, T, S, impossible=0.0, scale=2.0):
    """Emissions (B, T, S), lengths, (transitions, start, final), labels, as float64 tensors.

    Whole-number hundredths: float32 and float64 find the same best labelling.
    """
    rng = np.random.default_rng(seed)

    def energies(*shape):
        values = np.round(rng.normal(size=shape) * scale, 2) + rng.integers(1, 99, shape) / 1e4
        values[rng.random(shape) < impossible] = math.inf
        return torch.tensor(values)

    lengths = torch.tensor(rng.integers(1, T + 1, B))
    model = (energies(S, S), energies(S), energies(S))
    labels = torch.tensor(rng.integers(0, S, (B, T)))
    return energies(B, T, S), lengths, model, labels


def spoil(emissions, labels, lengths):
    """Whatever lies in the padding must not matter."""
    for b, n in enumerate(lengths.tolist()):
        emissions[b, n:] = math.nan
        emissions[b, n + 1 :] = -math.inf
        labels[b, n:] = 99


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@relaxed
@given(
    B=st.integers(1, 5), T=st.integers(1, 4), S=st.integers(1, 3), beta=st.sampled_from(BETAS),
    impossible=st.sampled_from([0.0, 0.3]), cost=st.sampled_from([0.0, 1.5]),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_operators_follow_the_reference(dtype, B, T, S, beta, impossible, cost, seed):
    tolerance = 1e-9 if dtype == torch.float64 else 2e-4
    emissions, lengths, model, labels = draw(seed, B, T, S, impossible)
    chains = [
        reference.Chain(emissions[b, :n].numpy().copy(), *(m.numpy() for m in model))
        for b, n in enumerate(lengths.tolist())
    ]
    targets = [row[:n].tolist() for row, n in zip(labels, lengths.tolist(), strict=True)]
    spoil(emissions, labels, lengths)
    leaves = [t.to(dtype).requires_grad_() for t in (emissions, *model)]
    x, m = leaves[0], leaves[1:]
    factors = torch.tensor(np.random.default_rng(seed).normal(size=B)).to(dtype)

    free = ops.free_energy(x, lengths, *m, beta)
    gradients = torch.autograd.grad(free, leaves, factors)
    with torch.no_grad():
        again = ops.free_energy(x, lengths, *m, beta)
    assert close(again.numpy(), free.detach().numpy(), 1e-9 if dtype == torch.float64 else 1e-5)
    energies, posteriors, counts = ops.posteriors(x, lengths, *m, beta)
    assert close(energies.numpy(), again.numpy(), tolerance)
    given_energy = ops.path_energy(x, lengths, labels, *m)
    least, paths = ops.best_path(x, lengths, *m)
    rival, rivals = ops.offending(x, lengths, labels, *m, cost)
    assert free.dtype == least.dtype == rival.dtype == given_energy.dtype == dtype

    expected = [np.zeros((B, T, S)), np.zeros((S, S)), np.zeros(S), np.zeros(S)]
    for b, (one, target) in enumerate(zip(chains, targets, strict=True)):
        n = len(target)
        assert close(free[b].item(), reference.free_energy(one, beta), tolerance)
        own, pairs = reference.posteriors(one, beta)
        assert close(posteriors[b, :n].numpy(), own, tolerance)
        assert not posteriors[b, n:].any()
        assert close(counts[b].numpy(), pairs, tolerance)
        g = factors[b].item()
        expected[0][b, :n] = g * own
        expected[1] += g * pairs
        expected[2] += g * own[0]
        expected[3] += g * own[-1]
        assert close(given_energy[b].item(), reference.path_energy(one, target), tolerance)
        best = reference.free_energy(one, math.inf)
        assert close(least[b].item(), best, tolerance)
        if math.isinf(best):
            assert paths[b].shape == (0,)
        else:
            assert close(reference.path_energy(one, paths[b].tolist()), best, tolerance)
        worst = reference.offending(one, target, cost)
        assert close(rival[b].item(), worst, tolerance)
        if math.isinf(worst):
            assert rivals[b].shape == (0,)
        else:
            assert rivals[b].tolist() != target
        count = min(4, 3**n)
        ranked = sorted(e for e, _ in reference.labellings(one) if math.isfinite(e))[:count]
        found = ops.n_best(x.detach()[b, :n], *(t.detach() for t in m), count)
        assert close([e for e, _ in found], ranked, tolerance)
        assert len({tuple(y.tolist()) for _, y in found}) == len(found)
    for gradient, truth in zip(gradients, expected, strict=True):
        assert close(gradient.numpy(), truth, tolerance * 10)


@pytest.mark.parametrize("force_log", [False, True])
@pytest.mark.parametrize("S", [1, 5, 33, 70])
def test_both_domains_agree_on_larger_chains(S, force_log):
    """float32 scaled, or log domain, against float64; sizes that do not fill the panels."""
    emissions, lengths, model, _ = draw(S, 11, 40, S, impossible=0.1)
    model[0].fill_diagonal_(0.5)
    args = emissions.numpy(), lengths.numpy(), cpu.Model(*(m.numpy() for m in model))
    exact = cpu.free_energies(*args, 1.0, True, force_log=True)
    narrow = [a.astype(np.float32) for a in (args[0], *args[2])]
    for gradient in (True, False):
        result = cpu.free_energies(
            narrow[0], args[1], cpu.Model(*narrow[1:]), 1.0, gradient, force_log
        )
        assert np.allclose(result.energies, exact.energies, rtol=1e-5)
    full = cpu.free_energies(narrow[0], args[1], cpu.Model(*narrow[1:]), 1.0, True, force_log)
    assert np.abs(full.posteriors - exact.posteriors).max() < 1e-4
    assert np.abs(full.counts - exact.counts).max() < 1e-3
    # A posterior sums to 1 in each frame, transitions to one for each step.
    feasible = np.isfinite(exact.energies)
    sums = exact.posteriors.sum((1, 2))[feasible]
    assert np.allclose(sums, args[1][feasible])
    assert np.allclose(exact.counts.sum((1, 2))[feasible], args[1][feasible] - 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("beta", [1.0, 30.0, 1e4, 1e39])
@pytest.mark.parametrize("gradient", [True, False])
def test_underflow_is_detected(dtype, beta, gradient):
    """Two labels that may not mix, and energies that first favour one, then, more, the other."""
    T = 60
    model = (torch.tensor([[0.0, math.inf], [math.inf, 0.0]]), torch.zeros(2), torch.zeros(2))
    emissions = torch.zeros(2, T, 2)
    emissions[0, : T // 2, 1] = 100.0  # after T/2 frames label 1 has a probability of exp(-3000)
    emissions[0, T // 2 :, 0] = 101.0
    emissions[1, :, 1] = 0.1
    x = emissions.to(dtype).requires_grad_(gradient)
    model = tuple(m.to(dtype) for m in model)
    free = ops.free_energy(x, torch.tensor([T, T]), *model, beta)
    tail = [math.log1p(math.exp(-beta * gap)) / beta for gap in (T / 2, 0.1 * T)]
    expected = [100.0 * T / 2 - tail[0], 0.0 - tail[1]]
    assert close(free.detach().numpy(), expected, 1e-5)
    if gradient:
        free.sum().backward()
        odds = math.exp(-beta * 0.1 * T) / (1 + math.exp(-beta * 0.1 * T))
        assert close(x.grad[0, :, 1].numpy(), np.ones(T), 1e-5)
        assert close(x.grad[1, :, 1].numpy(), np.full(T, odds), 1e-5)


def test_only_items_out_of_range_go_through_the_log_domain(monkeypatch):
    seen = []
    original = cpu._log
    monkeypatch.setattr(cpu, "_log", lambda *a: (seen.append(a[-1].tolist()), original(*a)))
    emissions, lengths, model, _ = draw(0, 4, 30, 3)
    lengths[:] = 30
    model[0][:] = torch.tensor([[0.0, 900, 900], [900, 0, 900], [900, 900, 0]])
    emissions[2, :15, 1:] += 900
    emissions[2, 15:, :2] += 900
    x = emissions.requires_grad_()
    ops.free_energy(x.float(), lengths, *(m.float() for m in model), 1.0)
    assert seen == [[2]]
    seen.clear()
    ops.free_energy(x, lengths, *model, 0.1)
    assert seen == []


@pytest.mark.parametrize("beta", [0.5, 4.0, math.inf])
def test_gradcheck(beta):
    emissions, lengths, model, labels = draw(3, 4, 5, 4)
    leaves = [t.clone().requires_grad_() for t in (emissions, *model)]

    def three(x, a, s, f):
        return (
            ops.free_energy(x, lengths, a, s, f, beta),
            ops.path_energy(x, lengths, labels, a, s, f),
            ops.offending(x, lengths, labels, a, s, f, 0.7)[0],
        )

    assert torch.autograd.gradcheck(three, leaves)


@pytest.mark.parametrize("with_posterior", [True, False])
def test_opcheck(with_posterior):
    emissions, lengths, model, labels = draw(1, 3, 5, 4)
    leaves = [t.requires_grad_(with_posterior) for t in (emissions, *model)]
    x, m = leaves[0], leaves[1:]
    ops = torch.ops.seqebm
    torch.library.opcheck(ops.chain_free_energies.default, (x, lengths, *m, 1.0, with_posterior))
    torch.library.opcheck(ops.chain_path_energies.default, (x, lengths, labels, *m))
    x, m = x.detach(), [t.detach() for t in m]
    torch.library.opcheck(ops.chain_best_paths.default, (x, lengths, *m, labels, 0.5))
    torch.library.opcheck(ops.chain_best_paths.default, (x, lengths, *m, labels[:0], 0.0))


@pytest.mark.parametrize("threads", [1, 3])
def test_items_do_not_depend_on_their_companions(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        emissions, lengths, model, _ = draw(5, 21, 12, 7)
        x, m = emissions.float(), [t.float() for t in model]
        free, gamma, counts = ops.posteriors(x, lengths, *m, 1.0)
        least, paths = ops.best_path(x, lengths, *m)
        for b, n in enumerate(lengths.tolist()):
            alone = ops.posteriors(x[b : b + 1, :n], lengths[b : b + 1], *m, 1.0)
            assert torch.equal(alone[0][0], free[b]) and torch.equal(alone[1][0], gamma[b, :n])
            assert torch.allclose(alone[2][0], counts[b], rtol=1e-5, atol=1e-6)
            one, path = ops.best_path(x[b : b + 1, :n], lengths[b : b + 1], *m)
            assert torch.equal(one[0], least[b]) and torch.equal(path[0], paths[b])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("beta", [1.0, 200.0, math.inf])
def test_twenty_thousand_frames_lose_no_digits_in_float32(beta):
    generator = torch.Generator().manual_seed(0)
    T, S = 20_000, 6
    emissions = torch.rand(2, T, S, generator=generator) * 20 + 5
    lengths = torch.tensor([T, T - 777])
    model = [torch.rand(S, S, generator=generator) * 5, torch.rand(S), torch.rand(S)]
    results = []
    for dtype in (torch.float32, torch.float64):
        x = emissions.to(dtype).requires_grad_()
        free = ops.free_energy(x, lengths, *(m.to(dtype) for m in model), beta)
        (gradient,) = torch.autograd.grad(free.sum(), x)
        assert torch.allclose(gradient.sum((1, 2)), lengths.to(dtype), rtol=1e-5)
        results.append((free.detach().double(), gradient.double()))
    assert torch.allclose(*(r[0] for r in results), rtol=1e-6)
    different = (results[0][1] - results[1][1]).abs().amax(2) > 1e-3
    # At beta = inf two labellings may be the same to float32.
    assert different.float().mean() < (1e-3 if beta > 1 else 1e-9)


def test_infeasible_items_give_zero_gradients():
    emissions, lengths, model, labels = draw(2, 2, 4, 3)
    emissions[1, int(lengths[1]) - 1] = math.inf
    for beta in (1.0, math.inf):
        leaves = [t.clone().requires_grad_() for t in (emissions, *model)]
        x, m = leaves[0], leaves[1:]
        for energy in (
            ops.free_energy(x, lengths, *m, beta),
            ops.path_energy(x, lengths, labels, *m),
            ops.offending(x, lengths, labels, *m)[0],
        ):
            assert torch.isinf(energy).tolist() == [False, True]
            factors = torch.tensor([1.0, math.inf], dtype=torch.float64)
            gradients = torch.autograd.grad(energy, leaves, factors)
            assert all(bool(torch.isfinite(g).all()) for g in gradients)
            assert not gradients[0][1].any()


def test_refusals_name_index_and_value():
    emissions, lengths, model, labels = draw(4, 2, 3, 3)
    lengths[:] = 3
    good = (emissions, lengths, *model)
    free = ops.free_energy
    with pytest.raises(ValueError, match="beta is 0"):
        free(*good, 0)
    with pytest.raises(ValueError, match=r"lengths\[1\] is 4"):
        free(emissions, torch.tensor([3, 4]), *model, 1.0)
    with pytest.raises(ValueError, match=r"transitions \(2, 3\)"):
        free(emissions, lengths, model[0][:2], *model[1:], 1.0)
    bad = emissions.clone()
    bad[1, 2, 0] = math.nan
    with pytest.raises(ValueError, match=r"emissions\[1, 2, 0\] is nan"):
        free(bad, lengths, *model, 1.0)
    final = model[2].clone()
    final[1] = -math.inf
    with pytest.raises(ValueError, match=r"final\[1\] is -inf"):
        free(emissions, lengths, *model[:2], final, 1.0)
    labels[0, 1] = 7
    with pytest.raises(ValueError, match=r"labels\[0, 1\] is 7; it must be 0 to 2"):
        ops.path_energy(emissions, lengths, labels, *model)
    labels[0, 1] = 1
    with pytest.raises(ValueError, match="cost is -1"):
        ops.offending(emissions, lengths, labels, *model, -1.0)


def test_empty_batches():
    empty = torch.zeros(0, 3, 2), torch.zeros(0, dtype=torch.int64)
    model = torch.zeros(2, 2), torch.zeros(2), torch.zeros(2)
    assert ops.free_energy(*empty, *model, 1.0).shape == (0,)
    assert ops.best_path(*empty, *model)[1] == []


def test_parity_with_pytorch_crf():
    torchcrf = pytest.importorskip("torchcrf")
    emissions, lengths, model, labels = draw(6, 5, 9, 4)
    crf = torchcrf.CRF(4, batch_first=True).double()
    with torch.no_grad():
        for parameter, ours in zip(
            (crf.transitions, crf.start_transitions, crf.end_transitions), model, strict=True
        ):
            parameter.copy_(-ours)
    mask = torch.arange(9) < lengths[:, None]
    theirs = crf(-emissions, labels, mask, reduction="none")
    ours = ops.free_energy(emissions, lengths, *model, 1.0)
    ours = ours - ops.path_energy(emissions, lengths, labels, *model)
    assert torch.allclose(ours, theirs)
    paths = ops.best_path(emissions, lengths, *model)[1]
    assert [p.tolist() for p in paths] == crf.decode(-emissions, mask)
