"""replace against enumeration of paths."""

import numpy as np
import pytest
from graph_cases import check_maps, check_same, graphs, linear, paths, rows, weight_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import GraphError
from seqebm.graphs import Graph, Symbols, enumerate_paths, replace

N = 5


def expected_paths(outer, inner, on, keep_output, weights):
    """Choose a path of the inner graph for each arc of each path of the outer one."""
    inside = {label: paths(g, N, w=weights) for label, g in inner.items()}
    for path in paths(outer, N, w=weights):
        partial = [((), (), path.energy, 0)]  # read, written, energy, arcs
        for arc in path.entries[1:-1]:
            i, o = int(outer.ilabel[arc]), int(outer.olabel[arc])
            choices = [((i,) if i else (), (o,) if o else (), 0.0, 1)]
            if (o if on == "output" else i) in inside:
                choices = [
                    (p.inputs, ((o,) if o else ()) if keep_output else p.outputs, p.energy,
                     len(p.entries))
                    for p in inside[o if on == "output" else i]
                ]  # fmt: skip
            partial = [
                (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3])
                for a in partial
                for b in choices
                if a[3] + b[3] <= N
            ]
        yield from (row[:3] for row in partial)


@settings(deadline=None, max_examples=60)
@given(
    graphs(arcs=4),
    st.dictionaries(st.integers(1, 2), graphs(arcs=3, states=3), max_size=2),
    st.sampled_from(["output", "input"]),
    st.booleans(),
)
def test_replace(outer, inner, on, keep_output):
    derived = replace(outer, inner, on=on, keep_output=keep_output)
    check_maps(derived, outer, *inner.values())
    for w in weight_vectors():
        check_same(
            rows(paths(derived.graph, N, w=w)),
            list(expected_paths(outer, inner, on, keep_output, w)),
        )


def test_two_levels_keep_the_words_and_tie_the_weights():
    sentence = Graph.make(2, [(0, 0, 1, 1), (0, 1, 2, 2)], [0], [1], osymbols=Symbols(["a", "b"]))
    word_1, word_2 = linear([1, 2]), linear([2])
    phones = {p: Graph.make(2, [(0, 1, p, p)], [0], [1], weight=[p - 1]) for p in (1, 2)}
    down = replace(replace(sentence, {1: word_1, 2: word_2}).graph, phones, on="input").graph
    words = {
        word: replace(graph, phones, keep_output=False).graph
        for word, graph in ((1, word_1), (2, word_2))
    }
    up = replace(sentence, words).graph
    for graph in (down, up):
        assert list(graph.osymbols) == ["a", "b"]
        found = sorted(enumerate_paths(graph, 20, 3, weights=[1.0, 10.0]), key=lambda p: p.energy)
        assert [(p.inputs, p.outputs, p.energy) for p in found] == [
            ((2,), (2,), 10.0),
            ((1, 2, 2), (1, 2), 21.0),
        ]


def test_epsilon_and_other_mistakes():
    with pytest.raises(GraphError, match="epsilon"):
        replace(linear([1]), {0: linear([1])})
    with pytest.raises(GraphError, match="'olabel'"):
        replace(linear([1]), {}, on="olabel")


def test_many_words():
    rng = np.random.default_rng(0)
    outer = Graph.make(1, [(0, 0, w, w) for w in range(1, 201)], [0], [0])
    words = {w: linear(list(rng.integers(1, 40, 12))) for w in range(1, 201)}
    derived = replace(outer, words)
    assert derived.graph.states == 1 + 200 * 13
    assert derived.graph.arcs == 200 * 14
    check_maps(derived, outer, *words.values())
    # The maps together take memory in proportion to the graph, not to words times graph.
    taken = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in derived.maps[1:])
    assert taken < 100 * derived.graph.entries
