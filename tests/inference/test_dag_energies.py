"""The dag lattice against enumeration of all paths, and every loss on it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from seqebm.errors import DataError, GraphError
from seqebm.graphs import Graph, enumerate_paths
from seqebm.hooks import Request, get_host
from seqebm.inference.dag import Dag

NAMES = get_host().registry.names("losses")
relaxed = settings(deadline=None, max_examples=25)


def draw(rng, weights=3):
    """A random acyclic transducer over output labels 1, 2 (0: none), with tied weights."""
    states = int(rng.integers(2, 6))
    ends = np.sort(np.array([rng.choice(states, 2, replace=False) for _ in range(9)]), 1)
    labels = rng.integers(0, 3, (9, 2))
    finals = np.unique(np.append(rng.integers(0, states, 1), states - 1))
    entries = 9 + 1 + len(finals)
    return Graph.make(
        states, np.concatenate([ends, labels], 1), [0], finals, rng.normal(size=entries),
        rng.integers(-1, weights, entries), weights,
    )  # fmt: skip


def softmin(energies, beta):
    energies = np.array(energies)
    if not len(energies) or math.isinf(beta):
        return float(energies.min(initial=math.inf))
    least = energies.min()
    return float(least - np.log(np.exp(-beta * (energies - least)).sum()) / beta)


def hamming(a, b):
    short = min(len(a), len(b))
    return sum(x != y for x, y in zip(a, b, strict=False)) + max(len(a), len(b)) - short


COSTS = {"hamming": hamming, "edit": lambda a, b: min(2, Levenshtein.distance(a, b))}


@relaxed
@given(
    seed=st.integers(0, 2**32 - 1), beta=st.sampled_from([0.1, 1.0, 5.0, math.inf]),
    cost=st.sampled_from([None, *COSTS]),
)  # fmt: skip
def test_numbers_are_those_of_all_paths(seed, beta, cost):
    rng = np.random.default_rng(seed)
    graphs = [draw(rng) for _ in range(3)]
    weights = torch.tensor(rng.normal(size=3))
    targets = [tuple(rng.integers(1, 3, rng.integers(0, 4)).tolist()) for _ in graphs]
    dag = Dag.of(graphs, weights)
    request = Request(cost=cost, scale=0.7, cap=2)
    terms = dag.terms(targets, beta, request)
    free, posteriors = dag.posteriors(beta)
    best, ranked = dag.best_path(), dag.best(3)
    sizes = [g.entries for g in graphs]
    for g, own in enumerate(posteriors.split(sizes)):
        paths = list(enumerate_paths(graphs[g], 9, weights=weights.numpy()))
        right = [p.energy for p in paths if p.outputs == targets[g]]
        charge = (lambda outputs, t: COSTS[cost](outputs, t) * 0.7) if cost else lambda *_: 0.0
        costly = {p: p.energy - charge(p.outputs, targets[g]) for p in paths}
        wrong = [p for p in paths if p.outputs != targets[g]]
        worst = min(wrong, key=costly.__getitem__).outputs if wrong else None
        rival = [costly[p] for p in wrong if p.outputs == worst]
        every = softmin([p.energy for p in paths], beta)
        assert terms.correct[g].item() == pytest.approx(softmin(right, beta))
        assert terms.contrastive[g].item() == pytest.approx(softmin(list(costly.values()), beta))
        assert terms.offending[g].item() == pytest.approx(softmin(rival, beta))
        assert free[g].item() == pytest.approx(every)
        if not math.isinf(beta):
            expected = np.zeros(sizes[g])
            for p in paths:
                expected[list(p.entries)] += math.exp(-beta * (p.energy - every))
            assert np.allclose(own.numpy(), expected)
        strings = {}
        for p in paths:
            strings[p.outputs] = min(p.energy, strings.get(p.outputs, math.inf))
        found = best[g]
        assert (found is None) == (not paths)
        assert found is None or found.energy == pytest.approx(min(strings.values()))
        assert [p.energy for p in ranked[g]] == pytest.approx(sorted(strings.values())[:3])


@pytest.mark.parametrize("beta", [0.7, math.inf])
def test_gradcheck_through_the_operations(beta):
    rng = np.random.default_rng(7)
    graphs = [draw(rng) for _ in range(3)]
    weights = torch.tensor(rng.normal(size=3), requires_grad=True)
    targets = [next(enumerate_paths(g, 9)).outputs for g in graphs]

    def numbers(w):
        terms = Dag.of(graphs, w).terms(targets, beta, Request(cost="hamming"))
        return terms.correct, terms.contrastive, terms.offending

    assert all(bool(torch.isfinite(n).all()) for n in numbers(weights))
    assert torch.autograd.gradcheck(numbers, (weights,))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("beta", [1.0, math.inf])
def test_every_loss_runs(name, beta):
    rng = np.random.default_rng(7)
    graphs = [draw(rng) for _ in range(3)]
    targets = [next(enumerate_paths(g, 9)).outputs for g in graphs]
    weights = torch.tensor([0.5, 1.0, 2.0], requires_grad=True)
    energies = Dag.of(graphs, weights).energies + 20  # some losses need energies above 0
    loss = get_host().registry.make("losses", {"name": name}, "loss")
    values = loss(Dag(graphs, energies).terms(targets, beta, loss.request))
    (gradient,) = torch.autograd.grad(values.sum(), weights)
    assert bool(torch.isfinite(values).all() and torch.isfinite(gradient).all())


def test_a_segmentation_graph():
    """Three pieces of ink; pieces may be joined. 'rn' or 'm'? (LeCun et al. 1998, figure 18.)"""
    m, r, n, i = 1, 2, 3, 4
    arcs = [(0, 1, 0, r), (1, 3, 0, n), (0, 2, 0, n), (2, 3, 0, i), (0, 3, 0, m), (1, 2, 0, i)]
    graph = Graph.make(4, arcs, [0], [3], [1.0, 1.5, 2.0, 0.4, 2.2, 3.0])
    dag = Dag.of([graph])
    assert dag.best_path()[0].outputs == (m,)
    assert [p.value for p in dag.best(4)[0]] == [(m,), (n, i), (r, n), (r, i, i)]
    terms = dag.terms([(r, n)], math.inf)
    assert [round(x.item(), 3) for x in terms[:3]] == [2.5, 2.2, 2.2]


def test_an_answer_that_no_path_writes_is_infeasible():
    graph = Graph.make(2, [(0, 1, 0, 1)], [0], [1])
    weights = torch.zeros(0, requires_grad=True)
    terms = Dag.of([graph], weights).terms([(2,)], 1.0)
    assert terms.correct.item() == math.inf and terms.offending.item() == 0
    assert Dag.of([graph]).terms([(1,)], 1.0).offending.item() == math.inf
    empty = Graph.make(0, [], [], [])
    assert Dag.of([empty]).best_path() == [None]


def test_errors():
    loop = Graph.make(3, [(0, 1, 0, 1), (1, 1, 0, 2), (1, 2, 0, 1)], [0], [2])
    good = Graph.make(2, [(0, 1, 0, 1)], [0], [1])
    with pytest.raises(GraphError, match="graph 1: state 1 lies on a cycle"):
        Dag.of([good, loop])
    with pytest.raises(GraphError, match=r"\(2,\) do not fit the 3 entries"):
        Dag([good], torch.zeros(2))
    with pytest.raises(DataError, match="2 targets for 1 items"):
        Dag.of([good]).terms([(1,), (1,)], 1.0)
