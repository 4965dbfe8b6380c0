"""The conformance checks find every built-in sound, and faults where they are put."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from seqebm.cli.app import app
from seqebm.errors import ConfigError, DataError
from seqebm.hooks import Choice, FrontEnd, Reader, get_host
from seqebm.lattices.answers import AnswerSet
from seqebm.testing import (
    assert_sound,
    check,
    check_features,
    check_frontend,
    check_lattice,
    check_reader,
)

OPTIONS = {
    "templates": {"count": 1, "length": 3},
    "hmm": {"states": 1},
    "sum": {"parts": [{"name": "pooled"}, {"name": "templates", "count": 1, "length": 3}]},
    "tdnn": {"channels": 8, "kernels": [3, 3], "strides": [2, 1]},
    "convtdnn": {"channels": 8},
    "logmel": {"rate": 4000, "mels": 10},
    "mfcc": {"rate": 4000},
}


def found(findings):
    return {f.name: f for f in findings}


@pytest.mark.parametrize("name", get_host().registry.names("lattices"))
def test_lattices_are_sound(name):
    assert_sound(check("lattices", name, **OPTIONS.get(name, {})))


@pytest.mark.parametrize("name", ["identity", "tdnn"])
def test_features_are_sound(name):
    assert_sound(check("features", name, **OPTIONS.get(name, {})))


@pytest.mark.parametrize("name", ["logmel", "mfcc"])
def test_frontends_are_sound(name):
    assert_sound(check("frontends", name, **OPTIONS.get(name, {})))


class Leaky(nn.Module):
    """Mean over the whole batch's padding, no lengths, one parameter that is never used."""

    output_dim, subsampling = 4, 2

    def __init__(self):
        super().__init__()
        self.linear, self.idle = nn.Linear(12, 4), nn.Parameter(torch.zeros(1))

    def forward(self, frames, lengths):
        return self.linear(frames) + frames.mean(), lengths


def test_faults_of_features_are_found():
    faults = found(check_features(lambda dim: Leaky()))
    assert not faults["shapes"].passed and "subsampling = 2" in faults["shapes"].text
    assert not faults["padding"].passed and not faults["gradients"].passed
    assert "idle" in faults["gradients"].text
    assert faults["save and load"].passed
    assert not found(check_features(lambda dim: object()))["module"].passed


class Lofty(Choice):
    """Its free energy is not of all answers, and its best one not the best."""

    def free_energy(self, beta):
        return super().free_energy(beta) + 99

    def search(self, how, names, shift):
        return [replace(f, energy=f.energy - 1) for f in super().search(how, names, shift)]


class Wrong(AnswerSet):
    """Reads its padding, keeps a number that is not saved, has a wrong gradient."""

    made = 0

    def __init__(self, dim, vocabulary):
        super().__init__(vocabulary)
        self.weight = nn.Parameter(torch.randn(dim, len(vocabulary)))
        Wrong.made += 1
        self.secret = Wrong.made

    def energies(self, features, lengths, beta):
        return features.mean(1).detach() @ self.weight + self.secret + 0 * features.sum()

    def meet(self, features, lengths):
        return Lofty(lambda beta: self.energies(features, lengths, beta), lengths)

    def minimum_frames(self, target):
        raise KeyError(target)


def test_faults_of_lattices_are_found():
    faults = found(check_lattice(lambda dim, words: Wrong(dim, words)))
    for name in (
        "three numbers",
        "answers",
        "padding",
        "gradients",
        "save and load",
        "unknown target",
    ):
        assert not faults[name].passed, name
    assert "F is above C or I" in faults["three numbers"].text
    with pytest.raises(AssertionError, match="three numbers: "):
        assert_sound(faults.values())


class Moody(FrontEnd):
    reads, rate, limit, output_dim, frame_shift = "audio", 100, 9.0, 1, 0.01

    def fit(self, batches):
        pass

    def forward(self, signal, lengths):
        return torch.rand(*signal.shape, 1) + signal.sum(), lengths


def test_faults_of_frontends_are_found():
    faults = found(check_frontend(Moody))
    assert faults["shapes"].passed
    assert not faults["same again"].passed and not faults["padding"].passed


class Careless(Reader):
    kind, suffixes = "audio", (".raw",)

    def read(self, path, rate, start=None, stop=None, limit=None):
        return np.frombuffer(path.read_bytes(), np.float32)


class Careful(Careless):
    def read(self, path, rate, start=None, stop=None, limit=None):
        try:
            values = super().read(path, rate)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: {error}; record it again") from None
        if not len(values) or not np.isfinite(values).all() or abs(values).max() > 9:
            raise DataError(f"{path}: is empty or not finite; record it again")
        return values


def test_readers(tmp_path):
    path = tmp_path / "good.raw"
    np.random.default_rng(0).random(96).astype(np.float32).tofile(path)
    assert_sound(check_reader(Careful(), path, 100, tmp_path))
    faults = found(check_reader(Careless(), path, 100, tmp_path))
    assert faults["reads"].passed and not faults["bad files"].passed
    assert "FileNotFoundError" in faults["bad files"].text


def test_the_command_finds_the_kind(tmp_path):
    result = CliRunner().invoke(app, ["plugins", "check", "pooled"])
    assert result.exit_code == 0 and "three numbers" in result.output
    result = CliRunner().invoke(app, ["plugins", "check", "pooled", "--kind", "losses"])
    assert isinstance(result.exception, ConfigError)
    result = CliRunner().invoke(app, ["plugins", "check", "pooled", "--kind", "spoons"])
    assert "choose one of losses" in str(result.exception)
