"""Writes docs/reference.md: every command, hook and config key, from the code itself.

python -m tools.reference           writes it
python -m tools.reference --check   exit status 1 if it is out of date (the tests do this)
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from seqebm.cli.app import app
from seqebm.hooks import get_host, hookspecs
from seqebm.hooks.registry import KINDS
from seqebm.models.config import Training

TARGET = Path(__file__).parent.parent / "docs" / "reference.md"
PLUGINS = {"core", "speech", "ink"}
SECTIONS = {
    "frontends": "frontend", "readers": "frontend.reader", "features": "features",
    "lattices": "lattice", "inference": "inference", "losses": "loss",
}  # fmt: skip


def first_paragraph(text: str | None) -> str:
    """Of a docstring, on one line, with code as Markdown has it."""
    paragraph = inspect.cleandoc(text or "").split("\n\n")[0]
    paragraph = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", paragraph).replace("``", "`")
    return " ".join(paragraph.split()).replace("|", "\\|")


def type_name(annotation: Any) -> str:
    """A type as a user reads it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return "null"
    if origin is typing.Literal:
        return " or ".join(f"`{a}`" for a in arguments)
    if origin in (typing.Union, __import__("types").UnionType):
        return " or ".join(type_name(a) for a in arguments)
    if origin in (list, tuple):
        return "list of " + type_name(arguments[0])
    if origin is dict:
        return "mapping"
    names = {int: "whole number", float: "number", bool: "true or false", str: "text"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def keys(model: type[BaseModel]) -> list[str]:
    """A table of the keys of an options class."""
    if not model.model_fields:
        return ["no options", ""]
    rows = ["| key | type | default | |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if field.is_required() or default is PydanticUndefined:
            shown = "required"
        elif isinstance(default, BaseModel):
            shown = "see there"
        elif default is None:
            shown = "null"
        else:
            shown = f"`{default}`".lower() if isinstance(default, bool) else f"`{default}`"
        described = " ".join((field.description or "").split()).replace("|", "\\|")
        kind = type_name(field.annotation).replace("|", "\\|")
        rows.append(f"| `{name}` | {kind} | {shown} | {described} |")
    return [*rows, ""]


def commands(group: Any, prefix: str) -> list[str]:
    """Rows of a command and those below it."""
    rows = []
    for name, command in sorted(group.commands.items()):
        if getattr(command, "commands", None):
            rows += commands(command, f"{prefix} {name}")
        else:
            text = first_paragraph(command.help)
            options = ", ".join(
                f"`{max(p.opts, key=len)}`" for p in command.params
                if p.param_type_name == "option" and "--help" not in p.opts
            )  # fmt: skip
            rows.append(f"| `{prefix} {name}` | {text} | {options} |")
    return rows


def hooks() -> list[str]:
    """A row for each hook."""
    rows = ["| hook | called with | |", "|---|---|---|"]
    for name, function in vars(hookspecs).items():
        if name.startswith("seqebm_"):
            arguments = ", ".join(f"`{a}`" for a in inspect.signature(function).parameters)
            rows.append(f"| `{name}` | {arguments} | {first_paragraph(function.__doc__)} |")
    return [*rows, ""]


def reference() -> str:
    """The whole page."""
    lines = [
        "# Reference", "",
        "Made by `python -m tools.reference` from the code; do not edit.", "",
        "## Commands", "", "`seqebm COMMAND --help` says more.", "",
        "| command | does | options |", "|---|---|---|",
        *commands(typer.main.get_command(app), "seqebm"), "",
        "## Config keys", "", "### `training`", "", first_paragraph(Training.__doc__), "",
        *keys(Training),
    ]  # fmt: skip
    registry = get_host().registry
    for kind, section in SECTIONS.items():
        for component in registry.all():
            if component.kind == kind and component.plugin in PLUGINS:
                about = first_paragraph(getattr(component.load(), "__doc__", ""))
                lines += [f"### `{section}: {{name: {component.name}}}`", "", about, ""]
                if component.plugin != "core":
                    lines += [f"From the plugin {component.plugin}.", ""]
                lines += keys(component.options_class())
    lines += ["## Preparers, exporters", ""]
    for kind in ("preparers", "exporters"):
        for component in registry.all():
            if component.kind == kind and component.plugin in PLUGINS:
                about = first_paragraph(getattr(component.load(), "__doc__", ""))
                lines += [f"### {KINDS[kind]} `{component.name}`", "", about, ""]
                lines += keys(component.options_class())
    lines += [
        "## Hooks", "",
        "A plugin implements those that it needs, with `@seqebm.hooks.hookimpl`. A `register` is "
        "called as `register(name, factory, options=None)`; see `seqebm/hooks/hookspecs.py`.", "",
        *hooks(),
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write or check."""
    text = reference()
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            sys.exit(f"{TARGET} is out of date: run python -m tools.reference")
        return
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
