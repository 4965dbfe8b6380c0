"""``seqebm diagnose`` with a model of word strings."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from seqebm.cli.app import app


def test_states_of_a_connected_model_are_counted(phrases, tmp_path):
    arguments = ["diagnose", str(phrases / "exp"), "--data", str(phrases / "train"), "--json"]
    result = CliRunner().invoke(app, [*arguments, "--items", "8"])
    found = json.loads(result.stdout)
    assert found["items"] == 8 and found["accuracy"] > 0.5 and found["parts"] > 4
    assert found["pull"] > 0 and found["feature_spread"] > 0.05
