"""``seqebm align``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from seqebm.cli.terminal import cell, print_json, print_line, say, show
from seqebm.errors import ConfigError, SeqebmError

if TYPE_CHECKING:
    from seqebm.decoding.alignment import Alignment


def align_command(
    files: Annotated[list[Path] | None, typer.Argument(help="Audio files, with --text.")] = None,
    model: Annotated[Path, typer.Option(help="exp/NAME, or a model file.")] = Path("exp"),
    data: Annotated[
        Path | None, typer.Option(help="Align a data directory with its transcripts instead.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="What is said in every one of FILES.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory for words.ctm, units.ctm and align.jsonl."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per file.")] = False,
) -> None:
    """Find when each word of a known transcript was spoken (forced alignment).

    Prints words and their units with start, end and duration in
    seconds, counted from the start of the utterance. An utterance that its transcript does not fit
    is reported, the others are still aligned, and the exit status is 1.

    Example: seqebm align --model exp/tdnn a.wav --text "yes no no"
    """
    if bool(files) == (data is not None):
        raise ConfigError("give either FILES with --text, or --data DIR (see seqebm align --help)")
    if files and text is None:
        raise ConfigError('FILES need --text "WORDS": what is said in them')
    if data is not None and text is not None:
        raise ConfigError("--text belongs to FILES; the transcripts of --data are in its file text")
    from dataclasses import replace

    from seqebm.data import DataDir
    from seqebm.decoding.alignment import align_utterances
    from seqebm.decoding.batches import files_as_utterances
    from seqebm.models import Recognizer
    from seqebm.text import spaced

    recognizer = Recognizer.load(model)
    if data is not None:
        utterances = list(DataDir.load(data).utterances)
    else:
        words = spaced(text or "")
        utterances = [replace(u, text=words) for u in files_as_utterances(files or [])]
    alignments: list[Alignment] = []
    failures: list[SeqebmError] = []
    for result in align_utterances(recognizer, utterances):
        if isinstance(result, SeqebmError):
            failures.append(result)
            continue
        alignments.append(result)
        if as_json:
            print_json(result.as_dict())
    if output is not None:
        _write(output, alignments)
        say(f"{len(alignments)} of {len(utterances)} alignments are in {output}")
    elif not as_json:
        for alignment in alignments:
            print_line(f"{alignment.id}  energy {alignment.energy:.4f}")
            show(_table(alignment))
    for failure in failures:
        say(f"error: {failure}", "red")
    if failures:
        raise typer.Exit(1)


def _table(alignment: Alignment) -> Table:
    table = Table("word", "units", box=None, header_style="bold", pad_edge=False)
    for column in ("start", "end", "duration"):
        table.add_column(column, justify="right")
    shift = alignment.frame_shift
    for word in alignment.words:
        units = [u.label for u in alignment.units if word.first <= u.first < word.stop]
        start, end = word.seconds(shift, alignment.spans)
        table.add_row(
            cell(word.label), cell(" ".join(units)), f"{start:.3f}", f"{end:.3f}",
            f"{end - start:.3f}",
        )  # fmt: skip
    return table


def _write(output: Path, alignments: list[Alignment]) -> None:
    from seqebm.decoding.output import ctm_lines, write_json, write_lines

    for name in ("words", "units"):
        parts = [ctm_lines(a.id, getattr(a, name), a.frame_shift, a.spans) for a in alignments]
        write_lines(output / f"{name}.ctm", [line for part in parts for line in part])
    write_json(output / "align.jsonl", alignments)
