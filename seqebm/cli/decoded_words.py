"""What ``seqebm decode`` prints, writes and draws of isolated words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from seqebm.cli.decoded import Decoded
from seqebm.cli.terminal import cell, show

if TYPE_CHECKING:
    from seqebm.data import Utterance
    from seqebm.decoding.results import Recognition


class Words(Decoded):
    """Decoding with a model whose answers are one of a list."""

    def unknown(self, utterances: Sequence[Utterance]) -> str | None:
        """A warning of transcripts that cannot be answered rightly, or None."""
        vocabulary = self.model.vocabulary
        unknown = sorted({u.text for u in utterances if u.text} - set(vocabulary))
        if not unknown:
            return None
        count = sum(u.text in unknown for u in utterances)
        shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        return (
            f"warning: {count} utterances cannot be answered rightly: their words ({shown}) are "
            f"not in the model's vocabulary ({', '.join(vocabulary[:12])}"
            f"{', ...' if len(vocabulary) > 12 else ''})"
        )

    def show(self, answers: Sequence[Recognition]) -> None:
        """Print a table."""
        table = Table("file", "word", box=None, header_style="bold", pad_edge=False)
        for column in ("energy", "margin", "confidence"):
            table.add_column(column, justify="right")
        table.add_column("runner-up")
        for answer in answers:
            table.add_row(
                cell(answer.id), cell(answer.word), f"{answer.energy:.4f}", f"{answer.margin:.4f}",
                f"{answer.confidence:.1%}", cell(answer.runner_up or ""),
            )  # fmt: skip
        show(table)

    def plot(self, utterance: Utterance, answer: Recognition, path: Path) -> None:
        """Draw one answer."""
        from seqebm.decoding.batches import read_example
        from seqebm.pictures.recognition import plot_recognition

        plot_recognition(self.model, read_example(self.model, utterance), answer, path)
