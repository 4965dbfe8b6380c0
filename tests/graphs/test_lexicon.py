"""Pronunciation dictionaries and their transducers."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest
from graph_strings import strings
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import DataError, GraphError
from seqebm.graphs import Symbols
from seqebm.graphs.lexicon import Lexicon, lexicon_graph, word_graph, word_graphs
from seqebm.graphs.trim import separate

SPHINX = """\
;;; a comment
A                    AH
A(2)                 EY

TO     T UW
TWO    T UW
TOOT   T UW T
"""


def test_reads_what_sphinx_and_kaldi_write():
    lexicon = Lexicon.from_text(SPHINX)
    assert lexicon.words == ["A", "TO", "TOOT", "TWO"] and len(lexicon) == 5
    assert lexicon.phones == ["AH", "EY", "T", "UW"]
    assert lexicon.pronunciations("A") == [("AH",), ("EY",)]
    assert "TO" in lexicon and "T" not in lexicon
    kaldi = Lexicon.from_text(SPHINX.replace("A(2)", "A"))
    assert list(kaldi) == list(lexicon)
    assert Lexicon.from_text("A AH # ah\n", comment="#").pronunciations("A") == [("AH",)]
    assert Lexicon.from_text("(2) T UW").words == ["(2)"]


def test_reads_a_file(tmp_path):
    path = tmp_path / "an4.dic"
    path.write_text(SPHINX)
    assert list(Lexicon.read(path)) == list(Lexicon.from_text(SPHINX))
    with pytest.raises(DataError, match=r"none.dic: cannot be read"):
        Lexicon.read(tmp_path / "none.dic")
    path.write_bytes("É E".encode("latin1"))
    with pytest.raises(DataError, match="is not UTF-8"):
        Lexicon.read(path)


def test_what_is_wrong_is_named(caplog):
    with pytest.raises(DataError, match=r"my\.dic:2: word 'B' has no phones"):
        Lexicon.from_text("A AH\nB\n", "my.dic")
    with pytest.raises(DataError, match=r"my\.dic:1: word 'B' has no phones"):
        Lexicon.from_text("B # BIY", "my.dic", comment="#")
    with pytest.raises(DataError, match="has no words"):
        Lexicon.from_text("\n;;; nothing")
    with caplog.at_level(logging.WARNING):
        assert len(Lexicon.from_text("A AH\nA(2) AH\n", "my.dic")) == 1
    assert "my.dic: 1 lines repeat a pronunciation of their word" in caplog.text
    with pytest.raises(DataError, match=r"lexicon: has no word 'TWOO'. Did you mean 'TWO'"):
        Lexicon.from_text(SPHINX).pronunciations("TWOO")
    with pytest.raises(DataError, match="'A' has an empty pronunciation"):
        Lexicon({"A": [()]})


def test_spelling():
    lexicon = Lexicon.spelled(["don't", "oh", "oh"], {"'": "", "h": "H"})
    assert list(lexicon) == [("don't", tuple("dont")), ("oh", ("o", "H"))]
    with pytest.raises(DataError, match="empty pronunciation"):
        Lexicon.spelled(["'"], {"'": ""})


def test_restriction():
    lexicon = Lexicon.from_text(SPHINX)
    assert lexicon.restricted(["TWO"]).words == ["TWO"]
    with pytest.raises(DataError, match="has no word"):
        lexicon.restricted(["THREE"])


def test_word_graph():
    phones = Symbols(["AH", "EY", "T"])
    graph = word_graph([("AH",), ("EY", "T"), ("EY", "T", "T")], phones, [0, -1, 1], 2)
    assert strings(graph, 4, [10.0, 20.0], writes=True) == {
        ((1,), (1,)): [10.0],
        ((2, 3), (2, 3)): [0.0],
        ((2, 3, 3), (2, 3, 3)): [20.0],
    }
    with pytest.raises(GraphError, match="needs a pronunciation"):
        word_graph([], phones)


def test_word_graphs_are_those_of_the_words():
    lexicon = Lexicon.from_text("A 0.5 AH\nA 0.5 EY\nTO 1.0 T UW\nTOO 1.0 T UW W\n")
    phones = Symbols(lexicon.phones)
    for word, graph in zip(
        lexicon.words, separate(word_graphs(lexicon, phones, weights=3)), strict=True
    ):
        alone = word_graph(
            lexicon.pronunciations(word), phones, weights=3, energy=lexicon.energies(word)
        )
        assert strings(graph, 4, writes=True) == strings(alone, 4, writes=True)
        assert graph.states == alone.states and graph.weights == 3
    assert sorted(separate(word_graphs(lexicon, phones))[0].energy) == pytest.approx(
        [0, 0, np.log(2), np.log(2)]
    )


PRONUNCIATION = st.text("abc", min_size=1, max_size=4).map(tuple)
DICTIONARY = st.dictionaries(
    st.sampled_from(["one", "two", "three", "four"]),
    st.lists(PRONUNCIATION, min_size=1, max_size=3),
    min_size=1,
)


@settings(max_examples=60)
@given(DICTIONARY, st.booleans())
def test_transducer_writes_the_words_that_a_string_spells(dictionary, prefix_tree):
    lexicon = Lexicon(dictionary)
    energy = 1.0 + np.arange(len(lexicon))
    weight = np.arange(len(lexicon))
    phones, words = Symbols("abc"), Symbols(lexicon.words)
    graph = lexicon_graph(lexicon, phones, words, prefix_tree, energy=energy, weight=weight)
    want = {
        (tuple(phones.id(p) for p in spelling), (words.id(word),)): [energy[i] + 100.0 * i]
        for i, (word, spelling) in enumerate(lexicon)
    }
    assert strings(graph, 5, 100.0 * weight, writes=True) == want
    if prefix_tree:
        silent = (graph.ilabel > 0) & (graph.olabel == 0)
        shared = np.stack([graph.src, graph.ilabel], 1)[silent]
        assert len(np.unique(shared, axis=0)) == len(shared)
    else:
        assert ((graph.olabel > 0) == (graph.src == 0)).all(), "the first arc writes the word"


@pytest.mark.parametrize("prefix_tree", [False, True])
def test_a_loop_with_silence(prefix_tree):
    lexicon = Lexicon({"x": ["a"], "y": ["ab"]})
    graph = lexicon_graph(
        lexicon, prefix_tree=prefix_tree, loop=True, silence="sil",
        weights=1, silence_weight=0,
    )  # fmt: skip
    got = strings(graph, 4, [1.0], writes=True)
    assert got[(3, 1, 1, 2), (1, 2)] == [1.0]
    assert got[(1, 3, 1, 3), (1, 1)] == [2.0]
    assert got[(3,), ()] == [1.0] and got[(), ()] == [0.0]
    assert all(len(energies) == 1 for energies in got.values())
    assert not any(pair == (3, 3) for reads, _ in got for pair in itertools.pairwise(reads))
    with pytest.raises(GraphError, match="give loop=True"):
        lexicon_graph(lexicon, silence="sil")


def test_prefix_tree_is_smaller():
    lexicon = Lexicon.from_text(SPHINX)
    flat, tree = lexicon_graph(lexicon), lexicon_graph(lexicon, prefix_tree=True)
    assert (flat.arcs, tree.arcs) == (9, 7)
