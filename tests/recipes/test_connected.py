"""The recipes with steps.sh: options are checked before anything is set up or trained."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


def run(recipe: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(RECIPES / recipe / "run.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("recipe", ["yesno", "an4", "spoken_words"])
def test_bad_options_are_named(recipe):
    for arguments, words in (
        (["--configs", "none"], "there is no conf/none.yaml; there are: "),
        (["--stag", "2"], "unknown option --stag"),
        (["--data"], "--data needs a value"),
        (["--stage", "two"], "whole numbers from 1, not 'two'"),
    ):
        result = run(recipe, *arguments)
        assert result.returncode == 1 and words in result.stderr, result.stderr


@pytest.mark.parametrize("recipe", ["yesno", "an4", "spoken_words"])
def test_help_is_the_head_of_the_script(recipe):
    result = run(recipe, "--help")
    assert result.returncode == 0 and "--data DIR" in result.stdout
    assert "Stages: 1 prepare" in result.stdout and "set -e" not in result.stdout


def test_models_that_others_go_on_from_exist():
    configs = RECIPES / "an4" / "conf"
    origins = [
        line.removeprefix("# from: ")
        for path in configs.glob("*.yaml")
        for line in path.read_text().splitlines()
        if line.startswith("# from: ")
    ]
    assert len(origins) == 5 and all((configs / f"{name}.yaml").exists() for name in origins)
