"""n best distinct strings against enumeration of paths."""

import numpy as np
import pytest
from graph_cases import graphs, linear, paths, weight_vectors
from hypothesis import given, settings

from seqebm.errors import GraphError
from seqebm.graphs import Graph, n_best, path_energy, union


def best_of_each(found):
    best = {}
    for p in found:
        best[p.outputs] = min(best.get(p.outputs, np.inf), p.energy)
    return best


def check(graph, w, n, best):
    result = n_best(graph, n, w)
    strings = [p.outputs for p in result]
    assert len(set(strings)) == len(strings) == min(n, len(best))
    energies = [p.energy for p in result]
    np.testing.assert_allclose(energies, sorted(best.values())[:n], atol=1e-9)
    for p in result:
        np.testing.assert_allclose(p.energy, best[p.outputs], atol=1e-9)
        np.testing.assert_allclose(path_energy(graph, p.entries, w), p.energy, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(graphs(cyclic=False, states=6, arcs=10))
def test_acyclic(graph):
    for w in weight_vectors():
        best = best_of_each(paths(graph, 6, w=w))
        for n in (1, 3, 100):
            check(graph, w, n, best)


@settings(deadline=None, max_examples=60)
@given(graphs(states=3, arcs=4))
def test_cyclic(graph):
    graph.energy[:] = np.abs(graph.energy) + 1  # each arc costs 1 or more
    found = best_of_each(paths(graph, 7, w=np.zeros(3)))
    result = n_best(graph, 4, np.zeros(3))
    # Paths that are longer cost more than 7 + 2.
    sure = {string: energy for string, energy in found.items() if energy < 9}
    assert len(result) >= min(4, len(sure))
    for p in result:
        if p.energy < 9:
            assert sure[p.outputs] == pytest.approx(p.energy)
    expected = sorted(sure.values())[:4]
    np.testing.assert_allclose([p.energy for p in result][: len(expected)], expected, atol=1e-9)


def test_ties_do_not_widen_the_search():
    words = 50
    rows = [(k, k + 1, 1, w) for k in range(30) for w in range(1, words)]
    result = n_best(Graph.make(31, rows, [0], [30]), 20)
    assert len({p.outputs for p in result}) == 20
    loop = Graph.make(1, [(0, 0, w, w) for w in range(1, words)], [0], [0])
    assert n_best(loop, 1)[0].outputs == ()
    assert len(n_best(loop, 300)) == 300


def test_many_alignments_of_few_strings():
    # Each string has a great many paths; a plain n-best of paths would list one string only.
    rows = [(k, k + 1, 1, 0) for k in range(40)] * 3
    noisy = Graph.make(41, rows, [0], [40], np.random.default_rng(0).random(120))
    both = union(noisy, Graph.make(41, [(0, 1, 1, 5), *rows[1:]], [0], [40], [100.0])).graph
    assert [p.outputs for p in n_best(both, 5)] == [(), (5,)]


def test_nothing_to_find():
    assert n_best(Graph.make(0, [], [], []), 3) == []
    assert n_best(Graph.make(2, [], [0], [1]), 3) == []
    assert n_best(linear([1]), 0) == []
    blocked = linear([1])
    blocked.energy[0] = np.inf
    assert n_best(blocked, 3) == []
    with pytest.raises(GraphError, match="n is -1"):
        n_best(linear([1]), -1)
    loop = Graph.make(1, [(0, 0, 1, 1)], [0], [0], [-1.0])
    with pytest.raises(GraphError, match="negative"):
        n_best(loop, 2)
