"""``seqebm train``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from seqebm.cli.terminal import messages, say

_PATIENCE = 60.0  # seconds after which a log file hears of an epoch that is not over


def train_command(
    config: Annotated[Path, typer.Argument(help="The model's YAML config.")],
    data: Annotated[
        list[Path], typer.Option(help="Data directory to train on (may be repeated: all of them).")
    ],
    exp: Annotated[Path, typer.Option(help="Experiment directory to write, e.g. exp/tdnn.")],
    valid: Annotated[
        Path | None, typer.Option(help="Data directory to report on after each epoch.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a key: section.key=value (may be repeated)."),
    ] = None,
) -> None:
    """Train a recogniser; run again to resume after an interruption.

    The config says architecture (frontend, features, lattice), inference (β) and loss. After
    each epoch EXP holds a checkpoint, metrics.csv and a log line; at the end model.safetensors.

    Example: seqebm train conf/tdnn_templates.yaml --data data/train --exp exp/tdnn
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from seqebm.models import load_config
    from seqebm.pictures.recognition import plot_history
    from seqebm.training import loop

    parsed = load_config(config, settings or ())
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"), BarColumn(),
        TextColumn("{task.fields[note]}"), TimeRemainingColumn(),
    )  # fmt: skip
    history = []
    said = time.monotonic()
    quiet = not messages.is_terminal  # a log file wants lines, not a bar
    with Progress(*columns, console=messages, transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=None, epoch=0, epochs=parsed.training.epochs, note="reading")

        def show(progress: loop.Progress) -> None:
            nonlocal said
            if progress.metrics is None:
                if quiet and time.monotonic() > said + _PATIENCE:
                    said = time.monotonic()
                    say(
                        f"epoch {progress.epoch:3d}/{progress.epochs}  "
                        f"step {progress.step}/{progress.steps}"
                    )
                total = progress.epochs * progress.steps
                done = (progress.epoch - 1) * progress.steps + progress.step
                bar.update(task, total=total, completed=done, epoch=progress.epoch)
                return
            said = time.monotonic()
            history.append(progress.metrics)
            bar.update(task, note=f"loss {progress.metrics['train_loss']:.4f}")
            say(_line(progress.metrics, progress.epochs))

        loop.train(parsed, data, exp, valid, show)
    if history:
        plot_history(history, exp / "training.png")
    say(f"the model is {exp}/model.safetensors")


def _line(row: dict, epochs: int) -> str:
    parts = [f"epoch {row['epoch']:3d}/{epochs}"]
    for part in ("train", "valid"):
        if f"{part}_loss" in row:
            parts.append(f"{part}: loss {row[f'{part}_loss']:.4f}")
        if f"{part}_gap" in row:  # not with a loss that looks at no single rival
            parts.append(f"gap {row[f'{part}_gap']:.4f}  accuracy {row[f'{part}_accuracy']:.2%}")
    if "train_gap" in row:
        parts.append(f"violations {row['train_violations']:.1%}")
        parts.append(f"collapsed {row['train_collapsed']:.1%}")
    return "  ".join([*parts, f"({row['seconds']:.1f} s)"])
