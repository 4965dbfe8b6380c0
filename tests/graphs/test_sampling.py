"""Random paths and equivalence by random testing."""

import math

import numpy as np
import pytest
from graph_cases import graphs, linear, weight_vectors
from hypothesis import given, settings

from seqebm.graphs import (
    Graph,
    arc_sort,
    bind,
    connect,
    enumerate_paths,
    equivalent,
    path_energy,
    random_paths,
    remove_epsilon,
    reverse,
)


@settings(deadline=None, max_examples=40)
@given(graphs())
def test_random_paths_are_paths(graph):
    rng = np.random.default_rng(0)
    w = weight_vectors()[0]
    found = random_paths(graph, 20, rng, max_length=4, weights=w)
    possible = {p.entries for p in enumerate_paths(graph, 4)}
    assert len(found) == (20 if possible else 0)
    for p in found:
        assert p.entries in possible
        assert path_energy(graph, p.entries, w) == pytest.approx(p.energy)


def test_random_paths_avoid_infinite_energies_and_reach_everything_else():
    graph = Graph.make(2, [(0, 1, k, k) for k in range(1, 6)], [0], [1], [0, math.inf])
    found = random_paths(graph, 200, np.random.default_rng(0))
    assert {p.outputs for p in found} == {(1,), (3,), (4,), (5,)}


@settings(deadline=None, max_examples=12)
@given(graphs(epsilon="forward"))
def test_equivalent_graphs(graph):
    rng = np.random.default_rng(0)
    for other in (remove_epsilon(graph), connect(graph), arc_sort(graph)):
        for beta in (1.0, math.inf):
            try:
                assert equivalent(graph, other.graph, rng, 10, 5, beta)
            except Exception as error:
                assert "negative" in str(error)


def test_differences_are_found():
    rng = np.random.default_rng(0)
    a = Graph.make(1, [(0, 0, 1, 1), (0, 0, 2, 2)], [0], [0], [0.5, 1.0])
    assert equivalent(a, a, rng)
    assert not equivalent(a, Graph.make(1, [(0, 0, 1, 1)], [0], [0], [0.5]), rng)
    assert not equivalent(Graph.make(1, [(0, 0, 1, 1)], [0], [0], [0.5]), a, rng)
    assert not equivalent(a, Graph.make(1, a_rows(2), [0], [0], [0.5, 1.5]), rng)
    assert not equivalent(a, Graph.make(1, a_rows(3), [0], [0], [0.5, 1.0]), rng)
    # Twice the same path: the same minimum, another free energy.
    twice = Graph.make(2, [(0, 1, 1, 1)] * 2, [0], [1])
    assert equivalent(linear([1]), twice, rng)
    assert not equivalent(linear([1]), twice, rng, beta=1.0)
    # Ties count: the same at w = 0 only.
    tied = Graph.make(2, [(0, 1, 1, 1)], [0], [1], weight=[0])
    assert not equivalent(tied, linear([1]), rng)
    assert equivalent(bind(tied), reverse(linear([1])).graph, rng)


def a_rows(output):
    return [(0, 0, 1, 1), (0, 0, 2, output)]
