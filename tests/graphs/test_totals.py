"""Free energy, shortest path and pruning against enumeration of paths."""

import math

import numpy as np
import pytest
from graph_cases import check_maps, graphs, linear, paths, weight_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import GraphError
from seqebm.graphs import (
    Graph,
    enumerate_paths,
    path_energy,
    posteriors,
    prune,
    shortest_path,
    total_energy,
)
from seqebm.graphs._walks import negative_cycle

BETAS = (0.1, 1.0, 7.0, math.inf)


def free_energy(energies, beta):
    energies = np.array(energies)
    if not len(energies) or beta == math.inf:
        return energies.min(initial=np.inf)
    return -np.logaddexp.reduce(-beta * energies) / beta


@settings(deadline=None, max_examples=40)
@given(graphs(cyclic=False, states=6))
def test_total_energy(graph):
    for w in weight_vectors():
        energies = [p.energy for p in paths(graph, 6, w=w)]
        for beta in BETAS:
            found = total_energy(graph, w, beta)
            np.testing.assert_allclose(found, free_energy(energies, beta), atol=1e-9)


def test_total_energy_of_cycles():
    loop = Graph.make(2, [(0, 0, 1, 1), (0, 1, 1, 1)], [0], [1], [0.0, 2.0])
    assert total_energy(loop, beta=math.inf) == 2
    with pytest.raises(GraphError, match="state 0 lies on a cycle"):
        total_energy(loop, beta=1.0)
    with pytest.raises(GraphError, match="beta is 0"):
        total_energy(loop, beta=0)


@settings(deadline=None, max_examples=60)
@given(graphs(), st.booleans())
def test_shortest_path_or_a_negative_cycle(graph, shift):
    w = weight_vectors()[0]
    if shift:  # no negative energies
        graph.energy[:] += 3
    found = paths(graph, 5, w=w)  # the best one visits none of the 4 states twice
    try:
        best = shortest_path(graph, w)
    except GraphError as error:
        assert "negative" in str(error) and not shift
        return
    if best is None:
        assert not found
        return
    np.testing.assert_allclose(best.energy, min(p.energy for p in found), atol=1e-9)
    np.testing.assert_allclose(path_energy(graph, best.entries, w), best.energy, atol=1e-9)


def test_negative_cycle_is_named_only_where_a_path_can_use_it():
    arcs = [(0, 1, 1, 1), (1, 2, 1, 1), (2, 1, 1, 1), (1, 3, 1, 1)]
    graph = Graph.make(4, arcs, [0], [3], [0, 1.0, -3.0])
    with pytest.raises(GraphError, match=r"1 -> 2 -> 1|2 -> 1 -> 2") as caught:
        shortest_path(graph)
    assert "-2" in str(caught.value)
    aside = Graph.make(4, [*arcs[:1], (2, 3, 1, 1), (3, 2, 1, 1)], [0], [1], [1.0, -1.0, -1.0])
    assert shortest_path(aside).energy == 1
    balanced = Graph.make(4, arcs, [0], [3], [0, 0.3, -0.3])
    assert shortest_path(balanced).energy == pytest.approx(0)


@settings(deadline=None, max_examples=60)
@given(graphs(ties=False, states=5, arcs=9))
def test_negative_cycles_are_cycles_and_negative(graph):
    arcs = negative_cycle(graph.states, graph.src, graph.dst, graph.energy[: graph.arcs])
    if arcs:
        assert graph.energy[arcs].sum() < 0
        for arc, following in zip(arcs, [*arcs[1:], arcs[0]], strict=True):
            assert graph.dst[arc] == graph.src[following]
    else:
        everywhere = Graph.make(
            graph.states,
            np.stack((graph.src, graph.dst, graph.ilabel, graph.olabel), 1),
            range(graph.states),
            range(graph.states),
            graph.energy[: graph.arcs],
        )
        assert shortest_path(everywhere) is not None


def test_impossible_entries_and_empty_graphs():
    graph = linear([1, 2])
    graph.energy[1] = math.inf
    empty = Graph.make(0, [], [], [])
    for nothing in (graph, empty):
        assert shortest_path(nothing) is None
        assert total_energy(nothing) == math.inf
        assert prune(nothing, 1.0).graph.entries == 0


@settings(deadline=None, max_examples=60)
@given(graphs(cyclic=False, states=6), st.floats(0, 3))
def test_prune(graph, beam):
    w = weight_vectors()[0]
    found = paths(graph, 6, w=w)
    for beta in (1.0, math.inf):
        derived = prune(graph, beam, w, beta)
        check_maps(derived, graph)
        total = free_energy([p.energy for p in found], beta)
        expected = set()
        for entry in range(graph.entries):
            through = [p.energy for p in found if entry in p.entries]
            if free_energy(through, beta) <= total + beam and through:
                expected.add(entry)
        kept = set(derived.maps[0].indices.tolist())
        if beta == math.inf:
            assert kept == expected
        else:  # an entry without a continuation goes, too
            assert kept <= expected
            left = set().union(*(p.entries for p in found if set(p.entries) <= expected))
            assert kept == left
    with pytest.raises(GraphError, match="beam is -1"):
        prune(graph, -1)


def test_pruning_a_cyclic_graph():
    graph = Graph.make(2, [(0, 0, 1, 1), (0, 1, 1, 1), (0, 1, 2, 2)], [0], [1], [1.0, 0.0, 3.0])
    assert prune(graph, 2.0).graph.arcs == 2
    assert len(list(enumerate_paths(prune(graph, 0.5).graph, 5))) == 1


def test_path_energy_checks_the_path():
    graph = linear([1, 2])
    assert path_energy(graph, [2, 0, 1, 3]) == 0
    with pytest.raises(GraphError, match="entry 1 is no arc that leaves state 0"):
        path_energy(graph, [2, 1, 3])
    with pytest.raises(GraphError, match="does not end a path at state 1"):
        path_energy(graph, [2, 0, 3])
    with pytest.raises(GraphError, match="begin with a start"):
        path_energy(graph, [0, 1])


def test_posteriors_at_infinity_mark_the_best_path():
    graph = Graph.make(3, [(0, 1, 1, 0), (1, 1, 1, 0), (0, 2, 2, 0)], [0], [1, 2], [1, 0.5, 3])
    assert posteriors(graph, math.inf).tolist() == [1, 0, 0, 1, 1, 0]
    assert not posteriors(Graph.make(2, [(0, 1, 1, 0)], [0], [0], [0, math.inf]), 1.0).any()
    with pytest.raises(GraphError, match="beta is 0"):
        posteriors(graph, 0.0)
