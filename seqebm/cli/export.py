"""``seqebm export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqebm.cli.terminal import print_line


def export_command(
    model: Annotated[Path, typer.Argument(help="A trained model: its exp directory.")],
    output: Annotated[Path, typer.Option(help="The directory to write to.")],
    to: Annotated[str, typer.Option(help="The exporter; 'seqebm plugins' lists them.")] = "arrays",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the exporter: KEY=VALUE.")
    ] = None,
) -> None:
    """Write a trained model in a form that other programs read.

    Example: seqebm export exp/mine --to arrays --output exported
    """
    from seqebm.hooks import get_host
    from seqebm.models import Recognizer
    from seqebm.settings import parse_setting

    options = dict(parse_setting(text, "KEY=VALUE, e.g. half=true") for text in setting or [])
    exporter = get_host().registry.make("exporters", {"name": to, **options}, "export")
    exporter(Recognizer.load(model), output)
    print_line(f"{model} is exported to {output}")
