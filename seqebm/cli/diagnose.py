"""``seqebm diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from seqebm.cli.terminal import print_json, say, show


def diagnose_command(
    model: Annotated[Path, typer.Argument(help="exp/NAME, or a model file.")],
    data: Annotated[Path, typer.Option(help="Data directory with transcripts.")],
    items: Annotated[int, typer.Option(min=1, help="How many utterances, at random.")] = 256,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw it.")] = None,
) -> None:
    """Is the model's energy surface sound? Gaps, flat items, push and pull, idle parts.

    Looks at utterances with known answers and says what is probably wrong, why, and what to do.
    Exit status 1 if there is anything of the kind.

    Example: seqebm diagnose exp/tdnn --data data/train --plot surface.png
    """
    if plot is not None:
        from seqebm.pictures.figures import check_picture

        check_picture(plot)
    from seqebm.data import DataDir
    from seqebm.models import Recognizer
    from seqebm.training.diagnosis import diagnose, sample

    recognizer = Recognizer.load(model)
    found = diagnose(recognizer, sample(recognizer, DataDir.load(data), items, seed))
    if as_json:
        print_json(found.as_dict())
    else:
        tenths = found.as_dict()["gap_deciles"]
        rows = [
            ("items", f"{len(found.correct)}, and {found.infeasible} without a path"),
            ("right", f"{found.accuracy:.1%}"),
            ("flat", f"{found.flat:.1%}"),
            ("gap", f"{tenths[1]:.4g} .. {tenths[5]:.4g} .. {tenths[9]:.4g} (10, 50, 90 %)"
             if tenths else "there is no other answer"),
            ("below the margin", "the loss has no fixed one" if found.margin is None
             else f"{found.violations:.1%} (of {found.margin:g})"),
            ("gradient", f"push {found.push:.4g}, pull {found.pull:.4g} ({found.pull_share:.0%}), "
             f"both {found.net:.4g}"),
            ("features", f"vary by {found.spread:.0%} of their size"),
            ("idle parts", f"{len(found.idle)} of {len(found.used)}" if found.used
             else "the lattice does not tell"),
        ]  # fmt: skip
        table = Table("energy surface", "", box=None, header_style="bold", pad_edge=False)
        for name, text in rows:
            table.add_row(name, text)
        show(table)
    if plot is not None:
        from seqebm.pictures.diagnosis import plot_diagnosis

        plot_diagnosis(found, plot)
        say(f"drawn: {plot}")
    for fault in found.warnings:
        say(f"{fault.name}: {fault}", "yellow")
    if found.warnings:
        raise typer.Exit(1)
