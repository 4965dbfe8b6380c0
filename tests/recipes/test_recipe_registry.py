"""recipes/registry.yaml has every configuration, and says what RESULTS.md says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

RECIPES = Path(__file__).parents[2] / "recipes"
REGISTRY = yaml.safe_load((RECIPES / "registry.yaml").read_text(encoding="utf-8"))


def test_every_configuration_is_listed():
    there = {p.parent.parent.name for p in RECIPES.glob("*/conf/*.yaml")}
    assert set(REGISTRY) == there
    for recipe in there:
        configs = {p.stem for p in (RECIPES / recipe / "conf").glob("*.yaml")}
        assert set(REGISTRY[recipe]["configs"]) == configs, recipe
        assert REGISTRY[recipe]["corpus"] and REGISTRY[recipe]["published"]


@pytest.mark.parametrize("recipe", REGISTRY)
def test_measured_numbers_are_in_the_results(recipe):
    """Each number, as RESULTS.md has it, on a line with the config's name (or in its text)."""
    results = (RECIPES / recipe / "RESULTS.md").read_text(encoding="utf-8")
    for config, measured in REGISTRY[recipe]["configs"].items():
        for what, number in measured.items():
            if what in ("not measured", "debug"):
                continue
            shown = {f"{number:.1f}", f"{number:.2f}"}
            if recipe == "yesno":  # in words: 0 of 240
                assert number == 0 and "**0**, 1, 0 of 240" in results
                continue
            assert any(text in results for text in shown), (config, what, number)


def test_every_configuration_trains_a_little(tmp_path, tones):
    """Two epochs on a toy corpus: the loss is below what the registry says (a third above seen)."""
    command = [sys.executable, str(Path(__file__).with_name("debug_runs.py")), tmp_path, tones]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    losses = json.loads(result.stdout.splitlines()[-1])
    bounds = {
        f"{recipe}/{config}": values["debug"]
        for recipe, entry in REGISTRY.items()
        for config, values in entry["configs"].items()
    }
    assert losses.keys() == bounds.keys()
    over = {name: loss for name, loss in losses.items() if not loss <= bounds[name]}
    assert not over
