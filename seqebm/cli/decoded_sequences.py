"""What ``seqebm decode`` prints, writes and draws of strings of words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqebm.files import write_text

if TYPE_CHECKING:
    from seqebm.data import Utterance
    from seqebm.decoding.search import Search
    from seqebm.decoding.sequences import Transcription
    from seqebm.errors import SeqebmError
    from seqebm.models import Recognizer

_SHOWN = 5


class Sequences:
    """Decoding with a model whose answers are strings of words."""

    def __init__(self, model: Recognizer, search: Search) -> None:
        self.model, self.search = model, search

    def recognise(self, utterances: Sequence[Utterance]) -> Iterator[Transcription | SeqebmError]:
        """Answers, or errors, in order."""
        from seqebm.decoding.sequences import recognise_sequences

        return recognise_sequences(self.model, utterances, self.search)

    def unknown(self, utterances: Sequence[Utterance]) -> str | None:
        """A warning of words that the model cannot answer, or None."""
        from seqebm.decoding.sequences import words_of

        known = set(words_of(self.model))
        counts = Counter(
            word for u in utterances for word in (u.text or "").split() if word not in known
        )
        if not counts:
            return None
        shown = ", ".join(repr(word) for word, _ in counts.most_common(_SHOWN))
        return (
            f"warning: {counts.total()} words of the references cannot be answered rightly: "
            f"{len(counts)} distinct words ({shown}{', ...' if len(counts) > _SHOWN else ''}) are "
            f"not in the model's vocabulary of {len(known)} words"
        )

    def show(self, console: Console, answers: Sequence[Transcription]) -> None:
        """Print a table."""
        table = Table("file", "words", box=None, header_style="bold", pad_edge=False)
        for column in ("energy", "duration"):
            table.add_column(column, justify="right")
        for answer in answers:
            table.add_row(
                Text(answer.id), Text(answer.text), f"{answer.energy:.4f}",
                f"{answer.frames * answer.frame_shift:.2f} s",
            )  # fmt: skip
        console.print(table)

    def write(self, output: Path, answers: Sequence[Transcription]) -> None:
        """Write hyp.txt and answers.jsonl."""
        from seqebm.data import write_table

        write_table(output / "hyp.txt", {a.id: a.text for a in answers})
        lines = (json.dumps(a.as_dict(), ensure_ascii=False) for a in answers)
        write_text(output / "answers.jsonl", "".join(f"{line}\n" for line in lines))
