"""The minimal acceptor accepts exactly its strings, with no state too many."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import GraphError
from seqebm.graphs import Symbols
from seqebm.graphs.automaton import minimal_acceptor
from seqebm.graphs.graph import Graph

STRINGS = st.sets(st.lists(st.integers(1, 3), max_size=5).map(tuple), min_size=1, max_size=40)


def accepted(graph: Graph) -> list[tuple[int, ...]]:
    """All strings, one for every path: a string of two paths would be listed twice."""
    leaving: dict[int, list[tuple[int, int]]] = {}
    for src, dst, label in zip(graph.src, graph.dst, graph.olabel, strict=True):
        leaving.setdefault(int(src), []).append((int(dst), int(label)))
    found, stack = [], [(int(s), ()) for s in graph.starts]
    while stack:
        state, string = stack.pop()
        found += [string] * (graph.finals == state).sum()
        stack += [(dst, (*string, label)) for dst, label in leaving.get(state, [])]
    return sorted(found)


def residuals(strings: set[tuple[int, ...]]) -> set[frozenset[tuple[int, ...]]]:
    """The distinct sets of endings, one for each prefix: the states that there must be."""
    prefixes = {s[:i] for s in strings for i in range(len(s) + 1)}
    return {frozenset(s[len(p) :] for s in strings if s[: len(p)] == p) for p in prefixes}


@given(STRINGS)
@settings(max_examples=200, deadline=None)
def test_it_accepts_exactly_the_strings_and_is_minimal(strings):
    graph = minimal_acceptor(strings)
    assert accepted(graph) == sorted(strings)
    assert graph.states == len(residuals(strings))


def test_the_same_strings_in_any_order_and_number_give_the_same_automaton():
    symbols = Symbols("abc")
    one = minimal_acceptor([(1, 2), (3,), (1,)], symbols)
    two = minimal_acceptor([(3,), (1,), (1, 2), (3,)], symbols)
    assert one.src.tolist() == two.src.tolist() and one.osymbols is symbols


@pytest.mark.parametrize(("strings", "match"), [([], "at least one"), ([(0, 1)], "epsilon")])
def test_what_is_no_list_of_strings_is_refused(strings, match):
    with pytest.raises(GraphError, match=match):
        minimal_acceptor(strings)
