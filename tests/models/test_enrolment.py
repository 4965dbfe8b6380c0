"""Words added from a few recordings, and taken out again."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from toy import RATE, SWEEPS, TINY, sweep

from seqebm.decoding.batches import files_as_utterances
from seqebm.decoding.decoder import recognise_utterances
from seqebm.errors import DataError, UnsupportedError
from seqebm.models import Recognizer
from seqebm.models.config import parse_config
from seqebm.models.enrolment import enrol, forget
from seqebm.training import train


@pytest.fixture(scope="module", params=["closed", "open", "background", "all", "sum"])
def model(tones, tmp_path_factory, request):
    """Without the last word of SWEEPS, which the network has heard: two words teach it little."""
    lattice = dict(TINY["lattice"])
    if request.param == "all":
        lattice |= {"init": "all"}
    elif request.param == "sum":
        lattice = {"name": "sum", "parts": [lattice, {**lattice, "count": 1, "scale": 0.5}]}
    else:
        lattice |= {"ends": request.param}
    training = {**TINY["training"], "epochs": 12}
    config = parse_config({**TINY, "lattice": lattice, "training": training})
    trained = train(config, tones / "train", tmp_path_factory.mktemp("enrol") / "exp").eval()
    return forget(trained, list(SWEEPS)[-1])


def spoken(word: str, seed: int) -> torch.Tensor:
    return torch.from_numpy(sweep(word, 0.25, np.random.default_rng(seed)))


def answers(model, signals) -> list[str]:
    words = []
    for signal in signals:
        energies = model.energies(signal[None], torch.tensor([len(signal)]))
        words.append(model.vocabulary[int(energies.best()[0][0].value)])
    return words


def test_a_new_word_is_recognised_and_forgotten(model, tmp_path):
    *known, new = SWEEPS
    assert set(model.vocabulary) == set(known)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    larger = enrol(model, f" {new} ", [spoken(new, k) for k in range(3)])
    assert larger.vocabulary == (*model.vocabulary, new)
    fresh = [spoken(new, k) for k in range(10, 14)]
    assert answers(larger, fresh) == [new] * 4
    old = [spoken(word, k) for word in known for k in range(20, 23)]
    same = [a == b for a, b in zip(answers(larger, old), answers(model, old), strict=True)]
    assert sum(same) >= 5, "of six"
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), "the model itself stays as it is"
    larger.save(tmp_path)
    again = Recognizer.load(tmp_path)
    assert again.vocabulary == larger.vocabulary
    one = larger.energies(fresh[0][None], torch.tensor([len(fresh[0])])).values(2.0)
    other = again.energies(fresh[0][None], torch.tensor([len(fresh[0])])).values(2.0)
    assert torch.equal(one, other)
    smaller = forget(larger, new)
    assert smaller.vocabulary == model.vocabulary
    for name, tensor in smaller.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_more_of_a_known_word_and_a_word_in_the_middle_forgotten(model):
    word, *others = model.vocabulary
    larger = enrol(model, word, [spoken(word, 1)])
    assert larger.vocabulary == model.vocabulary
    *_, new = SWEEPS
    larger = forget(enrol(larger, new, [spoken(new, k) for k in range(3)]), word)
    assert larger.vocabulary == (*others, new)
    assert answers(larger, [spoken(new, 9)]) == [new]


def test_what_cannot_be_done_is_named(model, tones, tmp_path):
    with pytest.raises(DataError, match="is empty"):
        enrol(model, " ", [spoken("up", 0)])
    with pytest.raises(DataError, match="no recordings of 'x'"):
        enrol(model, "x", [])
    with pytest.raises(DataError, match=r"does not know the word 'downn'.*Did you mean 'down'"):
        forget(model, "downn")
    with pytest.raises(DataError, match="a recogniser needs two"):
        forget(model, model.vocabulary[0])


def test_pooling_does_without_a_word_but_has_to_be_trained_with_one(tones, tmp_path):
    config = parse_config({**TINY, "lattice": "pooled", "training": {"epochs": 1}})
    model = train(config, tones / "train", tmp_path / "exp")
    with pytest.raises(UnsupportedError, match="Pooled has to be trained with its words"):
        enrol(model, "x", [spoken("up", 0)])
    smaller = forget(model, model.vocabulary[1])
    assert smaller.vocabulary == (model.vocabulary[0], *model.vocabulary[2:])
    signal = spoken("up", 0)
    heard = (signal[None], torch.tensor([len(signal)]))
    before, after = (m.energies(*heard).values(2.0)[0] for m in (model, smaller))
    torch.testing.assert_close(after, before[[0, *range(2, len(before))]])
    smaller.save(tmp_path / "smaller")
    again = Recognizer.load(tmp_path / "smaller")
    torch.testing.assert_close(again.energies(*heard).values(2.0)[0], after)


def test_a_lattice_that_must_be_trained(tones, tmp_path):
    lattice = {"name": "hmm", "lexicon": "words", "states": 2}
    config = parse_config({**TINY, "lattice": lattice, "training": {"epochs": 0}})
    model = train(config, tones / "train", tmp_path / "exp")
    with pytest.raises(UnsupportedError, match="to do without a word"):
        forget(model, model.vocabulary[0])


def test_an_enrolled_model_decodes_files(model, tmp_path):
    *_, new = SWEEPS
    larger = enrol(model, new, [spoken(new, k) for k in range(3)])
    soundfile.write(tmp_path / "a.wav", spoken(new, 7).numpy(), RATE)
    (answer,) = recognise_utterances(larger, files_as_utterances([tmp_path / "a.wav"]))
    assert answer.text == new
