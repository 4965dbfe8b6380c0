"""What messages advise can be done: commands, options, keys and packages that they name exist."""

from __future__ import annotations

import ast
import codecs
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from seqebm.cli.app import app
from seqebm.hooks import get_host
from seqebm.models.config import SECTIONS, Training

ROOT = Path(__file__).parents[1]
SOURCES = [*ROOT.glob("seqebm/**/*.py"), *ROOT.glob("plugins/*/seqebm_*/**/*.py")]
OTHERS = {"--force-reinstall"}  # options of pip
IMPORT = re.compile(r"seqebm[\w.]*(:\w+)?")


def messages(path: Path) -> Iterator[str]:
    """Every text of a module that may be said: no docstrings, no import paths."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.JoinedStr):
            parts = [v.value if isinstance(v, ast.Constant) else "{}" for v in node.values]
            text = "".join(str(part) for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        if text and id(node) not in silent and not IMPORT.fullmatch(text):
            yield text


CODE = {"plugin_skeleton.py"}  # its texts are programs
SAID = sorted({text for path in SOURCES if path.name not in CODE for text in messages(path)})


def found(pattern: str) -> set[str]:
    """What a pattern's group matches in all messages."""
    return {m for text in SAID for m in re.findall(pattern, text)}


def commands() -> tuple[set[str], set[str]]:
    """Every command (``data validate``) and every option of the program."""
    names: set[str] = set()
    options = {"--help"}

    def walk(command, name: str) -> None:
        names.add(name)
        options.update(o for p in command.params for o in [*p.opts, *p.secondary_opts])
        for child, sub in getattr(command, "commands", {}).items():
            walk(sub, f"{name} {child}".strip())

    walk(typer.main.get_command(app), "")
    return names, options


def keys() -> set[str]:
    """``section.key`` (and ``section.key.sub``) of every component and of training."""
    registry = get_host().registry
    known = {"frontend.reader", "frontend.reader.name"}

    def add(prefix: str, model: type[BaseModel]) -> None:
        known.add(f"{prefix}.name")
        for name, field in model.model_fields.items():
            known.add(f"{prefix}.{name}")
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                add(f"{prefix}.{name}", field.annotation)

    add("training", Training)
    for section, kind in [*SECTIONS.items(), ("frontend.reader", "readers")]:
        for name in registry.names(kind):
            add(section, registry.get(kind, name).options_class())
    return known


def test_something_is_advised():
    assert len(SAID) > 500
    assert "training.learning_rate" in keys() and "--fix" in commands()[1]


def test_commands_exist():
    names, _ = commands()
    groups = {name.split()[0] for name in names if " " in name}
    for said in found(r"['`]seqebm ([a-z]+(?: [a-z]+)?)"):
        first, _, second = said.partition(" ")
        assert first in names, f"'seqebm {said}' is no command"
        if first in groups and second:
            assert f"{first} {second}" in names, f"'seqebm {said}' is no command"


def test_options_exist():
    _, options = commands()
    assert found(r"(?<![\w-])(--[a-z][a-z0-9-]+)") <= options | OTHERS


def test_keys_exist():
    sections = "|".join([*SECTIONS, "training"])
    said = found(rf"(?<![\w./])((?:{sections})\.[a-z_]+(?:\.[a-z_]+)?)(?![\w(/]|:\w)")
    assert {"training.bad_utterances", "lattice.length"} <= said
    unknown = {key for key in said - keys() if not key.endswith((".py", ".png", ".yaml"))}
    assert not unknown


def test_packages_exist():
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert found(r"pip install '?seqebm\[(\w+)\]") <= {*extras}
    for path in found(r"pip install -e ([\w./]+)"):
        assert (ROOT / path / "pyproject.toml").is_file(), path


@pytest.mark.parametrize("encoding", sorted(found(r"iconv -f ([\w-]+)") | {"utf-8"}))
def test_encodings_exist(encoding):
    codecs.lookup(encoding)
