"""``seqebm score``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from seqebm.cli.terminal import cell, print_line, say, show
from seqebm.errors import DataError, PluginError
from seqebm.files import write_text
from seqebm.hooks import get_host

if TYPE_CHECKING:
    from seqebm.scoring.scoring import Interval, Score

_SHOWN = 10


def score_command(
    hypotheses: Annotated[
        Path,
        typer.Argument(
            metavar="EXP_OR_HYP",
            help="A text file 'utterance-id words...', or a directory that "
            "'seqebm decode --output' wrote (or one below which there is just one such).",
        ),
    ],
    reference: Annotated[
        Path | None,
        typer.Option(
            "--ref", help="A text file or data directory; default: ref.txt beside the hypotheses."
        ),
    ] = None,
    utt2spk: Annotated[
        Path | None,
        typer.Option(help="Speaker of each utterance; default: utt2spk beside either."),
    ] = None,
    per_speaker: Annotated[
        bool, typer.Option("--per-speaker", help="A row for each speaker.")
    ] = False,
    normalise: Annotated[
        bool,
        typer.Option(
            "--normalise", help="Compare in NFC, with blanks for U+00A0, without zero width."
        ),
    ] = False,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Bootstrap samples for the 95 % intervals; 0: none.")
    ] = 10000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the result here ('-': only stdout).")
    ] = None,
    confusion: Annotated[
        Path | None, typer.Option(help="Also draw the confusion matrix here (PNG, PDF, SVG).")
    ] = None,
) -> None:
    """Accuracy and error rates of hypotheses, with confidence intervals.

    Both files may also be in the form of sclite's trn, 'words (utterance)'.

    A missing hypothesis counts as deletions, one without reference as insertions. Intervals are
    bootstrapped over utterances and over speakers (Bisani & Ney 2004). Answers that are arrays are
    compared number by number.

    Example: seqebm score exp/tdnn/decode --per-speaker --confusion exp/tdnn/confusion.png
    """
    if (hypotheses / "hyp.scp").is_file():
        _score_arrays(hypotheses / "hyp.scp", reference, json_file)
        return
    from seqebm.data import read_text, read_transcripts
    from seqebm.scoring.scoring import score
    from seqebm.spelling import plain

    hypothesis_file = _find_hypotheses(hypotheses)
    reference_file = _find_reference(reference, hypothesis_file)
    speaker_file = utt2spk or _beside((hypothesis_file, reference_file), "utt2spk")
    references = read_transcripts(reference_file, "reference")
    hypothesised = read_transcripts(hypothesis_file, "hypothesis file")
    speakers = read_text(speaker_file, "speaker list") if speaker_file else None
    alike = [{n: plain(text) for n, text in each.items()} for each in (references, hypothesised)]
    changed = alike != [references, hypothesised]
    if normalise:
        references, hypothesised = alike
    result = score(references, hypothesised, speakers)
    if changed and not normalise:
        _say_of_spelling(result, score(alike[0], alike[1], speakers))
    further = _further(set(result.as_dict()), references, hypothesised)
    intervals = _intervals(result, bootstrap, seed) if bootstrap else {}
    for ids, what in ((result.missing, "no hypothesis"), (result.extra, "no reference")):
        if ids:
            listed = ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
            text = f"warning: {len(ids)} utterances have {what} and count as errors: {listed}"
            say(text, "yellow")
    if json_file != Path("-"):
        _print(result, intervals, per_speaker)
        for name, value in further.items():
            print_line(f"{name:<20} {value:.4g}")
    if json_file is not None:
        _write_json(json_file, result, intervals, {"samples": bootstrap, "seed": seed}, further)
    if confusion is not None:
        from seqebm.pictures.confusion import plot_confusions
        from seqebm.scoring.confusion import confusion_matrix

        title = f"{hypotheses}: accuracy {result.total.accuracy:.1%}"
        plot_confusions(*confusion_matrix(result.confusions), confusion, title)
        say(f"drawn: {confusion}")


def _say_of_spelling(result: Score, normalised: Score) -> None:
    """Words that look alike but are other code points count as errors: say how many."""
    before, after = result.total.words, normalised.total.words
    effect = (
        f"{100 * before.rate:.2f} % of the words are wrong, {100 * after.rate:.2f} % with it"
        if before != after
        else "the errors stay the same"
    )
    say(
        "warning: some words are not in NFC, or hold U+00A0 or characters of zero width; "
        f"--normalise compares without that: {effect}",
        "yellow",
    )


def _score_arrays(hypotheses: Path, reference: Path | None, json_file: Path | None) -> None:
    """Compare the arrays that two lists name."""
    from seqebm.data import read_text
    from seqebm.data.targets import read_array
    from seqebm.scoring.arrays import score_arrays

    references = reference or hypotheses.with_name("ref.scp")
    if references.is_dir():
        references = references / "target.scp"
    arrays = [
        {name: read_array(listed.parent / path) for name, path in read_text(listed, what).items()}
        for listed, what in ((references, "list of references"), (hypotheses, "list of arrays"))
    ]
    result = score_arrays(*arrays)
    for ids, what in ((result.missing, "no hypothesis"), (result.extra, "no reference")):
        if ids:
            text = f"warning: {len(ids)} arrays have {what} and are left out: {ids[0]}, ..."
            say(text, "yellow")
    text = json.dumps(result.as_dict(), indent=2, ensure_ascii=False)
    if json_file == Path("-"):
        print_line(text)
        return
    table = Table("arrays", "", box=None, header_style="bold", pad_edge=False)
    table.add_row("compared", f"{result.items} ({result.entries} numbers)")
    table.add_row("root mean square", f"{result.rms:.6g}")
    table.add_row("mean absolute", f"{result.absolute:.6g}")
    if result.equal is not None:
        table.add_row("equal", _percent(result.equal))
    show(table)
    if json_file is not None:
        write_text(json_file, text + "\n")


def _further(
    names: set[str], references: dict[str, str], hypotheses: dict[str, str]
) -> dict[str, float]:
    """Metrics of plugins. Raises :class:`PluginError` if one's name is taken."""
    taken = names | {"intervals", "bootstrap"}
    found: dict[str, float] = {}
    for metrics in get_host().hook.seqebm_score(references=references, hypotheses=hypotheses):
        for name, value in metrics.items():
            if name in taken or name in found:
                raise PluginError(f"a plugin gives the metric {name!r}, a name that is taken")
            found[name] = float(value)
    return found


def _find_hypotheses(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise DataError(f"{path} does not exist; give a hypothesis file or a decode directory")
    if (path / "hyp.txt").is_file():
        return path / "hyp.txt"
    found = sorted(path.rglob("hyp.txt"))
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(str(p.parent) for p in found[:_SHOWN])
        raise DataError(f"{path} holds several decode directories; choose one of: {listed}")
    raise DataError(
        f"{path} holds no hyp.txt; make one with 'seqebm decode --model EXP --data DIR --output "
        f"{path / 'decode'}'"
    )


def _find_reference(given: Path | None, hypothesis_file: Path) -> Path:
    if given is None:
        path = hypothesis_file.parent / "ref.txt"
        if not path.is_file():
            raise DataError(f"there is no {path}; say where the references are: --ref DIR_OR_TEXT")
        return path
    if given.is_dir():
        return given / "text" if (given / "text").is_file() else given / "ref.txt"
    return given


def _beside(files: tuple[Path, ...], name: str) -> Path | None:
    return next((f.parent / name for f in files if (f.parent / name).is_file()), None)


def _intervals(result: Score, samples: int, seed: int) -> dict[tuple[str, str], Interval | None]:
    return {
        (what, unit): result.interval(what, unit, samples, seed)
        for what in ("accuracy", "wer", "cer")
        for unit in ("utterance", "speaker")
    }


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _print(
    result: Score, intervals: dict[tuple[str, str], Interval | None], per_speaker: bool
) -> None:
    total = result.total
    table = Table("", box=None, header_style="bold", pad_edge=False)
    for column in ("rate", "95 % by utterance", "95 % by speaker", "sub", "del", "ins", "of"):
        table.add_column(column, justify="right")
    rows = (
        ("accuracy", "accuracy", total.accuracy, None),
        ("word error rate", "wer", total.words.rate, total.words),
        ("character error rate", "cer", total.characters.rate, total.characters),
    )
    for label, what, rate, counts in rows:
        spans = [intervals.get((what, unit)) for unit in ("utterance", "speaker")]
        detail = (
            [str(n) for n in (counts.substitutions, counts.deletions, counts.insertions)]
            if counts
            else ["", "", ""]
        )
        table.add_row(
            label,
            _percent(rate),
            *(f"{100 * s.low:.2f} - {100 * s.high:.2f}" if s else "" for s in spans),
            *detail,
            str(counts.total if counts else total.utterances),
        )
    show(table)
    if per_speaker:
        if not result.speakers:
            raise DataError("--per-speaker needs the speakers; give --utt2spk FILE")
        print_line("")
        table = Table("speaker", box=None, header_style="bold", pad_edge=False)
        for column in ("utterances", "correct", "accuracy", "WER", "CER"):
            table.add_column(column, justify="right")
        for name, part in result.speakers.items():
            table.add_row(
                cell(name),
                str(part.utterances),
                str(part.correct),
                _percent(part.accuracy),
                _percent(part.words.rate),
                _percent(part.characters.rate),
            )
        show(table)


def _write_json(
    path: Path,
    result: Score,
    intervals: dict[tuple[str, str], Interval | None],
    bootstrap: dict[str, Any],
    further: dict[str, float],
) -> None:
    from seqebm.scoring.scoring import finite

    report = result.as_dict() | {name: finite(value) for name, value in further.items()}
    report["intervals"] = {
        f"{what}_by_{unit}": [finite(span.low), finite(span.high)] if span else None
        for (what, unit), span in intervals.items()
    }
    report["bootstrap"] = bootstrap
    text = json.dumps(report, indent=2, ensure_ascii=False)
    if path == Path("-"):
        print_line(text)
        return
    write_text(path, text + "\n")
