import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.errors import DataError
from seqebm.pictures.confusion import plot_confusions
from seqebm.scoring.confusion import confusion_matrix
from seqebm.scoring.scoring import Counts, align, compare, count, score

WORDS = st.lists(st.sampled_from(["a", "b", "cc", "é"]), max_size=7)
IDS = [f"u{i}" for i in range(5)]
TEXTS = st.fixed_dictionaries({name: WORDS.map(" ".join) for name in IDS})


def levenshtein(a, b):
    """The textbook recursion."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        levenshtein(a[1:], b[1:]) + (a[0] != b[0]),
        levenshtein(a[1:], b) + 1,
        levenshtein(a, b[1:]) + 1,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=5), st.lists(st.sampled_from("abc"), max_size=5))
def test_alignments_are_shortest_and_spell_both(reference, hypothesis):
    pairs = align(reference, hypothesis)
    assert [r for r, _ in pairs if r is not None] == reference
    assert [h for _, h in pairs if h is not None] == hypothesis
    counts = count(pairs)
    assert counts.errors == levenshtein(reference, hypothesis)
    assert counts.total == len(reference)
    assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis)


def test_counts_of_a_known_case():
    pairs = align(["the", "cat", "sat", "on", "mats"], ["the", "bat", "sat", "on", "the", "mats"])
    assert count(pairs) == Counts(hits=4, substitutions=1, deletions=0, insertions=1)
    assert ("cat", "bat") in pairs
    assert (None, "the") in pairs
    assert count(align(["a", "b"], [])) == Counts(0, 0, 2, 0)


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS)
def test_agrees_with_jiwer(references, hypotheses):
    jiwer = pytest.importorskip("jiwer")
    if not all(references.values()):
        references = {name: text or "a" for name, text in references.items()}
    result = score(references, hypotheses)
    pair = ([references[n] for n in IDS], [hypotheses[n] for n in IDS])
    words, characters = jiwer.process_words(*pair), jiwer.process_characters(*pair)
    for ours, theirs in ((result.total.words, words), (result.total.characters, characters)):
        assert vars(ours) == {
            "hits": theirs.hits,
            "substitutions": theirs.substitutions,
            "deletions": theirs.deletions,
            "insertions": theirs.insertions,
        }
    assert result.total.words.rate == pytest.approx(words.wer)
    assert result.total.characters.rate == pytest.approx(characters.cer)


@given(TEXTS, TEXTS)
def test_parts_add_up(references, hypotheses):
    speakers = {name: f"s{i % 2}" for i, name in enumerate(IDS)}
    result = score(references, hypotheses, speakers)
    assert sum((s.words for s in result.speakers.values()), Counts()) == result.total.words
    assert sum(s.utterances for s in result.speakers.values()) == 5
    wrong = sum(n for (r, h), n in result.confusions.items() if r != h)
    assert wrong == result.total.words.errors


def test_isolated_words():
    references = {"a": "one", "b": "two", "c": "six", "d": "one"}
    result = score(references, {**references, "b": "ten"}, dict.fromkeys("ab", "x"))
    assert result.total.accuracy == 0.75
    assert result.total.words.rate == 0.25
    assert result.total.characters.rate == 2 / 12
    assert result.speakers["x"].accuracy == 0.5
    assert list(result.speakers) == ["x"]
    assert result.confusions == {("one", "one"): 2, ("two", "ten"): 1, ("six", "six"): 1}


def test_missing_and_extra_hypotheses_are_errors():
    result = score({"a": "one two", "b": "six"}, {"b": "six", "z": "one"}, {"a": "s", "z": "s"})
    assert result.missing == ["a"]
    assert result.extra == ["z"]
    assert result.total.words == Counts(hits=1, deletions=2, insertions=1)
    assert (result.total.correct, result.total.utterances) == (1, 3)
    assert result.speakers["s"].words.errors == 3
    # An empty reference that went missing is no success either.
    assert score({"a": "", "b": "x"}, {"b": "x"}).total.accuracy == 0.5


def test_rates_against_nothing():
    assert Counts(insertions=1).rate == math.inf
    assert Counts().rate == 0
    assert score({"a": ""}, {"a": "x"}).total.as_dict()["wer"] is None


@pytest.mark.parametrize(
    ("references", "hypotheses", "part"),
    [({}, {"a": "x"}, "no references"), ({"a": "x"}, {"b": "x"}, "no utterance id in common")],
)
def test_what_cannot_be_scored(references, hypotheses, part):
    with pytest.raises(DataError, match=part):
        score(references, hypotheses)


def isolated(right, total, speakers=None):
    references = {f"u{i:04}": "one" for i in range(total)}
    hypotheses = {n: "one" if i < right else "two" for i, n in enumerate(references)}
    return score(references, hypotheses, speakers)


def test_the_bootstrap_over_words_is_the_binomial():
    interval = isolated(180, 200).interval("accuracy", samples=20000)
    half = 1.96 * math.sqrt(0.9 * 0.1 / 200)
    assert interval.low == pytest.approx(0.9 - half, abs=0.006)
    assert interval.high == pytest.approx(0.9 + half, abs=0.006)


def test_the_bootstrap_agrees_with_drawing_every_outcome():
    # Three utterances have 27 equally likely samples: the distribution is known exactly.
    errors, words = np.array([0, 2, 1]), np.array([1, 2, 4])
    result = score({"a": "x", "b": "x y", "c": "w x y z"}, {"a": "x", "b": "p q", "c": "w x y"})
    exact = [
        errors[list(draw)].sum() / words[list(draw)].sum()
        for draw in itertools.product(range(3), repeat=3)
    ]
    interval = result.interval("wer", samples=50000)
    low, high = np.percentile(exact, [2.5, 97.5], method="inverted_cdf")
    assert (interval.low, interval.high) == (pytest.approx(low), pytest.approx(high))


def test_speakers_that_err_together_widen_the_interval():
    # 10 speakers of 20 utterances: one is always wrong, nine never.
    speakers = {f"u{i:04}": f"s{i // 20}" for i in range(200)}
    result = isolated(180, 200, speakers)
    by_utterance = result.interval("wer")
    by_speaker = result.interval("wer", "speaker")
    assert by_speaker.high - by_speaker.low > 2 * (by_utterance.high - by_utterance.low)
    assert by_speaker.low == 0


def test_intervals_repeat_and_need_two_units():
    result = isolated(5, 9, dict.fromkeys((f"u{i:04}" for i in range(9)), "s"))
    assert result.interval(seed=3) == result.interval(seed=3)
    assert result.interval("wer", "speaker") is None
    assert isolated(1, 1).interval() is None
    with pytest.raises(ValueError, match="what must be"):
        result.interval("ser")
    with pytest.raises(ValueError, match="unit must be"):
        result.interval("wer", "word")


def test_pairing_sees_what_separate_intervals_do_not():
    # B repairs 4 of A's 40 errors and makes none: the intervals overlap, yet B is better.
    a, b = isolated(160, 200), isolated(164, 200)
    assert a.interval().low < b.interval().high
    comparison = compare(a, b)
    assert comparison.difference == pytest.approx(-0.02)
    assert comparison.improvement > 0.97
    assert comparison.interval.high <= 0
    assert compare(b, a).improvement == pytest.approx(1 - comparison.improvement, abs=0.01)
    assert compare(a, b, "accuracy").improvement == pytest.approx(comparison.improvement, abs=0.01)


def test_comparing_a_system_with_itself():
    a = isolated(160, 200)
    comparison = compare(a, a)
    assert (comparison.difference, comparison.improvement) == (0, 0.5)


def test_comparing_different_utterances_is_refused():
    with pytest.raises(DataError, match="u0004"):
        compare(isolated(2, 5), isolated(2, 4))


CONFUSIONS = Counter({("a", "a"): 5, ("a", "b"): 2, ("b", "b"): 3, ("b", None): 1, (None, "c"): 4})


def test_confusion_matrix():
    rows, columns, counts = confusion_matrix(CONFUSIONS)
    assert rows == ["a", "b", "c", "(none)"]
    assert columns == ["a", "b", "c", "(none)"]
    assert counts.tolist() == [[5, 2, 0, 0], [0, 3, 0, 1], [0, 0, 0, 0], [0, 0, 4, 0]]
    rows, columns, counts = confusion_matrix({("a", "b"): 1})
    assert (rows, columns) == (["a", "b"], ["a", "b"])


def test_confusion_matrix_pools_the_harmless_words():
    rows, _, counts = confusion_matrix({**CONFUSIONS, ("d", "d"): 90}, most=2)
    assert rows == ["b", "c", "(other)", "(none)"]
    assert counts.sum() == sum(CONFUSIONS.values()) + 90
    assert counts[2, 2] == 95  # a as a, d as d
    assert counts[2, 0] == 2  # a as b


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_confusion_picture(tmp_path, suffix):
    path = tmp_path / "sub" / f"confusion{suffix}"
    plot_confusions(*confusion_matrix(CONFUSIONS), path, "title")
    assert path.stat().st_size > 1000
    with pytest.raises(DataError, match="a picture needs one of the endings"):
        plot_confusions(*confusion_matrix(CONFUSIONS), tmp_path / "confusion.nonsense")
    with pytest.raises(DataError, match="no words"):
        plot_confusions(*confusion_matrix({}), path)
