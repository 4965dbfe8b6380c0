"""What the recipes energy_surfaces and losses claim is what their scripts find."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


def table(script: str, *arguments: str) -> list[list[str]]:
    """Rows of the tables that a script of energy_surfaces prints, as cells."""
    command = [sys.executable, str(RECIPES / "energy_surfaces/local" / script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_locally_normalised_model_cannot_recover(tmp_path):
    rows = {row[0]: float(row[1].rstrip("%")) for row in table("label_bias.py", tmp_path)[1:]}
    assert rows["locally normalised"] > 30 > 3 > rows["not normalised"]
    assert (tmp_path / "label_bias.png").stat().st_size > 10_000


def test_a_factor_graph_as_a_trellis_and_the_limits_of_beta(tmp_path):
    rows = table("inference.py", tmp_path)
    tutorial = next(row for row in rows if row[0] == "the tutorial's")
    assert tutorial[1:5] == ["24", "96", "16", "16"] and float(tutorial[5]) < 1e-9
    infinite = next(row for row in rows if row[0] == "∞")
    assert infinite[-1] == infinite[-2], "at β = ∞ the marginal is the minimum"
    one = next(row for row in rows if row[0] == "1.0")
    assert one[-1] != one[-2], "and at β = 1 it is not"


@pytest.mark.slow
def test_two_branches_collapse_under_the_energy_loss_only(tmp_path):
    rows = table("parabola.py", tmp_path, "--seeds", "0", "--losses", "energy", "square_square")
    found = {(row[0], row[1].strip("`")): (float(row[2]), row[6]) for row in rows[1:]}
    assert found["two branches", "energy"][1] == "1 of 1"
    for name in (("regression", "energy"), ("two branches", "square_square")):
        assert found[name][1] == "0 of 1" and found[name][0] < 0.05
    assert (tmp_path / "parabola.gif").exists()


@pytest.mark.slow
def test_simple_architectures_are_what_textbooks_say(tmp_path):
    rows = [row for row in table("simple.py", tmp_path) if row[1].startswith("`")]
    assert len(rows) == 4 and all(float(row[4]) < 1e-6 for row in rows)


@pytest.mark.slow
def test_losses_from_one_initialisation():
    if Path(sys.prefix) != RECIPES.parent / ".venv":
        pytest.skip("run.sh uses .venv; run the tests with tools/test.sh")
    exp = RECIPES / "losses/exp-pytest"
    shutil.rmtree(exp, ignore_errors=True)
    settings = ["--tag", "pytest", "--losses", "energy,nll", "--configs", "templates"]
    try:
        result = subprocess.run(
            [str(RECIPES / "losses/run.sh"), *settings, "--seeds", "0"],
            capture_output=True, text=True, env=os.environ, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        found = {
            name: json.loads((exp / f"synthetic/templates/{name}/seed0/result.json").read_text())
            for name in ("energy", "nll")
        }
        assert found["nll"]["error"] < 0.2 < found["energy"]["error"]
        assert found["energy"]["warnings"] and not found["nll"]["flat"]
    finally:
        shutil.rmtree(exp, ignore_errors=True)
