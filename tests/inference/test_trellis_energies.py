"""The trellis of any graph, epsilon cycles included, against all paths one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from graph_strings import paths
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from seqebm.errors import DataError, GraphError
from seqebm.graphs import Graph, ctc_linear
from seqebm.hooks import Request
from seqebm.inference.free_energy import free_energy
from seqebm.inference.trellis import Trellis, prepare, together

CLASSES, WEIGHTS = 2, 4
EPSILONS = 7  # of an enumerated path: three are enough to get anywhere, five more weigh exp(-30)
BETAS = st.sampled_from([0.1, 1.0, 5.0, math.inf])
relaxed = settings(deadline=None, max_examples=25)


def draw(rng):
    """A random transducer of three states; its two epsilon arcs often make a cycle.

    They share weight 0, the other entries have other weights or none.
    """
    count = int(rng.integers(3, 8))
    ends = rng.integers(0, 3, (count, 2))
    ends[:2] = [[[0, 1], [1, 0]], [[1, 1], [0, 1]], [[2, 2], [2, 2]], ends[:2]][rng.integers(4)]
    reads = np.where(np.arange(count) < 2, 0, rng.integers(1, CLASSES + 1, count))
    writes = np.where(reads > 0, rng.integers(0, 3, count), 0)
    finals = np.unique(rng.integers(0, 3, 2))
    entries = count + 1 + len(finals)
    weight = rng.integers(0, WEIGHTS, entries)
    weight[weight == 0] = -1
    weight[:2] = 0
    energy = rng.normal(size=entries)
    energy[:2] = rng.uniform(0, 1, 2)
    arcs = np.column_stack([ends, reads, writes])
    return Graph.make(3, arcs, [0], finals, energy, weight, WEIGHTS)


def case(seed, beta=1.0, items=3):
    """Graphs, and their trellis of 1 to 2 frames with NaN in the padding."""
    rng = np.random.default_rng(seed)
    graphs = [draw(rng) for _ in range(items)]
    emissions = torch.from_numpy(rng.normal(size=(items, 2, CLASSES)))
    lengths = torch.from_numpy(rng.integers(1, 3, items))
    emissions[torch.arange(2) >= lengths[:, None]] = math.nan
    weights = torch.from_numpy(rng.normal(size=WEIGHTS))
    weights[0] = 6 / beta if math.isfinite(beta) else 0.1
    return graphs, emissions, lengths, weights


def enumerate_item(graph, emissions, frames, weights):
    """(writes, energy) of every path of just so many frames."""
    for reads, writes, energy, _ in paths(graph, frames, weights.numpy(), EPSILONS):
        if len(reads) == frames:
            seen = sum(float(emissions[t, c - 1]) for t, c in enumerate(reads))
            yield writes, float(energy) + seen


def soften(energies, beta):
    values = torch.tensor(energies, dtype=torch.float64)
    return float(free_energy(values, beta)) if len(energies) else math.inf


def expectation(pairs, beta):
    """Expected cost of (energy, cost) pairs; inf if there are none."""
    if not pairs:
        return math.inf
    energies, costs = torch.tensor(pairs, dtype=torch.float64).T
    if math.isinf(beta):
        return float(costs[energies.argmin()])
    return float(torch.softmax(-beta * energies, 0) @ costs)


def hamming(a, b):
    return sum(x != y for x, y in zip(a, b, strict=False)) + abs(len(a) - len(b))


COSTS = {None: lambda a, b: 0, "hamming": hamming,
         "edit": lambda a, b: min(2, Levenshtein.distance(a, b))}  # fmt: skip


@relaxed
@given(st.integers(0, 2**32 - 1), BETAS, st.sampled_from([*COSTS]))
def test_numbers_are_those_of_all_paths(seed, beta, cost):
    graphs, emissions, lengths, weights = case(seed, beta)
    lattice = Trellis(together([prepare(g) for g in graphs]), emissions, lengths, weights)
    rng = np.random.default_rng(seed + 1)
    targets = [tuple(rng.integers(1, 3, rng.integers(0, 3)).tolist()) for _ in graphs]
    request = Request(cost=cost, scale=0.7, cap=2)
    terms = lattice.terms(targets, beta, request)
    risk = lattice.terms(targets, beta, request._replace(risk=bool(cost))).risk
    free, _, counts = lattice.posteriors(beta)
    best = [own[0].value if own else None for own in lattice.best()]
    ranked = lattice.best(3)
    least, found = lattice.best_path()
    along = lattice.path_energies(found)
    for b, (graph, target) in enumerate(zip(graphs, targets, strict=True)):
        own = list(enumerate_item(graph, emissions[b], int(lengths[b]), weights))
        every = soften([e for _, e in own], beta)
        less = [e - 0.7 * COSTS[cost](w, target) for w, e in own]
        assert terms.contrastive[b].item() == pytest.approx(soften(less, beta), abs=1e-9)
        if cost:  # expected, under the distribution of all paths
            mean = expectation([(e, COSTS[cost](w, target)) for w, e in own], beta)
            assert risk[b].item() == pytest.approx(mean, abs=1e-6)
        assert free[b].item() == pytest.approx(every, abs=1e-9)
        right = [e for w, e in own if w == target]
        assert terms.correct[b].item() == pytest.approx(soften(right, beta), abs=1e-9)
        wrong = [(e - 0.7 * COSTS[cost](w, target), w) for w, e in own if w != target]
        rival = [e for e, w in wrong if w == min(wrong)[1]]
        assert terms.offending[b].item() == pytest.approx(soften(rival, beta), abs=1e-9)
        strings: dict = {}
        for w, e in own:
            strings[w] = min(e, strings.get(w, math.inf))
        order = sorted(strings, key=strings.__getitem__)
        # Strings of one energy (it happens) come in any order.
        assert (best[b] is None) == (not order)
        assert not order or strings[best[b]] == pytest.approx(strings[order[0]])
        assert len({a.value for a in ranked[b]}) == len(ranked[b]) == len(order[:3])
        ranks = [strings[a.value] for a in ranked[b]]
        assert ranks == pytest.approx([strings[w] for w in order[:3]])
        assert [a.energy for a in ranked[b]] == pytest.approx([strings[w] for w in order[:3]])
        expected = strings[order[0]] if order else math.inf
        assert least[b].item() == pytest.approx(expected)
        assert along[b].item() == pytest.approx(expected)
        if order:  # every path has one start and one final
            first, last = lattice.prepared.packed.entry_offsets[b : b + 2]
            ends = len(lattice.graph(b).starts) + len(lattice.graph(b).finals)
            assert counts[first:last][-ends:].sum().item() == pytest.approx(2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beta", [0.7, math.inf])
def test_gradients_through_the_closure(seed, beta):
    graphs, emissions, lengths, weights = case(100 + seed, beta)
    prepared = together([prepare(g) for g in graphs])
    assert prepared.cycles
    emissions = torch.nan_to_num(emissions).requires_grad_()
    weights[0] = 1.5  # so that ways around weigh something
    weights.requires_grad_()

    def numbers(x, w):
        free = Trellis(prepared, x, lengths, w).free_energy(beta)
        return free[torch.isfinite(free.detach())]

    assert len(numbers(emissions, weights))
    assert torch.autograd.gradcheck(numbers, (emissions, weights))


def test_answers_within_a_beam_are_those_of_least_energy():
    graphs, emissions, lengths, weights = case(11)
    lattice = Trellis(together([prepare(g) for g in graphs]), emissions, lengths, weights)
    for all_of, some in zip(lattice.best(50), lattice.best(50, beam=1.5), strict=True):
        near = [a for a in all_of if a.energy <= all_of[0].energy + 1.5]
        assert [a.value for a in some][: len(near)] == [a.value for a in near]


@pytest.mark.parametrize(("beta", "around"), [(1.0, -0.1), (math.inf, -0.1), (0.1, 0.0)])
def test_an_epsilon_cycle_without_bound_is_an_error(beta, around):
    arcs = [(0, 1, 0, 0), (1, 0, 0, 0), (1, 1, 1, 1)]
    graph = Graph.make(2, arcs, [0], [1], energy=[1.0, around - 1.0])
    lattice = Trellis(prepare(graph), torch.zeros(1, 2, 1), torch.tensor([2]), torch.zeros(0))
    with pytest.raises(GraphError, match=r"epsilon cycle through state .* has energy"):
        lattice.free_energy(beta)


@pytest.mark.parametrize(
    "graph",
    [
        Graph.make(0, [], [], []),
        Graph.make(1, [(0, 0, 1, 1)], [0], []),
        Graph.make(1, [(0, 0, 1, 1)], [], [0]),
        Graph.make(3, [(0, 0, 1, 1), (1, 2, 1, 1)], [0], [2]),
        Graph.make(2, [(0, 0, 1, 1), (0, 1, 1, 1)], [0], [1], [0.0, math.inf]),
        Graph.make(2, [(0, 1, 0, 0), (1, 0, 0, 0)], [0], [1], [1.0, 1.0]),  # reads nothing
    ],
    ids=["empty", "no final", "no start", "unreachable", "impossible", "only epsilons"],
)
@pytest.mark.parametrize("beta", [1.0, math.inf])
def test_without_any_path(graph, beta):
    """+inf, no gradient, no answer: and what else is in the batch is as it was."""
    good = Graph.make(1, [(0, 0, 1, 1)], [0], [0], weight=[0])
    emissions = torch.randn(2, 3, 1, dtype=torch.float64, requires_grad=True)
    weights = torch.ones(1, dtype=torch.float64, requires_grad=True)
    lattice = Trellis(
        together([prepare(graph), prepare(good)]), emissions, torch.tensor([3, 3]), weights
    )
    free = lattice.free_energy(beta)
    assert free[0] == math.inf
    assert free[1].item() == pytest.approx(3 + emissions[1].sum().item())
    free.sum().backward()
    assert not emissions.grad[0].any() and bool((emissions.grad[1] == 1).all())
    assert weights.grad.item() == pytest.approx(3)
    assert lattice.best_path()[1][0] is None and lattice.best()[0] == []
    assert lattice.best(2)[0] == [] and len(lattice.best(2)[1]) == 1
    terms = lattice.terms([(1,), (1, 1, 1)], beta)
    assert terms.correct[0] == terms.contrastive[0] == terms.offending[0] == math.inf
    assert terms.offending[1] == math.inf  # there is no other answer


def test_what_else_can_be_wrong():
    graph = Graph.make(1, [(0, 0, 1, 1)], [0], [0])
    lattice = Trellis(prepare(graph), torch.zeros(1, 2, 1), torch.tensor([2]), torch.zeros(0))
    with pytest.raises(DataError, match="2 targets for 1 items"):
        lattice.terms([(1,), (1,)], 1.0)
    with pytest.raises(GraphError, match="n is -1"):
        lattice.best(-1)


@relaxed
@given(st.integers(0, 2**32 - 1))
def test_ctc_is_a_graph(seed):
    """Value and gradient of torch's CTC, repeated labels and targets that do not fit included."""
    rng = np.random.default_rng(seed)
    B, T, C = 4, 8, 4
    lengths = torch.from_numpy(rng.integers(1, T + 1, B))
    targets = [rng.integers(1, C, rng.integers(0, 6)).tolist() for _ in range(B)]
    scores = torch.from_numpy(rng.normal(size=(B, T, C))).requires_grad_()
    arguments = (
        torch.log_softmax(scores, 2).transpose(0, 1), torch.tensor([n for t in targets for n in t]),
        lengths, torch.tensor([len(t) for t in targets]),
    )  # fmt: skip
    expected = torch.nn.functional.ctc_loss(*arguments, reduction="none")
    # Without zero_infinity the gradient of what does not fit is NaN.
    total = torch.nn.functional.ctc_loss(*arguments, reduction="sum", zero_infinity=True)
    graphs = together([prepare(ctc_linear(target)) for target in targets])
    found = Trellis(
        graphs, -torch.log_softmax(scores, 2), lengths, torch.zeros(0, dtype=torch.float64)
    ).free_energy(1.0)
    torch.testing.assert_close(found, expected)
    fits = torch.isfinite(expected.detach())
    assert torch.equal(fits, lengths >= torch.from_numpy(graphs.packed.minimum_frames))
    (theirs,) = torch.autograd.grad(total, scores)
    (ours,) = torch.autograd.grad(found.sum(), scores)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("beta", [0.1, 1.0, 30.0, math.inf])
def test_twenty_thousand_frames(beta):
    """float32 in and out, yet as exact as float64: the energy is above 1e5."""
    rng = np.random.default_rng(2)
    graph = Graph.make(
        3, [(0, 0, 1, 0), (0, 1, 2, 1), (1, 1, 2, 0), (1, 2, 0, 0), (2, 0, 1, 0)], [0], [0, 1],
        weight=[0, 1, 0, 1, 0],
    )  # fmt: skip
    emissions = torch.from_numpy(rng.uniform(9, 21, (1, 20_000, 2)).astype(np.float32))
    results = []
    for dtype in (torch.float64, torch.float32):
        x = emissions.to(dtype).requires_grad_()
        weights = torch.tensor([0.5, 1.5], dtype=dtype, requires_grad=True)
        free = Trellis(prepare(graph), x, torch.tensor([20_000]), weights).free_energy(beta)
        free.sum().backward()
        results.append((free.item(), x.grad.double(), weights.grad.double()))
    (exact, posterior, counts), (single, rough, rough_counts) = results
    assert 1e5 < exact < 4e5 and single == pytest.approx(exact, rel=1e-7)
    torch.testing.assert_close(rough, posterior, atol=1e-5, rtol=0)
    torch.testing.assert_close(rough_counts, counts, rtol=1e-6, atol=0)
    torch.testing.assert_close(posterior.sum(2), torch.ones(1, 20_000, dtype=torch.float64))
