"""What ``seqebm decode`` prints, writes and draws: the same questions for all kinds of answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqebm.data import Utterance
    from seqebm.errors import SeqebmError
    from seqebm.models import Recognizer


class Decoded(ABC):
    """Decoding with one model, and what becomes of its answers."""

    def __init__(self, model: Recognizer) -> None:
        self.model = model
        self.settings: dict[str, Any] = {}

    def recognise(self, utterances: Sequence[Utterance]) -> Iterator[Any | SeqebmError]:
        """Answers, or errors, in order."""
        from seqebm.decoding.decoder import recognise_utterances

        return recognise_utterances(self.model, utterances, self.settings)

    def unknown(self, utterances: Sequence[Utterance]) -> str | None:
        """A warning of references that cannot be answered rightly, or None."""
        return None

    @abstractmethod
    def show(self, answers: Sequence[Any]) -> None:
        """Print them."""

    def write(self, output: Path, answers: Sequence[Any]) -> None:
        """Write hyp.txt and answers.jsonl."""
        from seqebm.data import write_table
        from seqebm.decoding.output import write_json

        write_table(output / "hyp.txt", {a.id: a.text for a in answers})
        write_json(output / "answers.jsonl", answers)

    @abstractmethod
    def plot(self, utterance: Utterance, answer: Any, path: Path) -> None:
        """Draw one answer."""
