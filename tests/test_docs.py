"""What the documents promise is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seqebm.hooks import get_host
from seqebm.models import load_config
from seqebm.models.config import parse_config

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()
]  # fmt: skip


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_loss_is_on_the_page_of_losses():
    page = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert listed == {c.name for c in get_host().registry.all() if c.kind == "losses"} - {
        "test_config_local"
    }


def test_the_reference_is_that_of_the_code():
    command = [sys.executable, "-m", "tools.reference", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_site_builds_without_a_warning():
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "tools.site"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (ROOT / "build/site/docs/tutorial/index.html").exists()


def test_every_command_hook_and_key_is_described():
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    bare = [line for line in page.splitlines() if line.startswith("| `") and "|  |" in line]
    assert not bare


@pytest.mark.parametrize("path", sorted(ROOT.glob("recipes/*/conf/*.yaml")), ids=lambda p: p.stem)
def test_every_recipe_config_is_valid(path, tmp_path, monkeypatch):
    # Files that a recipe prepares are named relative to its directory, where it runs.
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lexicon.txt").write_text("A AH\n")
    (tmp_path / "data" / "words.txt").write_text("A\n")
    (tmp_path / "data" / "lm.arpa").write_text("\\data\\\nngram 1=1\n\n\\1-grams:\n-1 A\n\\end\\\n")
    (tmp_path / "local").mkdir()
    for name in ("characters.txt", "digits.txt"):
        (tmp_path / "local" / name).write_text("a\nb\n")
    monkeypatch.chdir(tmp_path)
    load_config(path)


def test_the_configs_of_the_readme_are_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        parse_config(yaml.safe_load(block)).checked()
