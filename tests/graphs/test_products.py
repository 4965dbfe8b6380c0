"""compose, intersect, difference and complement against enumeration of paths."""

import time
from collections import defaultdict

import numpy as np
import pytest
from graph_cases import check_maps, check_same, graphs, linear, paths, rows, weight_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import GraphError
from seqebm.graphs import (
    Graph,
    Symbols,
    complement,
    compose,
    connect,
    difference,
    enumerate_paths,
    intersect,
)

N = 4  # most arcs of a path of the product


def check_compose(a, b):
    derived = compose(a, b)
    check_maps(derived, a, b)
    for w in weight_vectors():
        right = defaultdict(list)
        for q in paths(b, N, w=w):
            right[q.inputs].append(q)
        expected = [
            (p.inputs, q.outputs, p.energy + q.energy)
            for p in paths(a, N, w=w)
            for q in right[p.outputs]
            # Arcs of the pair: those that match once, those with an epsilon on their side.
            if len(p.entries) + len(q.entries) - 4 - len(p.outputs) <= N
        ]
        check_same(rows(paths(derived.graph, N, w=w)), expected)
    assert connect(derived.graph).graph.states == derived.graph.states
    return derived


@settings(deadline=None, max_examples=100)
@given(graphs(arcs=5), graphs(arcs=5))
def test_compose(a, b):
    check_compose(a, b)


@settings(deadline=None, max_examples=30)
@given(graphs(acceptor=True), graphs(acceptor=True))
def test_intersect(a, b):
    derived = intersect(a, b)
    check_maps(derived, a, b)
    assert np.array_equal(derived.graph.ilabel, derived.graph.olabel)


def test_epsilons_on_both_sides_are_counted_once():
    a = Graph.make(4, [(0, 1, 1, 0), (1, 2, 1, 0), (2, 3, 1, 1)], [0], [3])
    b = Graph.make(4, [(0, 1, 0, 2), (1, 2, 0, 2), (2, 3, 1, 2)], [0], [3])
    graph = check_compose(a, b).graph
    assert len(list(enumerate_paths(graph, 10))) == 1
    assert graph.arcs == 5


def test_symbols_go_with_their_side():
    a = linear([1, 2])
    names = Symbols("ab")
    left = Graph.make(2, [(0, 1, 1, 1)], [0], [1], isymbols=Symbols("x"), osymbols=names)
    right = Graph.make(2, [(0, 1, 1, 1)], [0], [1], isymbols=Symbols("ab"), osymbols=Symbols("y"))
    graph = compose(left, right).graph
    assert list(graph.isymbols) == ["x"] and list(graph.osymbols) == ["y"]
    assert compose(a, left).graph.isymbols is None
    with pytest.raises(GraphError, match="label 1 is 'a' on one side, 'x'"):
        compose(left, left)


def test_intersect_of_transducers_is_an_error():
    with pytest.raises(GraphError, match="arc 0 of the second graph reads 1 and writes 2"):
        intersect(linear([1]), linear([1], [2]))


def test_empty_operands():
    empty = Graph.make(0, [], [], [])
    dead = Graph.make(2, [(0, 0, 1, 1)], [0], [1])  # the final state is out of reach
    for other in (empty, dead, linear([1])):
        assert compose(empty, other).graph.states == 0
        assert compose(other, dead).graph.entries == 0
    assert difference(empty, [1]).graph.states == 0
    assert difference(dead, []).graph.entries == 0


@settings(deadline=None, max_examples=100)
@given(graphs(), st.lists(st.integers(1, 2), max_size=3).map(tuple))
def test_difference(a, string):
    derived = difference(a, string)
    check_maps(derived, a)
    for w in weight_vectors():
        expected = [row for row in rows(paths(a, N, w=w)) if row[1] != string]
        check_same(rows(paths(derived.graph, N, w=w)), expected)
    # The textbook form gives the same paths.
    product = compose(a, complement(string, 2))
    check_same(rows(enumerate_paths(product.graph, N)), rows(enumerate_paths(derived.graph, N)))


def test_difference_of_a_string_that_is_the_only_one():
    assert difference(linear([1, 2, 1]), [1, 2, 1]).graph.entries == 0


def test_labels_of_strings_are_checked():
    with pytest.raises(GraphError, match=r"string\[1\] is 0"):
        difference(linear([1]), [1, 0])


def decoding_graph(words=300, length=10, outdegree=23):
    """A word loop: about 3,000 states and 10,000 arcs, word labels at word beginnings."""
    rng = np.random.default_rng(1)
    rows = []
    for word in range(words):
        first = word * length
        label = 1 + rng.integers(0, 40, length)
        for k in range(length):
            rows.append((first + k, first + k, label[k], 0))
            if k:
                rows.append((first + k - 1, first + k, label[k], 0))
        for to in rng.integers(0, words, outdegree - 9):
            rows.append((first + length - 1, to * length, 1, 1 + to))
    starts, finals = np.arange(words) * length, np.arange(words) * length + length - 1
    return Graph.make(words * length, rows, starts, finals)


def test_products_with_a_decoding_graph_take_milliseconds():
    graph = decoding_graph()
    string = list(range(5, 23))
    small = complement(string, 300)
    difference(graph, string), compose(graph, small)  # compiled or read from the cache
    spent = []
    for _ in range(5):
        begin = time.perf_counter()
        derived = difference(graph, string)
        spent.append(time.perf_counter() - begin)
    assert min(spent) < 0.1
    assert derived.graph.states < 3 * graph.states
    assert compose(graph, small).graph.states == derived.graph.states
