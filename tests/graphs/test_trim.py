"""connect, sorting and cycles."""

import numpy as np
import pytest
from graph_cases import check_maps, check_same, graphs, paths, rows, weight_vectors
from hypothesis import given, settings

from seqebm.errors import GraphError
from seqebm.graphs import (
    Graph,
    arc_sort,
    connect,
    enumerate_paths,
    epsilon_order,
    strongly_connected,
    topological_order,
    topological_sort,
    union,
)
from seqebm.graphs.trim import separate

N = 4


def check_same_paths(derived, graph):
    check_maps(derived, graph)
    for w in weight_vectors():
        check_same(rows(paths(derived.graph, N, w=w)), rows(paths(graph, N, w=w)))


@settings(deadline=None, max_examples=60)
@given(graphs(states=3, arcs=5))
def test_connect_keeps_what_is_on_a_path(graph):
    derived = connect(graph)
    check_same_paths(derived, graph)
    used = {entry for p in enumerate_paths(graph, 2 * graph.states) for entry in p.entries}
    kept = set(derived.maps[0].indices.tolist())
    # Every entry lies on a path of at most 2 S arcs, if on any.
    assert kept == used


@settings(deadline=None, max_examples=30)
@given(graphs())
def test_arc_sort(graph):
    for by in ("ilabel", "olabel"):
        derived = arc_sort(graph, by)
        check_same_paths(derived, graph)
        new = derived.graph
        pairs = list(zip(new.src.tolist(), getattr(new, by).tolist(), strict=True))
        assert pairs == sorted(pairs)
    with pytest.raises(GraphError, match="'weight'"):
        arc_sort(graph, "weight")


@settings(deadline=None, max_examples=30)
@given(graphs(cyclic=False))
def test_topological_sort(graph):
    derived = topological_sort(graph)
    check_same_paths(derived, graph)
    assert np.all(derived.graph.src < derived.graph.dst)
    assert sorted(topological_order(graph)) == list(range(graph.states))


def same(one, other):
    for name in ("src", "dst", "ilabel", "olabel", "starts", "finals", "energy"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.states == other.states
    assert (one.ties.toarray() == other.ties.toarray()).all()


@settings(deadline=None, max_examples=60)
@given(graphs(), graphs(), graphs())
def test_separate_undoes_union(first, second, third):
    three = (first, second, third)
    parts = [part for graph in three for part in separate(graph)]
    for part in parts:
        part.check()
    again = separate(union(*parts).graph)
    assert len(again) == len(parts)
    for one, other in zip(again, parts, strict=True):
        same(one, other)
    assert sum(part.arcs for part in parts) == sum(graph.arcs for graph in three)


def test_cycles_are_named():
    graph = Graph.make(4, [(0, 1, 1, 1), (1, 2, 0, 1), (2, 1, 1, 1), (2, 3, 0, 0)], [0], [3])
    with pytest.raises(GraphError, match="state 1 lies on a cycle"):
        topological_sort(graph)
    assert list(epsilon_order(graph)) == [0, 1, 2, 3]
    component = strongly_connected(graph)
    assert component[1] == component[2] and len(set(component)) == 3
    assert len(set(strongly_connected(graph, epsilon_only=True))) == 4
    loop = Graph.make(2, [(0, 0, 0, 1), (0, 1, 1, 1)], [0], [1])
    with pytest.raises(GraphError, match="state 0 lies on a cycle of epsilon arcs"):
        epsilon_order(loop)


def test_empty_graph():
    empty = Graph.make(0, [], [], [])
    for operation in (connect, arc_sort, topological_sort):
        assert operation(empty).graph.states == 0
    assert len(strongly_connected(empty)) == 0
