"""n-gram acceptors, against a straightforward back-off reference and probability sums."""

from __future__ import annotations

import itertools
import logging
import math

import numpy as np
import pytest
from graph_strings import strings
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import DataError, GraphError
from seqebm.graphs import Symbols
from seqebm.graphs.ngram import ngram, read_arpa

WORDS = ("a", "b")


def consistent(rng, order):
    """A random back-off model, normalised: (log10 probabilities, log10 back-off weights)."""
    vocabulary = (*WORDS, "</s>")
    logp, logb = {}, {}

    def probability(history, word):
        if (*history, word) in logp:
            return 10 ** logp[*history, word]
        return 10 ** logb.get(history, 0.0) * probability(history[1:], word)

    unigram = rng.dirichlet(np.ones(3))
    logp.update({(w,): math.log10(p) for w, p in zip(vocabulary, unigram, strict=True)})
    logp["<s>",] = -99.0
    for n in range(2, order + 1):
        for history in [g for g in list(logp) if len(g) == n - 1 and g[-1] != "</s>"]:
            if "<s>" in history[1:] or rng.random() < 0.3:
                continue
            listed = [w for w in vocabulary if rng.random() < 0.5]
            if not listed or len(listed) == 3:
                continue
            mass = rng.uniform(0.1, 0.9)
            for w, share in zip(listed, rng.dirichlet(np.ones(len(listed))), strict=True):
                logp[*history, w] = math.log10(mass * share)
            lower = sum(probability(history[1:], w) for w in listed)
            logb[history] = math.log10((1 - mass) / (1 - lower))
    return logp, logb


def arpa(logp, logb, order):
    lines = ["header", "\\1-grams:", "", "\\data\\"]
    sizes = [[g for g in logp if len(g) == n] for n in range(1, order + 1)]
    lines += [f"ngram {n}={len(grams)}" for n, grams in enumerate(sizes, 1)]
    for n, grams in enumerate(sizes, 1):
        lines += ["", f"\\{n}-grams:"]
        for gram in grams:
            back = f"\t{logb[gram]!r}" if gram in logb else ""
            lines.append(f"{logp[gram]!r}\t{' '.join(gram)}{back}")
    return "\n".join([*lines, "", "\\end\\", ""])


def reference(logp, logb, order, sentence):
    """-ln P of a sentence, by the definition."""

    def log10(history, word):
        if (*history, word) in logp:
            return logp[*history, word]
        return logb.get(history, 0.0) + log10(history[1:], word)

    chain, total = ("<s>", *sentence, "</s>"), 0.0
    for at in range(1, len(chain)):
        total += log10(chain[max(0, at - order + 1) : at], chain[at])
    return -math.log(10) * total


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_scores_are_those_of_the_definition(seed, order):
    logp, logb = consistent(np.random.default_rng(seed), order)
    text = arpa(logp, logb, order)
    exact = strings(ngram(text, exact=True), 4)
    epsilon = strings(ngram(text), 4)
    for length in range(5):
        for sentence in itertools.product(WORDS, repeat=length):
            want = reference(logp, logb, order, sentence)
            key = tuple(1 + WORDS.index(w) for w in sentence)
            assert exact[key] == pytest.approx([want])
            assert min(abs(e - want) for e in epsilon[key]) < 1e-9
            assert len(epsilon[key]) == 1 or order > 1
            model = read_arpa(text)
            chain = (*sentence, "</s>")
            steps = [model.conditional(("<s>", *chain[:i]), w) for i, w in enumerate(chain)]
            assert sum(steps) == pytest.approx(want)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_probabilities_sum_to_one(seed, order):
    graph = ngram(arpa(*consistent(np.random.default_rng(seed), order), order), exact=True)
    chance = np.exp(-graph.energy)
    step = np.zeros((graph.states, graph.states))
    np.add.at(step, (graph.src, graph.dst), chance[: graph.arcs])
    last = np.zeros(graph.states)
    last[graph.finals] = chance[graph.arcs + 1 :]
    # Over strings of every length: the geometric series of the steps.
    total = np.linalg.solve(np.eye(graph.states) - step, last)[graph.starts[0]]
    assert total * chance[graph.arcs] == pytest.approx(1.0)
    assert step.sum(1) + last == pytest.approx(np.ones(graph.states))


def test_missing_prefixes_are_given():
    logp = {("a",): -0.5, ("b",): -0.5, ("</s>",): -0.5, ("<s>",): -99.0, ("b", "a"): -0.1}
    logp["a", "b", "a"] = -0.2  # but "a b" is not listed
    logb = {("a",): -0.3, ("b",): -0.7}
    for exact in (True, False):
        got = strings(ngram(arpa(logp, logb, 3), exact=exact), 3)
        want = reference(logp, logb, 3, ("a", "b", "a"))
        assert min(abs(e - want) for e in got[1, 2, 1]) < 1e-12


AN4_LIKE = """\
This is a 2-gram language model. Beginning of data mark: \\data\\
ngram 1=nr            # number of 1-grams
\\1-grams:
p_1     wd_1 bo_wt_1
end of data mark: \\end\\

\\data\\
ngram 1=5
ngram 2=1

\\1-grams:
-0.6\t<UNK>\t0.0000
-0.6\t</s>\t-99.0000
-99.0000\t<s>\t 0.0000
-0.6\tHALL\t 0.0000
-0.6\tYES\t 0.0000

\\2-grams:
0.0000 <s> </s>
\\end\\
"""


def test_a_unigram_with_one_bigram(caplog):
    energy = 0.6 * math.log(10)
    symbols = Symbols(["NO", "YES"])
    with caplog.at_level(logging.WARNING):
        graph = ngram(AN4_LIKE, symbols, words=["YES", "NO"])
    assert "2 words are left out: <UNK>, HALL" in caplog.text
    assert graph.states == 2 and graph.isymbols is symbols
    got = strings(graph, 2)
    assert got == {
        (): pytest.approx([0.0, energy]),
        (2,): pytest.approx([2 * energy]),
        (2, 2): pytest.approx([3 * energy]),
    }
    assert strings(ngram(AN4_LIKE, exact=True), 0) == {(): [0.0]}
    assert read_arpa(AN4_LIKE).words == ["<UNK>", "HALL", "YES"]
    assert strings(ngram(AN4_LIKE, scale=2.0, words=["YES"]), 1)[1,] == pytest.approx([4 * energy])


def test_empty_sections_and_files(tmp_path):
    text = AN4_LIKE.replace("ngram 2=1", "ngram 2=0").replace("0.0000 <s> </s>\n", "")
    path = tmp_path / "an4.lm"
    path.write_text(text)
    graph = ngram(path)
    assert (graph.states, graph.arcs, read_arpa(path).name) == (1, 3, str(path))
    with pytest.raises(DataError, match="cannot be read"):
        ngram(tmp_path / "none")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\\nngram 1", "\nngram 1", r"lm: has no line \\data\\"),
        ("\\data\\\nngram 1=5", "\\data\\\nngram 1=6", r"lm:18: the 1-grams end here and are 5.*6"),
        ("ngram 2=1", "ngram two", r"lm:9: 'ngram two' should be 'ngram ORDER=COUNT'"),
        ("ngram 2=1", "", r"lm:18: section \\2-grams: is not declared"),
        ("\\2-grams:\n0.0000 <s> </s>\n", "", r"lm: has no section \\2-grams:"),
        ("\\end\\\n", "", r"lm: has no line \\end\\; the file is incomplete"),
        ("<s> </s>\n", "<s> OH\n", r"lm:19: 'OH' is not among the 1-grams"),
        ("-0.6\tYES", "-0.6\tHALL", r"lm:16: n-gram 'HALL' is listed twice"),
        ("-0.6\tYES", "minus\tYES", r"lm:16: 'minus' is no number; a log10"),
        ("-0.6\tYES", "nan\tYES", r"lm:16: 'nan' is no number; a log10"),
        ("0.0000 <s> </s>", "0.0000 <s>", r"lm:19: .* should be a log10 probability, 2 word"),
    ],
)
def test_what_is_wrong_is_named(old, new, message):
    head, data = AN4_LIKE.split("\n\n", 1)
    assert old in data
    with pytest.raises(DataError, match=message):
        read_arpa(f"{head}\n\n{data.replace(old, new)}".replace("\\end\\\n\n", "mark\n\n"), "lm")


def test_words_and_scale_are_checked():
    with pytest.raises(DataError, match="has none of the words"):
        ngram(AN4_LIKE, words=["yes"])
    with pytest.raises(GraphError, match="unknown symbol"):
        ngram(AN4_LIKE, Symbols(["YES"]))
    with pytest.raises(GraphError, match="scale is -1"):
        ngram(AN4_LIKE, scale=-1)
