"""``seqebm combine``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqebm.cli.terminal import say


def combine_command(
    models: Annotated[list[Path], typer.Argument(help="exp/NAME, or model files: two or more.")],
    output: Annotated[Path, typer.Option(help="Directory of the new model.")],
) -> None:
    """Make one model of several of isolated words: their energies are added up.

    Models of one config and different seeds err differently; together they are better than each,
    and take as long as all of them. They must have the same words and the same front-end.

    Example: seqebm combine exp/seed0 exp/seed1 exp/seed2 --output exp/committee
    """
    from seqebm.models import Recognizer
    from seqebm.models.committee import combine

    made = combine([Recognizer.load(path) for path in models])
    output.mkdir(parents=True, exist_ok=True)
    say(f"{made.save(output)} is a committee of {len(models)}, of {len(made.vocabulary)} words")
