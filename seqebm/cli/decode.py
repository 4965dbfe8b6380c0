"""``seqebm decode``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqebm.errors import ConfigError, SeqebmError
from seqebm.files import write_text

if TYPE_CHECKING:
    from seqebm.data import Utterance
    from seqebm.decoding.words import Recognition
    from seqebm.models import Recognizer

messages = Console(stderr=True)


def decode_command(
    files: Annotated[list[Path] | None, typer.Argument(help="Audio files.")] = None,
    model: Annotated[Path, typer.Option(help="exp/NAME, or a model file.")] = Path("exp"),
    data: Annotated[Path | None, typer.Option(help="Decode a data directory instead.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="With --data: directory for hyp.txt, ref.txt, utt2spk, answers.jsonl."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per file.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw frames, warp and energies; several files: out-NAME.png each."),
    ] = None,
) -> None:
    """Recognise audio files (any format that libsndfile reads) or a data directory.

    Prints, for each file, the word of lowest energy, its energy, the margin to the runner-up and
    the confidence. Files of another sampling rate or with several channels are converted. A bad
    file is reported, the others are still decoded, and the exit status is 1.

    Example: seqebm decode --model exp/tdnn a.wav b.flac --plot warp.png
    """
    if bool(files) == (data is not None):
        raise ConfigError("give either FILES or --data DIR (see seqebm decode --help)")
    if output is not None and data is None:
        raise ConfigError("--output belongs to --data DIR")
    if plot is not None:
        from seqebm.decoding.figures import check_picture

        check_picture(plot)  # now, not after the work
    from seqebm.data import DataDir
    from seqebm.decoding import words
    from seqebm.models import Recognizer

    recognizer = Recognizer.load(model)
    utterances = (
        list(DataDir.load(data).utterances) if data else words.files_as_utterances(files or [])
    )
    _warn_of_unknown_words(recognizer, utterances)
    answers: list[Recognition] = []
    failures: list[SeqebmError] = []
    for result in _track(words.recognise(recognizer, utterances), len(utterances)):
        if isinstance(result, SeqebmError):
            failures.append(result)
            continue
        answers.append(result)
        if as_json and output is None:
            typer.echo(json.dumps(result.as_dict(), ensure_ascii=False))
    if output is not None:
        _write(output, utterances, answers)
        summary = f"{len(answers)} of {len(utterances)} answers are in {output}"
        messages.print(summary, markup=False, highlight=False, soft_wrap=True)
    elif not as_json and answers:
        Console().print(_table(answers))
    if plot is not None:
        _plot(recognizer, utterances, answers, plot)
    for failure in failures:
        messages.print(
            f"error: {failure}", style="red", markup=False, highlight=False, soft_wrap=True
        )
    if failures:
        raise typer.Exit(1)


def _warn_of_unknown_words(recognizer: Recognizer, utterances: list[Utterance]) -> None:
    unknown = sorted({u.text for u in utterances if u.text} - set(recognizer.vocabulary))
    if unknown:
        count = sum(u.text in unknown for u in utterances)
        shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        warning = (
            f"warning: {count} utterances cannot be answered rightly: their words ({shown}) are "
            f"not in the model's vocabulary ({', '.join(recognizer.vocabulary[:12])}"
            f"{', ...' if len(recognizer.vocabulary) > 12 else ''})"
        )
        messages.print(warning, style="yellow", markup=False, highlight=False, soft_wrap=True)


def _track(results: Iterable, total: int) -> Iterable:
    from rich.progress import track

    if total < 100:
        return results
    quiet = not messages.is_terminal
    return track(results, "decoding", total, console=messages, transient=True, disable=quiet)


def _table(answers: list[Recognition]) -> Table:
    table = Table("file", "word", box=None, header_style="bold", pad_edge=False)
    for column in ("energy", "margin", "confidence"):
        table.add_column(column, justify="right")
    table.add_column("runner-up")
    for answer in answers:
        table.add_row(
            Text(answer.id), Text(answer.word), f"{answer.energy:.4f}", f"{answer.margin:.4f}",
            f"{answer.confidence:.1%}", Text(answer.runner_up or ""),
        )  # fmt: skip
    return table


def _write(output: Path, utterances: list[Utterance], answers: list[Recognition]) -> None:
    from seqebm.data import write_table

    write_table(output / "hyp.txt", {a.id: a.word for a in answers})
    if all(u.text is not None for u in utterances):
        write_table(output / "ref.txt", {u.id: u.text or "" for u in utterances})
    write_table(output / "utt2spk", {u.id: u.speaker or u.id for u in utterances})
    lines = (json.dumps(a.as_dict(), ensure_ascii=False) for a in answers)
    write_text(output / "answers.jsonl", "".join(f"{line}\n" for line in lines))


def _plot(
    recognizer: Recognizer, utterances: list[Utterance], answers: list[Recognition], plot: Path
) -> None:
    from seqebm.decoding.pictures import plot_recognition
    from seqebm.decoding.words import read_example

    by_id = {u.id: u for u in utterances}
    for answer, path in zip(answers, picture_paths(plot, [a.id for a in answers]), strict=True):
        plot_recognition(recognizer, read_example(recognizer, by_id[answer.id]), answer, path)
        messages.print(f"drawn: {path}", markup=False, highlight=False, soft_wrap=True)


def picture_paths(plot: Path, ids: list[str]) -> list[Path]:
    """Where the picture of each answer goes: ``plot`` itself if there is only one."""
    if len(ids) == 1:
        return [plot]
    paths: list[Path] = []
    for name in (Path(i).stem for i in ids):
        path, count = plot.with_name(f"{plot.stem}-{name}{plot.suffix}"), 1
        while path in paths:  # a/x.wav and b/x.wav
            count += 1
            path = plot.with_name(f"{plot.stem}-{name}-{count}{plot.suffix}")
        paths.append(path)
    return paths
