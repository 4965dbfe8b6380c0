"""The example plugins, installed by pip into a fresh environment: they pass, are listed, train."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml
from phrases import PHRASES, write_phrases

EXAMPLES = Path(__file__).parents[2] / "plugins/examples"
DISTRIBUTIONS = sorted(p.parent for p in EXAMPLES.glob("*/pyproject.toml"))


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of a new environment, which finds this one's packages, and has the examples."""
    root = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    site = next(root.glob("lib/python*/site-packages"))
    # A .pth file that processes this environment's own .pth files, where editable installs are.
    own = sysconfig.get_path("purelib")
    (site / "this.pth").write_text(f"import site; site.addsitedir({own!r})\n")
    # Copies: setuptools builds in the source tree.
    copies = [shutil.copytree(path, root / "sources" / path.name) for path in DISTRIBUTIONS]
    command = [
        sys.executable, "-m", "pip", "--python", str(root / "bin/python"), "install", "-q",
        "--no-deps", "--no-build-isolation", "--no-index", *map(str, copies),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return str(root / "bin/python")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True)


def test_they_are_short():
    assert len(DISTRIBUTIONS) == 4
    for root in DISTRIBUTIONS:
        files = [*root.glob("*/*.py"), root / "pyproject.toml"]
        assert sum(len(path.read_text().splitlines()) for path in files) < 150, root.name
        component = next(root.glob("seqebm_*/component.py"))
        assert len(component.read_text().splitlines()) < 80, root.name


@pytest.mark.parametrize("root", DISTRIBUTIONS, ids=lambda path: path.name)
def test_they_pass_their_own_tests(python, root):
    result = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(root / "tests"))
    assert result.returncode == 0, result.stdout[-3000:]


def test_they_are_listed_with_their_sources(python):
    result = run(python, "-m", "seqebm", "--strict-plugins", "plugins", "--json")
    assert result.returncode == 0, result.stderr
    found = {c["name"]: c for c in json.loads(result.stdout)["components"]}
    assert found["focal"]["source"] == "seqebm_focal.component:Focal"
    assert {found[n]["kind"] for n in ("focal", "segments", "spelling", "torch_module")} == {
        "losses", "lattices", "features"
    }  # fmt: skip


def test_they_train_together(python, tones, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(
        """
frontend: {name: logmel, rate: 8000, mels: 16, augment: {enabled: false}}
features:
  name: torch_module
  module: torch.nn:GRU
  arguments: {input_size: input_dim, hidden_size: 12, batch_first: true}
  output_dim: 12
lattice: {name: segments, count: 4}
inference: {beta: 10.0}
loss: {name: focal, gamma: 1}
training: {epochs: 6, batch_size: 8, threads: 1, learning_rate: 0.01}
"""
    )
    data, exp = tones / "train", tmp_path / "exp"
    seqebm = [python, "-m", "seqebm"]
    result = run(*seqebm, "train", str(config), "--data", str(data), "--exp", str(exp))
    assert result.returncode == 0, result.stderr
    decoded = run(*seqebm, "decode", "--model", str(exp), "--data", str(data), "--output",
                  str(tmp_path / "out"))  # fmt: skip
    assert decoded.returncode == 0, decoded.stderr
    scored = run(*seqebm, "score", str(tmp_path / "out"), "--json", str(tmp_path / "score.json"))
    assert scored.returncode == 0, scored.stderr
    assert json.loads((tmp_path / "score.json").read_text())["accuracy"] > 0.8
    used(seqebm, exp, data, "down")


def used(seqebm, exp, data, word):
    """Align and diagnose with a lattice of a plugin."""
    aligned = run(*seqebm, "align", "--model", str(exp), "--data", str(data), "--output", str(exp))
    assert aligned.returncode == 0, aligned.stderr
    rows = [json.loads(line) for line in (exp / "align.jsonl").read_text().splitlines()]
    assert all(w["end"] > w["start"] for row in rows for w in row["words"])
    assert word in {w["label"] for row in rows for w in row["words"]}
    found = run(*seqebm, "diagnose", str(exp), "--data", str(data), "--json", "--items", "8")
    assert json.loads(found.stdout)["items"] == 8, found.stderr


def test_a_lattice_of_strings_is_used_like_ours(python, tmp_path):
    data = write_phrases(tmp_path / "phrases")
    config = tmp_path / "config.yaml"
    settings = {**PHRASES, "lattice": {"name": "spelling"}}
    config.write_text(yaml.safe_dump(settings))
    seqebm, exp, out = [python, "-m", "seqebm"], tmp_path / "exp", tmp_path / "out"
    trained = run(*seqebm, "train", str(config), "--data", str(data / "train"), "--exp", str(exp))
    assert trained.returncode == 0, trained.stderr
    options = ["--nbest", "3", "--ctm", "--beam", "50", "--confidence", "--plot"]
    decoded = run(
        *seqebm, "decode", "--model", str(exp), "--data", str(data / "test"), "--output", str(out),
        *options, str(tmp_path / "p.png"),
    )  # fmt: skip
    assert decoded.returncode == 0, decoded.stderr
    answers = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert all(len(a["alternatives"]) >= 1 and 0 < a["confidence"] <= 1 for a in answers)
    scored = run(*seqebm, "score", str(out), "--json", "-")
    assert json.loads(scored.stdout)["wer"] < 0.5
    used(seqebm, exp, data / "train", "up")
