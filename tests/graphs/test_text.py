"""OpenFst text: round trips, and what is wrong with a file."""

from __future__ import annotations

import math

import numpy as np
import pytest
from graph_strings import strings
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import DataError, GraphError
from seqebm.graphs import Graph, Symbols
from seqebm.graphs.builders import linear
from seqebm.graphs.text import read_symbols, read_text, write_symbols, write_text

ENERGY = st.one_of(st.just(0.0), st.just(math.inf), st.floats(-1e6, 1e6))


@st.composite
def graphs(draw):
    states = draw(st.integers(1, 4))
    state, label = st.integers(0, states - 1), st.integers(0, 2)
    arcs = draw(st.lists(st.tuples(state, state, st.integers(1, 2), label), max_size=6))
    starts = draw(st.lists(state, max_size=2, unique=True))
    finals = draw(st.lists(state, max_size=3, unique=True))
    entries = len(arcs) + len(starts) + len(finals)
    energy = draw(st.lists(ENERGY, min_size=entries, max_size=entries))
    weight = draw(st.lists(st.integers(-1, 1), min_size=entries, max_size=entries))
    return Graph.make(states, arcs, starts, finals, energy, weight, 2)


@settings(max_examples=100)
@given(graphs(), st.booleans())
def test_round_trip(graph, named):
    values = np.array([0.5, -2.0])
    names = Symbols(["one", "two"]) if named else None
    graph = Graph(
        graph.states, graph.src, graph.dst, graph.ilabel, graph.olabel, graph.starts, graph.finals,
        graph.energy, graph.ties, names, names,
    )  # fmt: skip
    text = write_text(graph, values)
    back = read_text(text, names, names)
    want = strings(graph, 3, values, writes=True)
    got = strings(back, 3, writes=True)
    assert got.keys() == want.keys()
    for key, energies in want.items():
        assert got[key] == pytest.approx(energies, rel=1e-12, abs=1e-9)
    assert strings(read_text(write_text(back), names, names), 3, writes=True) == got


def test_one_start_keeps_arcs_and_states():
    graph = Graph.make(3, [(1, 2, 1, 1), (0, 1, 2, 2)], [0], [2], [0.1, math.inf, 0.0, 1e-30])
    text = write_text(graph)
    assert text == "0\t1\t2\t2\tInfinity\n1\t2\t1\t1\t0.1\n2\t1e-30\n"
    assert write_text(graph, acceptor=True) == "0\t1\t2\tInfinity\n1\t2\t1\t0.1\n2\t1e-30\n"
    back = read_text(write_text(graph, acceptor=True), acceptor=True)
    assert back.energy.tolist() == [math.inf, 0.1, 0.0, 1e-30] and (back.states, back.arcs) == (
        3,
        2,
    )


def test_several_starts_get_one():
    graph = Graph.make(2, [(0, 1, 1, 1)], [0, 1], [1], [0.0, 2.0, 3.0])
    assert write_text(graph) == "2\t0\t0\t0\t2.0\n2\t1\t0\t0\t3.0\n0\t1\t1\t1\n1\n"


def test_graphs_that_accept_nothing():
    assert read_text("").states == 0
    assert write_text(Graph.make(1, [], [], [0])) == ""
    graph = Graph.make(2, [(1, 0, 1, 1)], [0], [])
    assert write_text(graph) == "0\tInfinity\n1\t0\t1\t1\n"
    assert len(read_text(write_text(graph)).finals) == 0


def test_files_and_names(tmp_path):
    path = tmp_path / "g.txt"
    symbols = Symbols(["yes", "no"])
    path.write_text("0 1 yes 0.5\n\n1 Infinity\n2 1.5\n1 2 <eps>\n")
    graph = read_text(path, symbols, acceptor=True)
    assert strings(graph, 2, writes=True) == {((1,), (1,)): [2.0]}
    with pytest.raises(DataError, match=r"g.txt:1: '0 1 yes 0.5' has 4 fields|name; give"):
        read_text(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 a b\n0 1 2\n", r"t:2: '0 1 2' has 3 fields; an arc is 'src dst ilabel olabel"),
        ("0 x a a\n", r"t:1: state 'x' is no whole number"),
        ("-1\n", r"t:1: state '-1'"),
        ("0 1 a c\n", r"t:1: unknown symbol 'c'"),
        ("0 1 a b heavy\n", r"t:1: weight 'heavy' is no energy"),
        ("0 1 a b nan\n", r"t:1: weight 'nan' is no energy"),
        ("0 -Infinity\n", r"t:1: weight '-Infinity' is no energy"),
        ("0 1\n1\n0 2\n", r"t:3: state 0 is final twice"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    symbols = Symbols("ab")
    with pytest.raises(DataError, match=message):
        read_text(text, symbols, symbols, name="t")


def test_what_cannot_be_written():
    with pytest.raises(GraphError, match="give their values"):
        write_text(linear([1], weight=[0]))
    with pytest.raises(GraphError, match="this is no acceptor"):
        write_text(linear([1], [2]), acceptor=True)
    with pytest.raises(GraphError, match="has a space"):
        write_text(linear([1], isymbols=Symbols(["a b"])))
    with pytest.raises(DataError, match="is a name; give the symbols"):
        read_text("0 1 a a")


def test_symbols(tmp_path):
    symbols = Symbols(["yes", "no"])
    assert write_symbols(symbols) == "<eps>\t0\nyes\t1\nno\t2\n"
    path = tmp_path / "words.txt"
    path.write_text("no 2\nyes 1\n")
    assert list(read_symbols(path)) == list(read_symbols(write_symbols(symbols))) == ["yes", "no"]
    for text, message in [
        ("yes 1\nno\n", r"s:2: 'no' should be 'name number'"),
        ("yes 1\nno 1\n", r"s:2: 'no' or 1 stands in an earlier line"),
        ("yes 1\nyes 2\n", r"s:2: 'yes' or 2 stands"),
        ("<epsilon> 0\n", r"s:1: label 0, and no other, is called <eps>.*'<epsilon>'"),
        ("<eps> 1\n", r"s:1: label 0, and no other"),
        ("yes 1\nno 3\n", r"s: has no label 2"),
    ]:
        with pytest.raises(DataError, match=message):
            read_symbols(text, "s")
