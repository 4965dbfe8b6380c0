"""What ``seqebm decode`` prints, writes and draws of arrays."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rich.table import Table

from seqebm.cli.decoded import Decoded
from seqebm.cli.terminal import cell, show
from seqebm.errors import ConfigError

if TYPE_CHECKING:
    from seqebm.data import Utterance
    from seqebm.decoding.results import Estimate


class Arrays(Decoded):
    """Decoding with a model whose answers are arrays."""

    def show(self, answers: Sequence[Estimate]) -> None:
        """Print a table."""
        table = Table("file", "answer", box=None, header_style="bold", pad_edge=False)
        table.add_column("energy", justify="right")
        for answer in answers:
            table.add_row(cell(answer.id), cell(answer.text), f"{answer.energy:.4f}")
        show(table)

    def write(self, output: Path, answers: Sequence[Estimate]) -> None:
        """Write the arrays, hyp.scp that lists them, and answers.jsonl."""
        import numpy as np

        from seqebm.data import write_table
        from seqebm.decoding.output import write_json
        from seqebm.files import write_bytes

        listed = {}
        for answer in answers:
            listed[answer.id] = f"arrays/{quote(answer.id, safe='')}.npy"
            data = io.BytesIO()
            np.save(data, answer.value, allow_pickle=False)
            write_bytes(output / listed[answer.id], data.getvalue())
        write_table(output / "hyp.scp", listed)
        write_json(output / "answers.jsonl", answers)

    def plot(self, utterance: Utterance, answer: Estimate, path: Path) -> None:
        """Refused: what an array looks like, its lattice knows."""
        raise ConfigError("--plot: answers that are arrays are not drawn; leave it out")
