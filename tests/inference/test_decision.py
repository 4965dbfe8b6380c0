"""Deciding for sentences and words against all sentences, listed one by one."""

from __future__ import annotations

import math

import pytest
import torch
from asking import clamped
from rapidfuzz.distance import Levenshtein
from test_search import Model, batch, decode, make, sentences

from seqebm.errors import ConfigError
from seqebm.inference.decision import expected_errors

FRAMES = 5


def free_energies(model, data, texts, beta):
    """``(N,)`` of the first item, by its clamped lattices."""
    features = data[0][:1].expand(len(texts), -1, -1)
    lengths = data[1][:1].expand(len(texts)).contiguous()
    with torch.no_grad():
        return clamped(model.lattice, features, lengths, texts).free_energy(beta)


@pytest.mark.parametrize("beta", [0.3, 1.0, math.inf])
def test_the_sentence_of_least_free_energy(beta):
    differ = 0
    for seed in range(8):
        model = make(beta, seed, states=1)
        data = batch(FRAMES, scale=0.7, seed=seed)
        texts = sentences("ab", FRAMES)
        energies = free_energies(model, data, texts, beta)
        search = {"lattice_beam": math.inf}
        search["candidates"] = 100
        (answer,) = decode(model, data, decide="sentence", **search)
        assert answer.text == texts[int(energies.argmin())] and answer.decided == "sentence"
        (path,) = decode(model, data, decide="path", **search)
        differ += answer.text != path.text
        least = free_energies(model, data, [answer.text], math.inf)
        assert answer.energy == pytest.approx(float(least)), "the best path of the answer"
        assert [w.label for w in answer.words] == answer.text.split()
    assert (differ == 0) == math.isinf(beta), "many paths outweigh the best one, but not at inf"


def test_the_words_of_fewest_expected_errors():
    model = make(1.0, 3, states=1)
    data = batch(FRAMES, scale=0.7, seed=3)
    texts = sentences("ab", FRAMES)
    weights = torch.softmax(-free_energies(model, data, texts, 1.0), 0).tolist()
    words = [text.split() for text in texts]
    risk = [
        sum(p * Levenshtein.distance(one, two) for p, two in zip(weights, words, strict=True))
        for one in words
    ]
    (answer,) = decode(model, data, decide="words", lattice_beam=math.inf, candidates=100)
    assert risk[texts.index(answer.text)] == pytest.approx(min(risk))


def test_a_certain_sentence_costs_nothing():
    errors = expected_errors([["a", "b"], ["a"], []], torch.tensor([0.0, math.inf, math.inf]), 1.0)
    assert errors.tolist() == [0.0, 1.0, 2.0]


def test_the_config_decides_unless_told_otherwise():
    model = Model(make(0.3, 1, states=1).lattice, 0.3, decide="words")
    data = batch(FRAMES)
    assert decode(model, data)[0].decided == "words"
    assert decode(model, data, decide="path")[0].decided == "path"
    assert decode(model, data, beam=50.0)[0].decided == "path"
    with pytest.raises(ConfigError, match="'word'"):
        model.searching({"decide": "word"})
