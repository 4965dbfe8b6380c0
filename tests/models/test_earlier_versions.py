"""Configurations and models from before `inference` had a name are read as they were meant."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from phrases import write_phrases

import seqebm
from seqebm.models import Recognizer, load_config
from seqebm.training import train

OLD = Path(__file__).parent / "version-0.1"


@pytest.fixture(scope="module")
def phrases(tmp_path_factory):
    return write_phrases(tmp_path_factory.mktemp("phrases"))


def test_the_model_answers_as_it_did(phrases):
    model = Recognizer.load(OLD)
    how = model.inference.options
    assert (model.beta, how.decide, how.candidates) == (2.0, "words", 5)
    wavs = sorted((phrases / "wav").glob("test-0[01]*"))
    answers = list(seqebm.recognise(model, wavs))
    assert [a.text for a in answers] == ["flat flat", "flat flat"]
    assert [a.energy for a in answers] == pytest.approx([-6.6096158, -24.1995010], rel=1e-4)
    assert [a.confidence for a in answers] == pytest.approx([0.06921152, 0.00016641], rel=1e-2)
    assert {a.decided for a in answers} == {"words"}


def test_a_run_that_was_begun_then_goes_on(phrases, tmp_path):
    """Its config.yaml, written then, is that of the same configuration now."""
    config = load_config(OLD / "config.yaml")
    assert config.inference.spec() == {
        "name": "exact", "beta": 2.0, "decide": "words", "candidates": 5
    }  # fmt: skip
    shutil.copytree(OLD, tmp_path / "exp")
    model = train(config, phrases / "train", tmp_path / "exp")
    assert model.beta == 2.0
    with pytest.raises(seqebm.SeqebmError, match=r"differs in inference\.beta"):
        train(
            load_config(OLD / "config.yaml", ["inference.beta=3"]),
            phrases / "train",
            tmp_path / "exp",
        )
