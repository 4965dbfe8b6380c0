"""What ``seqebm decode`` prints, writes and draws of strings of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from seqebm.cli.decoded import Decoded
from seqebm.cli.terminal import cell, print_line, show

if TYPE_CHECKING:
    from seqebm.data import Utterance
    from seqebm.decoding.results import Transcription
    from seqebm.errors import SeqebmError
    from seqebm.models import Recognizer

_SHOWN = 5


class Sequences(Decoded):
    """Decoding with a model whose answers are strings of words.

    Args:
        model: the model.
        options: of the command line, those that were given.
        output: the directory that files will be written to, if any.
    """

    def __init__(self, model: Recognizer, options: dict[str, Any], output: Path | None) -> None:
        super().__init__(model)
        self.output = output
        self.ctm = options.pop("ctm", False)
        self.settings = options
        self.search = model.searching(options).options
        self.lattice = model.lattice.under(**self.search.grammar)

    def recognise(self, utterances: Sequence[Utterance]) -> Iterator[Transcription | SeqebmError]:
        """Answers, or errors, in order; lattices are written at once, and not kept."""
        from seqebm.decoding.output import write_lattice, write_symbol_tables
        from seqebm.decoding.results import Transcription
        from seqebm.graphs import Symbols

        answers = super().recognise(utterances)
        if not self.search.lattice or self.output is None:
            yield from answers
            return
        directory, classes = self.output / "lattices", Symbols(self.lattice.classes)
        for answer in answers:
            if not isinstance(answer, Transcription) or answer.lattice is None:
                yield answer
                continue
            write_lattice(directory, answer, classes)
            yield replace(answer, lattice=None)
        write_symbol_tables(directory, classes, Symbols(self.lattice.words))

    def unknown(self, utterances: Sequence[Utterance]) -> str | None:
        """A warning of words that the model cannot answer, or None."""
        known, split = set(self.lattice.words), self.lattice.split
        counts = Counter(
            word for u in utterances for word in split(u.text or "") if word not in known
        )
        if not counts:
            return None
        shown = ", ".join(repr(word) for word, _ in counts.most_common(_SHOWN))
        return (
            f"warning: {counts.total()} words of the references cannot be answered rightly: "
            f"{len(counts)} distinct words ({shown}{', ...' if len(counts) > _SHOWN else ''}) are "
            f"not among the {len(known)} of the model's vocabulary"
        )

    def show(self, answers: Sequence[Transcription]) -> None:
        """Print a table, or the CTM."""
        from seqebm.decoding.output import ctm_lines

        if self.ctm:
            for answer in answers:
                for line in ctm_lines(answer.id, answer.words, answer.frame_shift, answer.spans):
                    print_line(line)
            return
        table = Table("file", "words", box=None, header_style="bold", pad_edge=False)
        for column in ("energy", "margin", "confidence", "duration"):
            table.add_column(column, justify="right")
        for answer in answers:
            table.add_row(
                cell(answer.id), cell(answer.text), f"{answer.energy:.4f}", "",
                "" if answer.confidence is None else f"{answer.confidence:.1%}",
                f"{answer.duration:.2f} s",
            )  # fmt: skip
            for rank, other in enumerate(answer.alternatives[1:], 2):
                margin = f"{other.energy - answer.energy:.4f}"
                row = (f"  {rank}.", cell(other.text), f"{other.energy:.4f}", margin)
                table.add_row(*row, style="dim")
        show(table)

    def write(self, output: Path, answers: Sequence[Transcription]) -> None:
        """Write hyp.txt, answers.jsonl and, where asked for, nbest.txt and words.ctm."""
        from seqebm.decoding.output import ctm_lines, write_lines, write_nbest

        super().write(output, answers)
        if self.search.nbest:
            write_nbest(output / "nbest.txt", answers)
        if self.ctm:
            lines = [ctm_lines(a.id, a.words, a.frame_shift, a.spans) for a in answers]
            write_lines(output / "words.ctm", [line for part in lines for line in part])

    def plot(self, utterance: Utterance, answer: Transcription, path: Path) -> None:
        """Draw one answer."""
        from seqebm.decoding.batches import read_example
        from seqebm.pictures.transcription import plot_transcription

        plot_transcription(self.model, read_example(self.model, utterance), answer, path)
