"""The digits recipe from end to end, shortened: it must still learn, and resume."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "digits"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(RECIPE / "run.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_bad_options_are_named():
    for arguments, words in (
        (["--corpus", "tidigits"], "choose synthetic or fsdd"),
        (["--corpus", "fsdd", "--tag", "none"], "--data DIR"),
        (["--configs", "tdnn"], "there is no conf/tdnn.yaml"),
        (["--stag", "2"], "unknown option --stag"),
    ):
        if arguments[1] == "fsdd" and (RECIPE / "data/fsdd/.done").exists():
            continue  # prepared here already: nothing is missing
        result = run(*arguments)
        assert result.returncode == 1 and words in result.stderr, result.stderr


@pytest.mark.parametrize("options", [[], ["--corpus", "fsdd"], ["--corpus", "fsdd", "--inner"]])
def test_a_run_that_has_nothing_to_do_comes_to_its_end(options):
    if Path(sys.prefix) != RECIPE.parents[1] / ".venv":
        pytest.skip("run.sh uses .venv; run the tests with tools/test.sh")
    result = run(*options, "--download", "--stage", "7")
    assert result.returncode == 0 and "done in" in result.stdout, result.stderr


@pytest.mark.slow
def test_short_run():
    if Path(sys.prefix) != RECIPE.parents[1] / ".venv":
        pytest.skip("run.sh uses .venv; run the tests with tools/test.sh")
    exp = RECIPE / "exp" / "synthetic-pytest"
    shutil.rmtree(exp, ignore_errors=True)
    settings = ["--tag", "pytest", "--set", "training.epochs=4"]
    try:
        first = run(*settings)
        assert first.returncode == 0, first.stdout + first.stderr
        assert "The corpus is synthetic" in first.stdout
        score = json.loads((exp / "all/tdnn_templates/seed0/score.json").read_text())
        assert score["accuracy"] > 0.6, "ten words: chance is 0.1"
        for picture in ("accuracy.png", "example.png"):
            assert (exp / picture).exists()
        again = run(*settings)
        assert again.returncode == 0 and "train done" not in again.stdout
        other = run("--tag", "pytest", "--set", "training.epochs=5", "--stop-stage", "3")
        assert other.returncode != 0 and "--tag" in other.stderr
    finally:
        shutil.rmtree(exp, ignore_errors=True)
