"""Training of connected speech: the loop with a lattice whose answers are strings of words."""

from __future__ import annotations

import copy
import csv

import pytest
import torch
from asking import terms_of
from phrases import PHRASES, write_phrases

from seqebm.errors import ConfigError, InfeasibleError
from seqebm.models import Recognizer, load_config
from seqebm.models.config import override, parse_config
from seqebm.training import train


@pytest.fixture(scope="module")
def phrases(tmp_path_factory):
    return write_phrases(tmp_path_factory.mktemp("phrases"))


@pytest.fixture(scope="module")
def trained(phrases, tmp_path_factory):
    exp = tmp_path_factory.mktemp("exp") / "nll"
    train(config("training.epochs=12"), phrases / "train", exp, phrases / "test")
    return exp


def config(*settings: str):
    return parse_config(override(copy.deepcopy(PHRASES), settings))


def rows(exp) -> list[dict[str, str]]:
    return list(csv.DictReader((exp / "metrics.csv").open()))


def test_learns_words_from_whole_sentences(trained):
    model = Recognizer.load(trained)
    assert model.lattice.answers == "string" and model.vocabulary == ("down", "flat", "up")
    first, last = rows(trained)[0], rows(trained)[-1]
    assert float(last["train_loss"]) < 0.2 * float(first["train_loss"])
    assert float(last["valid_accuracy"]) > 0.8  # 5 of 6
    assert "train_gap" not in last, "NLL looks at no single rival"


def test_other_losses_go_on_from_a_trained_model(phrases, trained, tmp_path):
    for name, beta in (("mce", "1"), ("perceptron", ".inf"), ("margin_hinge", "1")):
        exp = tmp_path / name
        settings = (f"loss={name}", f"inference.beta={beta}", f"training.init={trained}",
                    "training.epochs=1", "training.learning_rate=1e-4")  # fmt: skip
        train(config(*settings), phrases / "train", exp)
        # Three small steps of Adam away from where it began. (What it then answers may differ: best
        # paths at β = inf are not what the NLL at β = 1 has trained.)
        before, after = Recognizer.load(trained), Recognizer.load(exp)
        apart = (after.lattice.linear.weight - before.lattice.linear.weight).detach()
        assert 0 < float(apart.abs().max()) < 1e-3, "it did not start from the trained model"


def test_init_of_another_vocabulary_is_refused(phrases, trained, tmp_path):
    from seqebm.data import DataDir

    data = DataDir.load(phrases / "train")
    part = [u for u in data.utterances if "up" not in (u.text or "").split()]
    other = DataDir(data.path, data.kind, tuple(part))
    with pytest.raises(ConfigError, match=r"another vocabulary .*2.*3|another vocabulary"):
        train(config(f"training.init={trained}"), other, tmp_path / "exp")


def test_what_cannot_fit_is_listed_or_skipped(phrases, tmp_path, caplog):
    long = ("lattice.states=20", "training.epochs=1")
    with pytest.raises(InfeasibleError, match=r"utterances are too short .*\n.*needs \d+"):
        train(config(*long), phrases / "train", tmp_path / "a")
    train(config(*long, "training.bad_utterances=skip"), phrases / "train", tmp_path / "b")
    assert "too short for every path" in caplog.text
    assert 0 < int(rows(tmp_path / "b")[0]["train_infeasible"]) < 24
    hopeless = config("lattice.states=99", "training.bad_utterances=skip")
    with pytest.raises(InfeasibleError, match="24 of 24 utterances are too short"):
        train(hopeless, phrases / "train", tmp_path / "c")


def test_lexicon_and_language_model_are_in_the_model_file(phrases, tmp_path, monkeypatch):
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("down D N\nflat F L\nup U P\nup(2) U\nleft L F\n")
    path = tmp_path / "conf.yaml"
    path.write_text(config(f"lattice.lexicon={lexicon}", "training.epochs=1").to_yaml())
    model = train(load_config(path), phrases / "train", tmp_path / "exp")
    lexicon.unlink()
    again = Recognizer.load(tmp_path / "exp")
    assert list(again.lattice.graphs.words) == ["down", "flat", "left", "up"]
    features, lengths = torch.randn(1, 9, 12), torch.tensor([9])
    energies = [terms_of(m.lattice, features, lengths, ["up"], 1.0)[:3] for m in (model, again)]
    assert all(torch.equal(one, two) for one, two in zip(*energies, strict=True))


def test_missing_lexicon_is_named(tmp_path):
    path = tmp_path / "conf.yaml"
    path.write_text(config("lattice.lexicon=nowhere/lexicon.txt").to_yaml())
    with pytest.raises(ConfigError, match=r"nowhere/lexicon.txt: cannot be read"):
        load_config(path)
