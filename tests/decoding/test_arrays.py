"""Answers that are arrays: a lattice of a continuum trains, is decoded, scored and diagnosed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
import yaml
from toy import TINY
from typer.testing import CliRunner

from seqebm.cli.app import app
from seqebm.data import DataDir, write_data_dir
from seqebm.data.targets import read_array
from seqebm.errors import DataError
from seqebm.hooks import Continuum, Request
from seqebm.scoring.arrays import score_arrays

PLUGIN = """
import numpy as np
import torch
from pydantic import Field
from torch import nn

from seqebm.hooks import (
    Continuum, DataError, Found, Inference, Lattice, hookimpl, valid_frames
)


class Pitch(Lattice):
    "E = |G(mean frame) - Y|, Y the pitch at the start and at the end of a sound."

    answers = "array"

    class Options(Lattice.Options):
        summed: bool = Field(True, description="whether the grid stands for all answers")

    def __init__(self, options, input_dim, vocabulary):
        super().__init__(vocabulary)
        assert vocabulary == ()
        self.summed = options.summed
        self.linear = nn.Linear(2 * input_dim, 2)
        grid = torch.linspace(-1.5, 1.5, 13)
        self.register_buffer("grid", torch.cartesian_prod(grid, grid))

    def meet(self, features, lengths):
        half = (lengths // 2)[:, None]
        inside = valid_frames(lengths, features.shape[1])
        early = valid_frames(half[:, 0], features.shape[1])
        parts = [
            features.masked_fill(~mask[:, :, None], 0.0).sum(1) / mask.sum(1)[:, None]
            for mask in (early, inside & ~early)
        ]
        found = self.linear(torch.cat(parts, 1))[:, None]
        every = self.grid.expand(len(features), -1, -1)
        return Continuum(lambda y: (found - y).square().sum(2), every, 0.4, self.summed)

    def parse(self, target):
        values = target.split() if isinstance(target, str) else target
        try:
            pair = torch.as_tensor(np.asarray(values, np.float32))
        except ValueError as error:
            raise DataError(f"the target {target!r} is no pair of numbers: {error}") from None
        if pair.shape != (2,):
            raise DataError(f"the target has shape {tuple(pair.shape)}; give a pair of numbers")
        return pair

    def text(self, value):
        return " ".join(f"{float(v):.3f}" for v in value)


class Descent(Inference):
    "From the best candidate downhill."

    def search(self, energies, names, shift):
        y = torch.stack([own[0].value for own in energies.best()])
        for _ in range(200):
            with torch.enable_grad():
                y = y.detach().requires_grad_()
                (slope,) = torch.autograd.grad(energies.energy(y[:, None]).sum(), y)
            y = (y - 0.05 * slope).detach()
        low = energies.energy(y[:, None])[:, 0].tolist()
        return [Found(one, energy) for one, energy in zip(y, low, strict=True)]


@hookimpl
def seqebm_register_lattices(register):
    register("pitch", Pitch)


@hookimpl
def seqebm_register_inference(register):
    register("descent", Descent)
"""
PITCH = {"down": (1.0, -1.0), "flat": (0.0, 0.0), "up": (-1.0, 1.0)}


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def good(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


@pytest.fixture(scope="module")
def arrays(tones, tmp_path_factory):
    """The tones, each with an array in place of its transcript; and the plugin."""
    root = tmp_path_factory.mktemp("arrays")
    (root / "plugin.py").write_text(PLUGIN)
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        utterances = []
        for u in DataDir.load(tones / part):
            path = root / "targets" / f"{u.id}.npy"
            path.parent.mkdir(exist_ok=True)
            np.save(path, np.array(PITCH[u.text]) + rng.normal(0, 0.01, 2))
            utterances.append(type(u)(u.id, u.path, None, u.speaker, array=path))
        write_data_dir(root / part, utterances)
    return root


def write_config(root, name, loss, **sections):
    settings = {
        **TINY, "loss": loss, "lattice": {"name": "pitch"}, "plugins": ["plugin.py"], **sections,
    }  # fmt: skip
    settings["training"] = {**TINY["training"], "epochs": 30, "learning_rate": 0.02}
    (root / name).write_text(yaml.safe_dump(settings))
    return root / name


def test_data_directories_hold_arrays(arrays, tmp_path):
    data = DataDir.load(arrays / "train")
    assert data.texts == [] and all(u.array and u.array.is_file() for u in data)
    good("data", "validate", arrays / "train")
    (arrays / "target-gone").mkdir(exist_ok=True)
    broken = tmp_path / "broken"
    write_data_dir(broken, list(data))
    lines = (broken / "target.scp").read_text().splitlines()
    (broken / "target.scp").write_text("\n".join([*lines[1:], "nobody x.npy"]) + "\n")
    result = run("data", "validate", broken)
    assert result.exit_code == 1 and "nobody" in result.output and "x.npy" in result.output
    bad = tmp_path / "bad.npy"
    for content in (b"", b"\x93NUMPY\x01\x00rubbish", b"text"):
        bad.write_bytes(content)
        with pytest.raises(DataError, match=r"bad\.npy"):
            read_array(bad)
    np.save(bad, np.array([1.0, math.nan]))
    with pytest.raises(DataError, match="NaN"):
        read_array(bad)
    np.save(bad, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"bad\.npy"):
        read_array(bad)


@pytest.mark.parametrize("loss", ["energy", {"name": "hinge", "margin": 0.1}, "nll"])
def test_it_trains_decodes_and_is_scored(arrays, tmp_path, loss):
    name = loss if isinstance(loss, str) else loss["name"]
    config = write_config(arrays, f"{name}.yaml", loss, inference={"name": "descent", "beta": 10.0})
    exp, out = tmp_path / "exp", tmp_path / "out"
    good("train", config, "--data", arrays / "train", "--valid", arrays / "test", "--exp", exp)
    model = ["--plugin", arrays / "plugin.py"]
    good(*model, "decode", "--model", exp, "--data", arrays / "test", "--output", out)
    score = json.loads(good("score", out, "--json", "-").stdout)
    assert score["items"] == 9 and score["rms"] < 0.35, "three sounds, pitches 1 apart"
    assert score["missing"] == [] and "root mean square" in good("score", out).stdout
    row = json.loads((out / "answers.jsonl").read_text().splitlines()[0])
    assert len(row["value"]) == 2 and row["energy"] < 0.2
    wav = next(iter(DataDir.load(arrays / "test"))).path
    shown = good(*model, "decode", "--model", exp, wav).stdout
    assert row["text"] in shown
    if name == "nll":
        good(*model, "diagnose", exp, "--data", arrays / "train", "--items", 8)
    for options in (["--beam", 3], ["--nbest", 2]):
        assert "arrays" in str(run(*model, "decode", "--model", exp, wav, *options).exception)


def test_a_loss_that_needs_a_sum_says_which_losses_do_not(arrays, tmp_path):
    lattice = {"name": "pitch", "summed": False}
    config = write_config(arrays, "unsummed.yaml", "nll", lattice=lattice)
    failure = str(run("train", config, "--data", arrays / "train", "--exp", tmp_path).exception)
    assert "loss 'nll' and lattice 'pitch' do not fit" in failure and "be summed over" in failure
    names = failure.split(": ")[-1].split(", ")
    assert "hinge" in names and "energy" in names and "mee" not in names
    config = write_config(arrays, "unsummed-hinge.yaml", "hinge", lattice=lattice)
    good("train", config, "--data", arrays / "train", "--exp", tmp_path / "hinge")


def test_transcripts_are_no_arrays(arrays, tones, tmp_path):
    config = write_config(arrays, "text.yaml", "energy")
    failure = run("train", config, "--data", tones / "train", "--exp", tmp_path).exception
    assert isinstance(failure, DataError) and "no array in target.scp" in str(failure)


def test_numbers_of_a_continuum():
    y = torch.linspace(-2, 2, 41, dtype=torch.float64).expand(2, -1)
    g = torch.tensor([0.3, -1.0], dtype=torch.float64, requires_grad=True)
    energies = Continuum(lambda y: (y - g[:, None]).square(), y, 0.25)
    terms = energies.terms(torch.tensor([0.5, -1.0], dtype=torch.float64), 2.0, Request())
    assert terms.correct.tolist() == pytest.approx([0.04, 0.0])
    # Of the answers not within 0.25 of 0.5, 0.2 is nearest to 0.3; around -1.0, -1.3 and -0.7.
    assert terms.offending.tolist() == pytest.approx([0.01, 0.09])
    every = torch.cat([terms.correct[:, None], (y - g[:, None]).square()], 1)
    expected = -torch.logsumexp(-2.0 * every, 1) / 2.0
    torch.testing.assert_close(terms.contrastive, expected)
    assert energies.best()[0][0].value == pytest.approx(0.3)
    (gradient,) = torch.autograd.grad((terms.correct - terms.contrastive).sum(), g)
    assert torch.isfinite(gradient).all()


def test_scores_of_arrays():
    right = {"a": np.array([0, 1, 2]), "b": np.array([1, 1, 1]), "c": np.zeros(3)}
    found = {"a": np.array([0, 1, 0]), "b": np.array([1, 0, 1]), "d": np.zeros(3)}
    score = score_arrays(right, found)
    assert (score.items, score.entries, score.missing, score.extra) == (2, 6, ("c",), ("d",))
    assert score.rms == pytest.approx(math.sqrt(5 / 6)) and score.equal == pytest.approx(4 / 6)
    with pytest.raises(DataError, match=r"a: has shape \(2,\)"):
        score_arrays(right, {"a": np.zeros(2)})
    with pytest.raises(DataError, match="nothing can be compared"):
        score_arrays(right, {})
