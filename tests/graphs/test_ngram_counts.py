"""n-gram models from counts: they sum to one, agree with hand counts, and survive being written."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqebm.errors import DataError
from seqebm.graphs import arpa_text, enumerate_paths, estimate_ngram, ngram, read_arpa
from seqebm.graphs.ngram import BEGIN, END

texts = st.lists(st.text("abc", max_size=5).map(list), min_size=1, max_size=8)


@given(texts, st.integers(1, 4))
def test_probabilities_after_any_history_sum_to_one(strings, order):
    model = estimate_ngram(strings, order)
    tokens = [*model.words, END]
    for length in range(order + 1):
        for history in itertools.product(["a", "b", "c"], repeat=length):
            for begin in ((), (BEGIN,)):
                total = sum(math.exp(-model.conditional((*begin, *history), t)) for t in tokens)
                assert total == pytest.approx(1)


@given(texts, st.integers(1, 4))
def test_a_written_model_is_read_again(strings, order):
    model = estimate_ngram(strings, order)
    again = read_arpa(arpa_text(model))
    assert again.order == model.order and again.energy.keys() == model.energy.keys()
    for gram, energy in model.energy.items():
        assert again.energy[gram] == pytest.approx(energy, rel=1e-4)
    assert again.backoff == pytest.approx({g: b for g, b in model.backoff.items() if b}, rel=1e-4)


def test_hand_counts():
    model = estimate_ngram([["a", "b"], ["a"]], 2)
    # Unigrams: a 2, b 1, end 2 of 5, three kinds; below them a third each.
    unigram = {"a": (2 + 1) / 8, "b": (1 + 1) / 8, END: (2 + 1) / 8}
    for token, probability in unigram.items():
        assert math.exp(-model.conditional((), token)) == pytest.approx(probability)
    # After a: b once, end once: two kinds of two.
    assert math.exp(-model.conditional(("a",), "b")) == pytest.approx((1 + 2 * unigram["b"]) / 4)
    assert math.exp(-model.conditional(("a",), "a")) == pytest.approx(2 * unigram["a"] / 4)
    assert math.exp(-model.conditional((BEGIN,), "a")) == pytest.approx((2 + unigram["a"]) / 3)


def test_the_graph_gives_each_string_its_probability():
    model = estimate_ngram([list("ab"), list("abc"), list("cab")], 3)
    graph = ngram(model, exact=True)
    for path in itertools.islice(enumerate_paths(graph, 4), 60):
        labels = [graph.isymbols.name(label) for label in path.inputs]
        wanted = sum(
            model.conditional((BEGIN, *labels[:i]), token) for i, token in enumerate([*labels, END])
        )
        assert path.energy == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("strings", "order", "match"),
    [
        ([], 2, "no strings"),
        ([["a"]], 0, "order"),
        ([["</s>"]], 2, "'</s>'"),
        ([["a b"]], 2, "a b"),
    ],
)
def test_what_cannot_be_counted_is_refused(strings, order, match):
    with pytest.raises(DataError, match=match):
        estimate_ngram(strings, order)
