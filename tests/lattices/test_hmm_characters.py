"""Transcripts as strings of characters, and grammars that are lists of strings."""

from __future__ import annotations

import itertools
import logging
import math

import pytest
import torch
from asking import clamped, terms_of

from seqebm.errors import ConfigError, DataError
from seqebm.graphs.ngram import read_arpa
from seqebm.hooks import Request, TextFile
from seqebm.lattices.hmm import HMM
from seqebm.lattices.tokens import join, split

LETTERS = ("<space>", "a", "b", "c")
ARPA = "\\data\\\nngram 1=5\n\n\\1-grams:\n-0.4 a\n-0.7 b\n-0.5 c\n-99 <s>\n-0.5 </s>\n\n\\end\\\n"


def model(**options) -> HMM:
    torch.manual_seed(0)
    settings = {"tokens": "characters", "silence_states": 0, "states": 1, **options}
    lattice = HMM(HMM.Options(**settings), 3, LETTERS).double().eval()
    torch.nn.init.normal_(lattice.transitions)
    return lattice


def batch(frames: int = 5, items: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(items, frames, 3, dtype=torch.float64) * 3, torch.full((items,), frames)


@pytest.mark.parametrize("text", ["abc", "ab ca", "  a  b ", ""])
def test_splitting_and_joining_are_inverse(text):
    assert join(split(text, "characters"), "characters") == text
    assert join(split(text, "words"), "words") == " ".join(text.split())


@pytest.mark.parametrize("topology", ["bakis", "ctc"])
def test_characters_are_words_written_without_blanks(topology):
    features, lengths = batch()
    spelled, spaced = model(topology=topology), model(topology=topology, tokens="words")
    spaced.load_state_dict(spelled.state_dict())
    texts = ["ab", "c", "b ca"]
    words = ["a b", "c", "b <space> c a"]
    for request in (Request(), Request(cost="edit", scale=0.5)):
        ours = terms_of(spelled, features, lengths, texts, 1.0, request)
        theirs = terms_of(spaced, features, lengths, words, 1.0, request)
        for one, two in zip(ours[:3], theirs[:3], strict=True):
            assert torch.equal(one, two)
    assert spelled.minimum_frames("b ca") == spaced.minimum_frames("b <space> c a") == 4


@pytest.mark.parametrize("topology", ["bakis", "ctc"])
@pytest.mark.parametrize("strings", [["ab", "abc", "cab", "b"], ["a", "aa"], ["a b", "c"]])
def test_the_best_of_a_list_is_the_best_of_all_its_strings(topology, strings):
    features, lengths = batch(6)
    free = model(topology=topology)
    energies = torch.stack(
        [clamped(free, features, lengths, [s] * len(features)).best_path()[0] for s in strings], 1
    )
    listed = "\n".join(strings)
    for lattice in (
        model(topology=topology, strings=TextFile(name="list", text=listed)),
        free,
    ):
        if lattice is free:
            lattice.graphs = lattice.graphs.restricted(None, strings)
        trellis = lattice.meet(features, lengths)
        best, paths = trellis.best_path()
        assert torch.allclose(best, energies.min(1).values)
        texts = [lattice.graphs.text(trellis.output(b, p)) for b, p in enumerate(paths)]
        assert texts == [strings[i] for i in energies.argmin(1).tolist()]
        total = -torch.logsumexp(
            -torch.stack(
                [
                    clamped(free, features, lengths, [s] * len(features)).free_energy(1.0)
                    for s in strings
                ]
            ),
            0,
        )
        assert torch.allclose(trellis.free_energy(1.0), total)


def test_another_language_model_gives_what_a_model_with_it_gives():
    features, lengths = batch()
    free, with_lm = model(), model(lm=TextFile(name="lm", text=ARPA))
    with_lm.load_state_dict(free.state_dict())
    free.graphs = free.graphs.restricted(read_arpa(ARPA, "lm"), None)
    one, two = (m.meet(features, lengths).free_energy(1.0) for m in (free, with_lm))
    assert torch.allclose(one, two)


def test_restricting_leaves_the_model_as_it_was():
    features, lengths = batch()
    lattice = model()
    before = lattice.meet(features, lengths).best_path()[0]
    lattice.graphs.restricted(None, ["a"])
    assert torch.equal(before, lattice.meet(features, lengths).best_path()[0])


def test_strings_that_cannot_be_written_are_left_out_with_a_count(caplog):
    with caplog.at_level(logging.WARNING):
        graphs = model().graphs.restricted(None, ["ab", "été", "xyz"])
    assert "2 of 3 strings are left out" in caplog.text
    assert graphs.grammar.arcs == 2
    with pytest.raises(DataError, match="none of 1 strings"):
        model().graphs.restricted(None, ["xyz"])
    with pytest.raises(ConfigError, match="not both"):
        model().graphs.restricted(read_arpa(ARPA, "lm"), ["ab"])


def test_an_unknown_character_is_named():
    with pytest.raises(DataError, match="'é' of 'aé'"):
        model().minimum_frames("aé")


def test_the_list_is_all_that_training_competes_with():
    features, lengths = batch(3)
    lattice = model(strings=TextFile(name="list", text="ab\nb\n"))
    terms = terms_of(lattice, features, lengths, ["ab"] * 3, math.inf)
    rival = clamped(lattice, features, lengths, ["b"] * 3).best_path()[0]
    assert torch.allclose(terms.offending, rival)
    assert list(itertools.chain(lattice.graphs.words)) == list(LETTERS)
