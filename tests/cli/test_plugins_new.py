"""``seqebm plugins new``: what it writes is installed, listed, and passes its own tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seqebm.cli.app import app
from seqebm.cli.plugin_skeleton import KINDS


def new(*arguments: str):
    return CliRunner().invoke(app, ["plugins", "new", *arguments])


def installed(root: Path, site: Path) -> dict[str, str]:
    """An environment in which the distribution is importable and has its entry point.

    What pip would write, without its network: the metadata, and the package on the path.
    """
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())
    name, version = project["project"]["name"], project["project"]["version"]
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    entries = project["project"]["entry-points"]["seqebm"]
    lines = "".join(f"{key} = {value}\n" for key, value in entries.items())
    (info / "entry_points.txt").write_text(f"[seqebm]\n{lines}")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(site)])}


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_as_it_is(kind, tmp_path):
    result = new(f"my_{kind}", "--kind", kind, "--output", str(tmp_path))
    assert result.exit_code == 0, result.output
    root = tmp_path / f"seqebm-my-{kind}"
    environment = installed(root, tmp_path / "site")
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(root)],
        capture_output=True, text=True, env=environment, cwd=root,
    )  # fmt: skip
    assert tests.returncode == 0, tests.stdout[-3000:]
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length", "100"]
    style = subprocess.run(ruff, capture_output=True, text=True, cwd=root)
    assert style.returncode == 0, style.stdout
    listing = subprocess.run(
        [sys.executable, "-m", "seqebm", "--strict-plugins", "plugins", "--json"],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert listing.returncode == 0, listing.stderr
    found = [c for c in json.loads(listing.stdout)["components"] if c["name"] == f"my_{kind}"]
    assert [c["plugin"] for c in found] == [f"my_{kind}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["My-Loss"], "'My-Loss' cannot be a name"),
        (["class"], "'class' cannot be a name"),
        (["x", "--kind", "spoon"], "choose one of loss, lattice"),
    ],
)
def test_bad_names_and_kinds(arguments, message, tmp_path):
    result = new(*arguments, "--output", str(tmp_path))
    assert result.exit_code == 1 and message in str(result.exception)


def test_nothing_is_overwritten(tmp_path):
    assert new("mine", "--output", str(tmp_path)).exit_code == 0
    assert "is there already" in str(new("mine", "--output", str(tmp_path)).exception)


@pytest.mark.parametrize(
    ("requires", "message"),
    [(">=99", "it requires seqebm >=99, this is"), ("newest", "no version specifier")],
)
def test_a_plugin_for_another_version_is_skipped(requires, message, tmp_path):
    new("mine", "--output", str(tmp_path))
    root = tmp_path / "seqebm-mine"
    plugin = root / "seqebm_mine/plugin.py"
    plugin.write_text(f"SEQEBM_REQUIRES = {requires!r}\n")
    run = {"capture_output": True, "text": True, "env": installed(root, tmp_path / "site")}
    command = [sys.executable, "-m", "seqebm", "plugins", "--json"]
    result = subprocess.run(command, **run)
    listed = {p["name"]: p["error"] for p in json.loads(result.stdout)["plugins"]}
    assert result.returncode == 0 and message in listed["mine"] and listed["core"] is None
    strict = subprocess.run([*command[:3], "--strict-plugins", *command[3:]], **run)
    assert strict.returncode == 1 and message in strict.stderr.replace("\n", " ")


def test_plugins_can_be_disabled():
    def listing(names: str):
        return subprocess.run(
            [sys.executable, "-m", "seqebm", "plugins", "--json"], capture_output=True, text=True,
            env={**os.environ, "SEQEBM_DISABLE_PLUGINS": names},
        )  # fmt: skip

    result = json.loads(listing("ink").stdout)
    states = {p["name"]: p["error"] for p in result["plugins"]}
    assert states["ink"] == "disabled by SEQEBM_DISABLE_PLUGINS" and states["speech"] is None
    assert "pen" not in {c["name"] for c in result["components"]}
    unknown = listing("inc")
    assert unknown.returncode == 1 and "the installed plugins are core" in unknown.stderr
