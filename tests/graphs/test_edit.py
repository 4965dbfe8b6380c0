"""The edit automaton, against rapidfuzz on every short string."""

from __future__ import annotations

import itertools

import pytest
from graph_strings import strings
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from seqebm.errors import GraphError
from seqebm.graphs import Symbols
from seqebm.graphs.edit import edit_cost

ALPHABET = (1, 2, 4)


@settings(max_examples=40)
@given(st.lists(st.sampled_from([1, 2, 3]), max_size=5), st.integers(0, 6))
def test_final_energies_are_capped_distances(string, cap):
    graph = edit_cost(string, ALPHABET, cap)  # 3 is never read, 4 is in no string
    want = {
        other: [min(Levenshtein.distance(string, other), cap)]
        for length in range(6)
        for other in itertools.product(ALPHABET, repeat=length)
    }
    assert strings(graph, 5) == want
    assert graph.arcs == len(ALPHABET) * graph.states


def test_long_strings_have_few_states():
    string = [1 + i * i % 7 for i in range(60)]
    graph = edit_cost(string, range(1, 30), 2)
    assert graph.states < 5 * len(string)
    at = 0
    following = dict(zip(zip(graph.src, graph.ilabel, strict=True), graph.dst, strict=True))
    for label in [9, *string[:-1]]:  # one insertion, one deletion
        at = following[at, label]
    assert graph.energy[graph.arcs + 1 + at] == 2


def test_what_is_wrong_is_named():
    symbols = Symbols("ab")
    assert edit_cost([1], [1, 2], 1, symbols).isymbols is symbols
    with pytest.raises(GraphError, match="0 is epsilon"):
        edit_cost([1, 0], [1], 1)
    with pytest.raises(GraphError, match="lists a label twice"):
        edit_cost([1], [1, 1], 1)
    with pytest.raises(GraphError, match="cap is -1"):
        edit_cost([1], [1], -1)
    with pytest.raises(GraphError, match=r"more than 50 states; choose a lower cap"):
        edit_cost(range(1, 10), range(1, 10), 9, max_states=50)
