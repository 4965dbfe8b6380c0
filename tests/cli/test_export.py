"""Export, and the hooks at the end of decoding and in scoring."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import seqebm
from seqebm.cli.app import app
from seqebm.errors import ConfigError, PluginError
from seqebm.hooks import get_host, hookimpl


def run(*arguments) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def exp(tones, tiny, tmp_path):
    seqebm.train(tiny, tones / "train", tmp_path / "exp")
    return tmp_path / "exp"


def test_arrays(exp, tmp_path):
    model = seqebm.Recognizer.load(exp)
    run("export", exp, "--output", tmp_path / "out")
    with np.load(tmp_path / "out/tensors.npz") as arrays:
        for name, value in model.state_dict().items():
            assert np.array_equal(arrays[name], value.numpy()), name
    described = json.loads((tmp_path / "out/model.json").read_text())
    assert described["vocabulary"] == list(model.vocabulary)
    assert described["config"]["loss"]["name"] == "nll"
    run("export", exp, "--output", tmp_path / "half", "--set", "half=true")
    with np.load(tmp_path / "half/tensors.npz") as arrays:
        assert arrays["lattice.references"].dtype == np.float16


def test_an_exporter_that_there_is_not(exp, tmp_path):
    with pytest.raises(ConfigError, match=r"no exporter is called 'array'\. Did you mean 'arrays'"):
        run("export", exp, "--output", tmp_path / "out", "--to", "array")


class Listener:
    def __init__(self, name="empty answers"):
        self.name, self.decoded = name, []

    @hookimpl
    def seqebm_decode_end(self, model, answers, output):
        self.decoded.append((len(answers), output))

    @hookimpl
    def seqebm_score(self, references, hypotheses):
        return {self.name: sum(not text for text in hypotheses.values())}


@pytest.fixture
def listener():
    found = Listener()
    get_host().manager.register(found)
    yield found
    get_host().manager.unregister(found)


def test_events_of_decoding_and_metrics_of_plugins(exp, tones, tmp_path, listener):
    out = tmp_path / "decoded"
    run("decode", "--model", exp, "--data", tones / "test", "--output", out)
    assert listener.decoded == [(9, out)]
    assert "empty answers        0" in run("score", out)
    run("score", out, "--json", tmp_path / "score.json")
    assert json.loads((tmp_path / "score.json").read_text())["empty answers"] == 0
    listener.name = "wer"
    with pytest.raises(PluginError, match="the metric 'wer', a name that is taken"):
        run("score", out)
