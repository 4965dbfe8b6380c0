"""``seqebm decode``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqebm.cli.decoded import Decoded
from seqebm.cli.decoded_arrays import Arrays
from seqebm.cli.decoded_sequences import Sequences
from seqebm.cli.decoded_words import Words
from seqebm.cli.terminal import messages, print_json, say
from seqebm.errors import ConfigError, SeqebmError
from seqebm.hooks import get_host

if TYPE_CHECKING:
    from seqebm.data import Utterance
    from seqebm.models import Recognizer

_DRAWN = 5  # alternatives beside a picture, unless --nbest says otherwise


def decode_command(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files of audio, ink or features.")
    ] = None,
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
    ctm: Annotated[
        bool, typer.Option("--ctm", help="Word strings: times, in words.ctm or on stdout.")
    ] = False,
    nbest: Annotated[
        int, typer.Option(min=0, help="Word strings: also give the N best distinct ones.")
    ] = 0,
    lattice: Annotated[
        bool, typer.Option("--lattice", help="Word strings, with --output: write lattices/.")
    ] = False,
    beam: Annotated[
        float | None,
        typer.Option(help="Word strings: drop partial paths this far above the best; none: exact."),
    ] = None,
    widen: Annotated[
        bool, typer.Option("--widen", help="Double a beam that no path survives, until one does.")
    ] = False,
    lattice_beam: Annotated[
        float | None,
        typer.Option(help="Width of the lattice that confidences and --nbest come from."),
    ] = None,
    max_active: Annotated[
        int | None, typer.Option(min=1, help="Most states of that lattice at a frame.")
    ] = None,
    lm_scale: Annotated[
        float | None, typer.Option(min=0, help="Word strings: factor of the language model.")
    ] = None,
    word_penalty: Annotated[
        float | None, typer.Option(help="Word strings: energy of every word (may be negative).")
    ] = None,
    lexicon: Annotated[
        Path | None,
        typer.Option(help="Word strings: the only answers there are, one a line."),
    ] = None,
    lm: Annotated[
        Path | None,
        typer.Option(help="Word strings: an n-gram (ARPA) in place of the model's grammar."),
    ] = None,
    decide: Annotated[
        str | None,
        typer.Option(
            help="Word strings: the best path's, the most probable sentence's, or the words of "
            "fewest expected errors: path, sentence or words; default: the model's."
        ),
    ] = None,
    confidence: Annotated[
        bool | None,
        typer.Option(help="Word strings: how sure it is; default: unless there is a --beam."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Other than in training, e.g. frontend.limit=120 (may be repeated).",
        ),
    ] = None,
) -> None:
    """Recognise files (audio, ink or features: what the model reads) or a data directory.

    Prints, for each file, the word (or string of words) of lowest energy, its energy, the margin
    to the runner-up and the confidence. Files of another sampling rate or with several channels
    are converted. A bad file is reported, the others are still decoded, and the exit status is 1.

    Example: seqebm decode --model exp/tdnn a.wav b.flac --plot warp.png
    """
    if bool(files) == (data is not None):
        raise ConfigError("give either FILES or --data DIR (see seqebm decode --help)")
    if output is not None and data is None:
        raise ConfigError("--output belongs to --data DIR")
    if lattice and output is None:
        raise ConfigError("--lattice needs --output DIR, to write the lattices to")
    if ctm and as_json and output is None:
        raise ConfigError("--ctm and --json both print: give one, or --output DIR")
    if plot is not None:
        from seqebm.pictures.figures import check_picture

        check_picture(plot)  # now, not after the work
    from seqebm.data import DataDir
    from seqebm.decoding.batches import files_as_utterances
    from seqebm.models import Recognizer

    recognizer = Recognizer.load(model, settings=settings or ())
    utterances = list(DataDir.load(data)) if data else files_as_utterances(files or [])
    if plot is not None and recognizer.lattice.answers == "string":
        nbest = nbest or _DRAWN
    options = {
        "nbest": nbest or None, "lattice": lattice, "beam": beam, "widen": widen, "ctm": ctm,
        "lattice_beam": lattice_beam, "max_active": max_active, "lm_scale": lm_scale,
        "word_penalty": word_penalty, "confidence": confidence, "decide": decide,
        "lexicon": None if lexicon is None else str(lexicon), "lm": None if lm is None else str(lm),
    }  # fmt: skip
    kind = _kind(recognizer, options, output)
    if warning := kind.unknown(utterances):
        say(warning, "yellow")
    answers: list[Any] = []
    failures: list[SeqebmError] = []
    for result in _track(kind.recognise(utterances), len(utterances)):
        if isinstance(result, SeqebmError):
            failures.append(result)
            continue
        answers.append(result)
        if as_json and output is None:
            print_json(result.as_dict())
    if output is not None:
        kind.write(output, answers)
        _write_references(output, utterances)
        say(f"{len(answers)} of {len(utterances)} answers are in {output}")
    elif not as_json and answers:
        kind.show(answers)
    if plot is not None:
        by_id = {u.id: u for u in utterances}
        for answer, path in zip(answers, picture_paths(plot, [a.id for a in answers]), strict=True):
            kind.plot(by_id[answer.id], answer, path)
            say(f"drawn: {path}")
    for failure in failures:
        say(f"error: {failure}", "red")
    get_host().hook.seqebm_decode_end(model=recognizer, answers=answers, output=output)
    if failures:
        raise typer.Exit(1)


def _kind(model: Recognizer, options: dict[str, Any], output: Path | None) -> Decoded:
    """What the model's answers are; options of word strings suit no other model."""
    given = {
        key: value
        for key, value in options.items()
        if value is not None and (value is not False or key == "confidence")
    }
    if model.lattice.answers == "string":
        return Sequences(model, given, output)
    what = "isolated words" if model.lattice.answers == "choice" else "arrays"
    if given:
        name = next(iter(given)).replace("_", "-")
        raise ConfigError(
            f"--{name} is for models whose answers are strings of words; this model's are {what}"
        )
    return Words(model) if model.lattice.answers == "choice" else Arrays(model)


def _track(results: Iterable, total: int) -> Iterable:
    from rich.progress import track

    if total < 100:
        return results
    quiet = not messages.is_terminal
    return track(results, "decoding", total, console=messages, transient=True, disable=quiet)


def _write_references(output: Path, utterances: list[Utterance]) -> None:
    from seqebm.data import write_table

    if all(u.array is not None for u in utterances):
        write_table(
            output / "ref.scp", {u.id: str(u.array and u.array.resolve()) for u in utterances}
        )
    if all(u.text is not None for u in utterances):
        write_table(output / "ref.txt", {u.id: u.text or "" for u in utterances})
    write_table(output / "utt2spk", {u.id: u.speaker or u.id for u in utterances})


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
