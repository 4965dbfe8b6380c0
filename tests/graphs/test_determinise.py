"""determinise and bind."""

import math
from collections import defaultdict

import numpy as np
import pytest
from graph_cases import graphs, linear, paths, rows, weight_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import GraphError
from seqebm.graphs import Graph, bind, determinise, enumerate_paths, total_energy


@settings(deadline=None, max_examples=30)
@given(graphs())
def test_bind(graph):
    for w in weight_vectors():
        bound = bind(graph, w)
        assert bound.weights == 0
        assert rows(enumerate_paths(bound, 4)) == rows(paths(graph, 4, w=w))


@settings(deadline=None, max_examples=60)
@given(graphs(cyclic=False, acceptor=True, states=6, arcs=9), st.sampled_from([0.5, 2.0, math.inf]))
def test_determinise(graph, beta):
    graph = bind(graph, weight_vectors()[0])
    derived = determinise(graph, beta)
    new = derived.graph
    new.check()
    pairs = list(zip(new.src.tolist(), new.ilabel.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs) and 0 not in new.ilabel and len(new.starts) <= 1
    strings = defaultdict(list)
    for path in enumerate_paths(graph, 6):
        strings[path.inputs].append(path.energy)
    found = {path.inputs: path.energy for path in enumerate_paths(new, 6)}
    found = {string: energy for string, energy in found.items() if energy < math.inf}
    assert found.keys() == strings.keys()
    for string, energies in strings.items():
        row = Graph.make(2, [(0, 1, 1, 1)] * len(energies), [0], [1], energies)
        np.testing.assert_allclose(found[string], total_energy(row, beta=beta), atol=1e-7)
    (origin,) = derived.maps
    assert origin.shape == (new.entries, graph.entries)
    for entry in range(new.arcs):
        old = origin[[entry]].indices
        assert len(old)
        assert new.ilabel[entry] in graph.ilabel[old[old < graph.arcs]]


def test_what_cannot_be_determinised():
    tied = Graph.make(2, [(0, 1, 1, 1)], [0], [1], weight=[0])
    with pytest.raises(GraphError, match="bind"):
        determinise(tied)
    with pytest.raises(GraphError, match="project"):
        determinise(linear([1], [2]))
    with pytest.raises(GraphError, match="state 0 lies on a cycle"):
        determinise(Graph.make(1, [(0, 0, 1, 1)], [0], [0]))
    with pytest.raises(GraphError, match="beta"):
        determinise(linear([1]), beta=-1)
    assert determinise(Graph.make(0, [], [], [])).graph.states == 0
