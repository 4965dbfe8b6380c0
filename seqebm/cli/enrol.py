"""``seqebm enrol`` and ``seqebm forget``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqebm.cli.terminal import say

if TYPE_CHECKING:
    from seqebm.models import Recognizer

_OUTPUT = "Directory of the new model; default: that of the model, which is replaced."


def enrol_command(
    word: Annotated[str, typer.Argument(help="What recordings like these are answered with.")],
    files: Annotated[list[Path], typer.Argument(help="Recordings of it, three or more.")],
    model: Annotated[Path, typer.Option(help="exp/NAME, or a model file.")] = Path("exp"),
    output: Annotated[Path | None, typer.Option(help=_OUTPUT)] = None,
) -> None:
    """Add a word to a trained model of isolated words, from a few recordings, without training.

    The features of the recordings become templates of the word. With a word that the model knows,
    they are added to its templates. Nothing is written if a recording cannot be used.

    Example: seqebm enrol --model exp/tdnn hello hello-1.wav hello-2.wav hello-3.wav
    """
    from seqebm.decoding.batches import files_as_utterances, read_example
    from seqebm.models import Recognizer
    from seqebm.models.enrolment import enrol

    recognizer = Recognizer.load(model)
    signals = [read_example(recognizer, u).signal for u in files_as_utterances(files)]
    changed = enrol(recognizer, word, signals)
    new = len(changed.vocabulary) > len(recognizer.vocabulary)
    path = _write(changed, output or model)
    say(
        f"{changed.vocabulary[-1] if new else word!r} has {len(signals)} "
        f"{'templates' if new else 'more templates'}; {path} knows {len(changed.vocabulary)} words"
    )


def forget_command(
    word: Annotated[str, typer.Argument(help="The word to take out.")],
    model: Annotated[Path, typer.Option(help="exp/NAME, or a model file.")] = Path("exp"),
    output: Annotated[Path | None, typer.Option(help=_OUTPUT)] = None,
) -> None:
    """Take a word out of a trained model of isolated words.

    Example: seqebm forget --model exp/tdnn hello
    """
    from seqebm.models import Recognizer
    from seqebm.models.enrolment import forget

    changed = forget(Recognizer.load(model), word)
    path = _write(changed, output or model)
    say(f"{path} knows {len(changed.vocabulary)} words")


def _write(model: Recognizer, place: Path) -> Path:
    """A model file is replaced as a whole; in a directory it is ``model.safetensors``."""
    from seqebm.models import storage

    if place.is_file():
        storage.write(place, dict(model.state_dict()), model.description())
        return place
    place.mkdir(parents=True, exist_ok=True)
    return model.save(place)
