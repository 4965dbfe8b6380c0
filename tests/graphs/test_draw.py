"""Pictures: DOT that graphviz can read, and drawings that show every state and label."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from seqebm.errors import GraphError
from seqebm.graphs import Graph, Symbols
from seqebm.graphs.builders import bakis, ctc, linear, word_loop
from seqebm.graphs.draw import dot, layout, plot


def test_dot():
    symbols = Symbols(['say "a\\b"', "no"])
    graph = linear([1, 2], [2, 0], [0.5, 0.0], [-1, 3], isymbols=symbols)
    text = dot(graph, title='a "title"')
    assert text.startswith("digraph {") and text.count("{") == text.count("}") == 1
    assert 'label = "a \\"title\\"";' in text
    assert '0 -> 1 [label = "say \\"a\\\\b\\":2 / 0.5"];' in text
    assert '1 -> 2 [label = "no:ε / w3"];' in text
    assert '2 [shape = doublecircle, style = solid, label = "2"];' in text
    assert '0 [shape = circle, style = bold, label = "0"];' in text
    # Strings are closed: outside of them no quote is left.
    assert '"' not in re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    assert 'label = "no:ε / 7"' in dot(graph, [0, 0, 0, 7.0])


def test_energies_of_starts_and_finals_are_told():
    graph = Graph.make(1, [], [0], [0], [0.25, 4.0])
    assert 'label = "0\\n0.25\\n4"' in dot(graph)
    assert 'label = "3\\nw2"' in dot(bakis([0, 1, 2], next_weights=[0, 1, 2]))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_layout_puts_every_state_in_its_own_place(pairs):
    graph = Graph.make(6, [(s, d, 1, 1) for s, d in pairs], [0], [5])
    places = layout(graph)
    assert places.shape == (6, 2) and len(np.unique(places, axis=0)) == 6


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_arcs_without_cycles_lead_to_the_right(pairs):
    graph = Graph.make(6, [(s, d, 1, 1) for s, d in pairs if s < d], [0], [5])
    places = layout(graph)
    assert (places[graph.src, 0] < places[graph.dst, 0]).all()


@pytest.mark.parametrize(
    "graph",
    [bakis([0, 1, 2], 1), ctc(6), word_loop([1, 2], silence=3), Graph.make(0, [], [], [])],
    ids=["bakis", "ctc", "loop", "empty"],
)
def test_plot(graph):
    figure = Figure()
    axes = figure.subplots()
    plot(graph, axes)
    shown = {text.get_text() for text in axes.texts}
    assert {str(state) for state in range(graph.states)} <= shown
    figure.savefig(io.BytesIO(), format="png")


def test_arcs_between_two_states_share_an_arrow():
    axes = Figure().subplots()
    plot(Graph.make(2, [(0, 1, label, label) for label in range(1, 8)], [0], [1]), axes)
    assert "1\n2\n3\n4\n... 3 more" in {text.get_text() for text in axes.texts}


def test_large_graphs_are_refused():
    with pytest.raises(GraphError, match="a picture of 301 states cannot be read"):
        plot(linear([1] * 300), Figure().subplots())
