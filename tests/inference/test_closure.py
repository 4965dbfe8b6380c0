"""Closures of epsilon cycles against linear algebra and shortest paths."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import floyd_warshall

from seqebm.errors import GraphError
from seqebm.graphs import Graph
from seqebm.inference.closure import close


def ring(k: int, extra: int, rng: np.random.Generator) -> Graph:
    """k states on one epsilon ring with extra epsilon arcs, each arc with a weight of its own."""
    ends = [(s, (s + 1) % k) for s in range(k)]
    ends += [tuple(rng.integers(0, k, 2)) for _ in range(extra)]
    arcs = [(s, d, 0, 0) for s, d in ends] + [(0, k, 1, 1), (k, k - 1, 2, 0)]
    return Graph.make(k + 1, arcs, [0], [k], weight=range(len(arcs)))


@given(st.integers(1, 5), st.integers(0, 4), st.sampled_from([0.5, 1.0, 4.0]), st.integers(0, 999))
def test_walks_sum_to_the_inverse(k, extra, beta, seed):
    rng = np.random.default_rng(seed)
    graph = ring(k, extra, rng)
    closed, (component,) = close(graph)
    weights = torch.from_numpy(rng.uniform(2.5, 6.0, graph.weights) / beta)
    step = np.zeros((k, k))
    for src, dst, weight in zip(graph.src, graph.dst, weights.tolist(), strict=True):
        if src < k and dst < k:
            step[src, dst] += math.exp(-beta * weight)
    expected = -np.log(np.linalg.inv(np.eye(k) - step)) / beta
    energies = component.energies(weights, beta).reshape(k, k)
    np.testing.assert_allclose(energies.numpy(), expected, rtol=1e-9, atol=1e-9)
    assert closed.states == graph.states + k and closed.arcs == 2 + k * k


@given(st.integers(1, 5), st.integers(0, 4), st.integers(0, 999))
def test_least_walks(k, extra, seed):
    rng = np.random.default_rng(seed)
    graph = ring(k, extra, rng)
    (component,) = close(graph)[1]
    weights = torch.from_numpy(rng.uniform(0.0, 3.0, graph.weights))
    step = np.full((k, k), math.inf)
    for src, dst, weight in zip(graph.src, graph.dst, weights.tolist(), strict=True):
        if src < k and dst < k:
            step[src, dst] = min(step[src, dst], weight)
    np.fill_diagonal(step, 0.0)
    energies = component.energies(weights, math.inf).reshape(k, k)
    np.testing.assert_allclose(energies.numpy(), floyd_warshall(step), atol=1e-12)


def test_gradient():
    graph = ring(3, 2, np.random.default_rng(1))
    (component,) = close(graph)[1]
    weights = torch.linspace(1.0, 2.0, graph.weights, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: component.energies(w, 1.3), weights)


@pytest.mark.parametrize(("beta", "around"), [(math.inf, -0.1), (1.0, -0.1), (1.0, 0.0)])
def test_cycles_without_bound_are_named(beta, around):
    graph = Graph.make(2, [(0, 1, 0, 0), (1, 0, 0, 0)], [0], [1], energy=[1.0, around - 1.0])
    (component,) = close(graph)[1]
    with pytest.raises(GraphError, match=r"cycle through state .* energy"):
        component.energies(torch.zeros(0), beta)


def test_nothing_to_close():
    graph = Graph.make(2, [(0, 1, 0, 0), (1, 0, 1, 0)], [0], [1])
    assert close(graph) == (graph, [])


def test_cycles_that_write_are_refused():
    graph = Graph.make(1, [(0, 0, 0, 3)], [0], [0])
    with pytest.raises(GraphError, match="writes label 3"):
        close(graph)
