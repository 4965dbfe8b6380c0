"""remove_epsilon against enumeration of paths."""

import numpy as np
import pytest
from graph_cases import check_maps, check_same, graphs, paths, rows, weight_vectors
from hypothesis import given, settings

from seqebm.errors import GraphError
from seqebm.graphs import Graph, enumerate_paths, remove_epsilon

L = 2  # most labels of a path


def check_removed(graph, inputs_only):
    derived = remove_epsilon(graph, inputs_only=inputs_only)
    check_maps(derived, graph)
    new = derived.graph
    silent = new.ilabel == 0 if inputs_only else (new.ilabel == 0) & (new.olabel == 0)
    assert not silent.any()
    for w in weight_vectors():
        before = paths(graph, (2 * L + 1) * graph.states, L, w=w)
        check_same(rows(paths(new, 2 * L, L, w=w)), rows(before))
    return derived


@settings(deadline=None, max_examples=100)
@given(graphs(epsilon="forward"))
def test_remove_epsilon(graph):
    check_removed(graph, False)


@settings(deadline=None, max_examples=100)
@given(graphs(epsilon="forward"))
def test_remove_input_epsilons_or_refuse(graph):
    try:
        remove_epsilon(graph, inputs_only=True)
    except GraphError as error:
        assert "write" in str(error)
        return
    check_removed(graph, True)


def test_parallel_paths_and_ways_to_the_end_stay_apart():
    arcs = [(0, 1, 1, 1), (1, 2, 0, 0), (1, 2, 0, 0), (2, 3, 0, 0), (2, 2, 2, 2)]
    graph = Graph.make(4, arcs, [0], [1, 2, 3], np.arange(9) / 8, [0, 1, 2, 0, 1, 2, 0, 1, 2])
    derived = check_removed(graph, False)
    # 1 | 1 eps | 1 eps' | 1 eps eps | 1 eps' eps: five paths that read 1.
    assert sum(p.inputs == (1,) for p in enumerate_paths(derived.graph, 5)) == 5


def test_only_the_empty_string():
    graph = Graph.make(3, [(0, 1, 0, 0), (0, 1, 0, 0), (1, 2, 0, 0)], [0], [1, 2], [1.0, 2.0, 4.0])
    energies = sorted(p.energy for p in enumerate_paths(remove_epsilon(graph).graph, 3))
    assert energies == [1.0, 2.0, 5.0, 6.0]


def test_outputs_move_to_the_next_arc():
    graph = Graph.make(3, [(0, 1, 0, 5), (1, 2, 3, 0), (2, 2, 4, 0)], [0], [2])
    new = remove_epsilon(graph, inputs_only=True).graph
    assert rows(enumerate_paths(new, 2)) == [((3,), (5,), 0.0), ((3, 4), (5,), 0.0)]


def test_outputs_without_a_place_are_refused():
    crowded = Graph.make(3, [(0, 1, 0, 5), (1, 2, 3, 6)], [0], [2])
    with pytest.raises(GraphError, match=r"from state 0 to state 2 .* labels \[5, 6\]"):
        remove_epsilon(crowded, inputs_only=True)
    ending = Graph.make(3, [(0, 1, 3, 5), (1, 2, 0, 6)], [0], [2])
    with pytest.raises(GraphError, match=r"from state 1 .* leads to the end"):
        remove_epsilon(ending, inputs_only=True)
    # Where no path leads, nothing is refused.
    dead = Graph.make(4, [(0, 1, 3, 5), (1, 2, 0, 6), (2, 3, 1, 1)], [0], [1])
    assert remove_epsilon(dead, inputs_only=True).graph.arcs == 1


def test_epsilon_cycles():
    arcs = [(0, 1, 1, 1), (1, 2, 0, 0), (2, 1, 0, 0), (2, 3, 1, 1)]
    with pytest.raises(GraphError, match="trellis"):
        remove_epsilon(Graph.make(4, arcs, [0], [3], [0, 1.0, -1.0]))
    with pytest.raises(GraphError, match=r"(1 -> 2 -> 1|2 -> 1 -> 2) .* -0.5: it is negative"):
        remove_epsilon(Graph.make(4, arcs, [0], [3], [0, 1.0, -1.5]))
    with pytest.raises(GraphError, match="trellis"):
        remove_epsilon(Graph.make(4, arcs, [0], [3], [0, 1.0, -1.5], [-1, 0]))
    # A cycle that no path can use is trimmed away.
    assert remove_epsilon(Graph.make(4, arcs[:3], [0], [0])).graph.states == 1


def test_exponential_growth_is_refused():
    arcs = [(k, k + 1, 0, 0) for k in range(40) for _ in range(2)]
    with pytest.raises(GraphError, match="paths of"):
        remove_epsilon(Graph.make(42, [*arcs, (40, 41, 1, 1)], [0], [41]))
