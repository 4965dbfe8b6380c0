"""The checks of losses find every registered one sound, and faults where they are put."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

from seqebm.cli.app import app
from seqebm.hooks import Request, get_host
from seqebm.losses.base import Loss
from seqebm.testing.losses import check_loss, evaluate

REGISTRY = get_host().registry


@pytest.mark.parametrize("name", REGISTRY.names("losses"))
def test_every_registered_loss_is_sound(name):
    findings = check_loss(REGISTRY.make("losses", {"name": name}, "loss"))
    assert all(f.passed for f in findings), [f for f in findings if not f.passed]


@pytest.mark.parametrize(("margin", "measured"), [(0.3, "0.3"), (2.5, "2.5")])
def test_the_margin_is_measured(margin, measured):
    loss = REGISTRY.make("losses", {"name": "hinge", "margin": margin}, "loss")
    found = {f.name: f for f in check_loss(loss)}["margin"]
    assert found.passed and found.text == f"measured {margin - 0.001:.3f}; declared {measured}"


class Upwards(Loss):
    margin = None

    def __call__(self, terms):
        return -terms.correct


class Infinite(Loss):
    def __call__(self, terms):
        return 1 / (terms.offending - terms.offending)


class Boastful(Loss):
    """The perceptron loss with claims that do not hold."""

    good, margin = True, 1.0

    def __call__(self, terms):
        return (terms.correct - terms.offending).clamp(min=0)


class Curious(Loss):
    request = Request(contrastive=False, offending=True)
    margin = None

    def __call__(self, terms):
        return terms.correct - terms.contrastive


class Scalar(Loss):
    def __call__(self, terms):
        return (terms.correct - terms.offending).clamp(min=0).mean()


class Downwards(Loss):
    """Pushes rivals down once they are high."""

    margin = None

    def __call__(self, terms):
        return (terms.offending - terms.correct - 1).square()


@pytest.mark.parametrize(
    ("loss", "faults"),
    [
        (Upwards, {"pushes down the right answer"}),
        (Infinite, {"finite"}),
        (Boastful, {"condition of LeCun & Huang", "margin"}),
        (Curious, {"request", "finite"}),
        (Scalar, {"one loss an item"}),
        (Downwards, {"pushes down the right answer", "pulls up wrong answers"}),
    ],
)
def test_faults_are_found(loss, faults):
    found = {f.name for f in check_loss(loss()) if not f.passed}
    assert faults <= found


def test_derivatives_are_those_of_the_formula():
    loss = REGISTRY.make("losses", {"name": "hinge", "margin": 1.0}, "loss")
    energies = torch.tensor([[1.0, 1.5, 9.0], [1.0, 3.0, 9.0]], dtype=torch.float64)
    losses, slopes = evaluate(loss, energies, 1.0)
    assert losses.tolist() == [0.5, 0.0]
    assert slopes.tolist() == [[1, -1, 0], [0, 0, 0]]


def test_on_the_command_line(tmp_path):
    result = CliRunner().invoke(app, ["plugins", "check", "hinge", "--set", "margin=0.5"])
    assert result.exit_code == 0 and "declared 0.5" in result.output
    (tmp_path / "mine.py").write_text(
        "from seqebm.hooks import Loss, hookimpl\n"
        "class Wrong(Loss):\n"
        "    good = True\n"
        "    def __call__(self, terms):\n"
        "        return terms.correct.exp()\n"
        "@hookimpl\n"
        "def seqebm_register_losses(register):\n"
        '    register("wrong_one", Wrong)\n'
    )
    file = str(tmp_path / "mine.py")
    # In a process of its own: a plugin stays registered.
    command = [sys.executable, "-m", "seqebm", "plugins", "check", "wrong_one", "--plugin", file]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    assert done.returncode == 1 and "FAULT" in done.stdout and "it declares good" in done.stdout
    result = CliRunner().invoke(app, ["plugins", "check", "hing"])
    assert result.exit_code != 0 and "hinge" in str(result.exception)
