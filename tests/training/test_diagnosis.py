"""Diagnosis: what it measures, on surfaces whose faults are known, and in training runs."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from asking import terms_of
from toy import TINY
from typer.testing import CliRunner

from seqebm.cli.app import app
from seqebm.data import DataDir
from seqebm.errors import DataError
from seqebm.models.config import parse_config
from seqebm.pictures.diagnosis import plot_diagnosis
from seqebm.training import train
from seqebm.training.diagnosis import Diagnosis, diagnose, sample


def found(**changes) -> Diagnosis:
    values = {
        "correct": np.array([1.0, 1.0, 2.0, 5.0]),
        "offending": np.array([2.0, 1.0005, 1.0, np.inf]),
        "infeasible": 0, "margin": 0.5, "push": 3.0, "pull": 1.0, "net": 2.0, "spread": 1.0,
        "used": {"a": 3, "b": 0},
    }  # fmt: skip
    return Diagnosis(**{**values, **changes})


def test_shares():
    d = found()
    assert d.gaps.tolist() == pytest.approx([1.0, 0.0005, -1.0])
    assert d.flat == pytest.approx(1 / 3) and d.accuracy == pytest.approx(2 / 3)
    assert d.violations == pytest.approx(2 / 3) and d.pull_share == 0.25 and d.idle == ["b"]
    assert found(offending=np.full(4, np.inf)).as_dict()["gap_deciles"] == []
    json.dumps(d.as_dict())


def config(loss, **training):
    return parse_config({**TINY, "loss": loss, "training": {**TINY["training"], **training}})


def test_collapse_is_noticed_in_training(tones, tmp_path, caplog):
    """The energy loss alone, on features that may become the same for all inputs."""
    with caplog.at_level(logging.WARNING):
        train(
            config({"name": "energy"}, epochs=30, learning_rate=0.02),
            tones / "train",
            tmp_path / "exp",
        )
    text = " ".join(record.getMessage() for record in caplog.records)
    assert "no pull" in text and "'energy' pulls no wrong answer up" in text
    assert "collapsing: the energy gaps have shrunk from" in text
    saved = json.loads((tmp_path / "exp/diagnosis.json").read_text())
    assert saved["pull"] == 0 and saved["epoch"] == 30
    assert {w["name"] for w in saved["warnings"]} >= {"collapsing", "no pull"}
    assert saved["gap_before"] > 10 * abs(saved["gap_deciles"][5])


def test_a_sound_run_has_no_warning(tones, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        train(config({"name": "nll"}, epochs=8), tones / "train", tmp_path / "exp")
    assert not [r for r in caplog.records if "epoch" in r.getMessage()]
    saved = json.loads((tmp_path / "exp/diagnosis.json").read_text())
    assert saved["warnings"] == [] and saved["accuracy"] > 0.8 and saved["pull"] > 0


def test_a_margin_out_of_reach(tones, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        train(
            config({"name": "hinge", "margin": 50.0}, epochs=8), tones / "train", tmp_path / "exp"
        )
    text = " ".join(record.getMessage() for record in caplog.records)
    assert "margin out of reach" in text and "Set loss.margin" in text


def test_forces_are_those_of_the_loss(tones, tmp_path):
    model = train(config({"name": "nll"}, epochs=1), tones / "train", tmp_path / "exp")
    (batch,) = sample(model, DataDir.load(tones / "train"), 8)
    d = diagnose(model, [batch])
    with torch.no_grad():
        features, lengths = model.extract(batch.signal, batch.lengths)
    features.requires_grad_()
    terms = terms_of(model.lattice, features, lengths, batch.targets, model.beta)
    push, pull = (
        torch.autograd.grad(t.mean(), features, retain_graph=True)[0]
        for t in (terms.correct, -terms.contrastive)
    )
    assert d.push == pytest.approx(float(push.norm()), rel=1e-4)
    assert d.pull == pytest.approx(float(pull.norm()), rel=1e-4)
    assert d.net == pytest.approx(float((push + pull).norm()), rel=1e-3)


def test_templates_are_counted_once_an_item(tones, tmp_path):
    model = train(config({"name": "nll"}, epochs=1), tones / "train", tmp_path / "exp")
    if not hasattr(model.lattice, "usage"):
        pytest.skip("the toy model has no templates")
    batches = sample(model, DataDir.load(tones / "train"), 10)
    d = diagnose(model, batches)
    assert sum(d.used.values()) == len(d.correct)
    plot_diagnosis(d, tmp_path / "d.png")
    assert (tmp_path / "d.png").stat().st_size > 10_000


def test_on_the_command_line(tones, tmp_path):
    train(config({"name": "energy"}, epochs=2), tones / "train", tmp_path / "exp")
    arguments = ["diagnose", str(tmp_path / "exp"), "--data", str(tones / "train")]
    result = CliRunner().invoke(app, [*arguments, "--plot", str(tmp_path / "d.png")])
    assert result.exit_code == 1 and "no pull" in result.output and "flat" in result.output
    assert (tmp_path / "d.png").exists()
    result = CliRunner().invoke(app, [*arguments, "--json", "--items", "5"])
    assert json.loads(result.stdout)["items"] <= 5


def test_nothing_to_diagnose(tones, tmp_path):
    model = train(config({"name": "nll"}, epochs=0), tones / "train", tmp_path / "exp")
    with pytest.raises(DataError, match="nothing to diagnose"):
        diagnose(model, [])
    strange = DataDir.load(tones / "train")
    data = replace(strange, utterances=[replace(u, text="zzz") for u in strange.utterances])
    with pytest.raises(DataError, match="no utterance can be diagnosed"):
        sample(model, data, 5)
