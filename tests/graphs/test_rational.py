"""union, concat, closure, reverse and project against enumeration of paths."""

import pytest
from graph_cases import check_maps, check_same, graphs, linear, paths, rows, weight_vectors
from hypothesis import given, settings

from seqebm.errors import GraphError
from seqebm.graphs import (
    Graph,
    Symbols,
    closure,
    concat,
    enumerate_paths,
    project,
    reverse,
    union,
)

N = 4


@settings(deadline=None, max_examples=40)
@given(graphs(arcs=4), graphs(arcs=4), graphs(arcs=4))
def test_union(a, b, c):
    derived = union(a, b, c)
    check_maps(derived, a, b, c)
    for w in weight_vectors():
        expected = [row for g in (a, b, c) for row in rows(paths(g, N, w=w))]
        check_same(rows(paths(derived.graph, N, w=w)), expected)


@settings(deadline=None, max_examples=60)
@given(graphs(arcs=4), graphs(arcs=4))
def test_concat(a, b):
    derived = concat(a, b)
    check_maps(derived, a, b)
    for w in weight_vectors():
        right = paths(b, N, w=w)
        expected = [
            (p.inputs + q.inputs, p.outputs + q.outputs, p.energy + q.energy)
            for p in paths(a, N, w=w)
            for q in right
            if len(p.entries) + len(q.entries) - 3 <= N
        ]
        check_same(rows(paths(derived.graph, N, w=w)), expected)


def repeated(graph, w, most):
    """Paths of the operand one after the other: (read, written, energy, arcs, times)."""
    once = [(p.inputs, p.outputs, p.energy, len(p.entries), 1) for p in paths(graph, N, w=w)]
    level = [((), (), 0.0, 0, 0)]
    while level:
        yield from level
        level = [
            tuple(x + y for x, y in zip(a, b, strict=True))
            for a in level
            for b in once
            if a[3] + b[3] <= most
        ]


@settings(deadline=None, max_examples=60)
@given(graphs(arcs=3))
def test_closure(graph):
    derived = closure(graph)
    check_maps(derived, graph)
    plus = closure(graph, plus=True)
    check_maps(plus, graph)
    for w in weight_vectors():
        # Each repetition costs its arcs and two epsilon arcs; `entries` has as many.
        expected = [row[:3] for row in repeated(graph, w, N + 1)]
        check_same(rows(paths(derived.graph, N + 1, w=w)), expected)
        # Here the first start and the last final are no arcs.
        expected = [row[:3] for row in repeated(graph, w, N + 2) if row[4]]
        check_same(rows(paths(plus.graph, N, w=w)), expected)


@settings(deadline=None, max_examples=40)
@given(graphs())
def test_reverse_and_project(graph):
    back, read, written = reverse(graph), project(graph), project(graph, "output")
    for derived in (back, read, written):
        check_maps(derived, graph)
    for w in weight_vectors():
        before = rows(paths(graph, N, w=w))
        check_same(rows(paths(back.graph, N, w=w)), [(i[::-1], o[::-1], e) for i, o, e in before])
        check_same(rows(paths(read.graph, N, w=w)), [(i, i, e) for i, _, e in before])
        check_same(rows(paths(written.graph, N, w=w)), [(o, o, e) for _, o, e in before])


def test_symbols_and_mistakes():
    named = Graph.make(2, [(0, 1, 1, 1)], [0], [1], isymbols=Symbols("a"), osymbols=Symbols("x"))
    assert list(union(linear([1]), named).graph.isymbols) == ["a"]
    assert list(project(named, "output").graph.isymbols) == ["x"]
    with pytest.raises(GraphError, match="concat: label 1 is 'a'"):
        concat(named, reverse(project(named, "output").graph).graph)
    with pytest.raises(GraphError, match="at least one"):
        union()
    with pytest.raises(GraphError, match="'left'"):
        project(named, "left")


def test_empty_graphs():
    empty = Graph.make(0, [], [], [])
    assert union(empty, empty).graph.entries == 0
    assert concat(empty, linear([1])).graph.starts.size == 0
    assert reverse(empty).graph.states == 0
    assert rows(enumerate_paths(closure(empty).graph, 3)) == [((), (), 0.0)]
    assert rows(enumerate_paths(closure(empty, plus=True).graph, 3)) == []
