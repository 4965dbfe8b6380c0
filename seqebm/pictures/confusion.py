"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from seqebm.errors import DataError
from seqebm.pictures.figures import save_figure


def plot_confusions(
    rows: Sequence[str], columns: Sequence[str], counts: np.ndarray, path: Path, title: str = ""
) -> None:
    """Draw a confusion matrix to ``path`` (PNG, PDF or SVG, by its ending).

    Colour is the share of each reference word (row); the numbers are counts. Arguments as
    :func:`seqebm.scoring.confusion.confusion_matrix` gives them. Raises :class:`DataError` if there
    is nothing to draw or ``path`` cannot be written.
    """
    if not rows:
        raise DataError("there are no words to draw a confusion matrix of")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    longest = max(len(label) for label in [*rows, *columns])
    cell = 0.42 if len(columns) <= 20 else 0.32
    margin = 1.2 + 0.08 * longest
    figure = Figure(
        figsize=(max(4.5, margin + cell * len(columns) + 1.0), margin + 0.6 + cell * len(rows)),
        layout="constrained",
    )
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label("share of the reference word")
    upright = longest * 0.09 < cell
    axes.set_xticks(range(len(columns)), columns, rotation=0 if upright else 90)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("recognised")
    axes.set_ylabel("reference")
    if title:
        axes.set_title(title)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.9", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    for row, column in zip(*np.nonzero(counts), strict=True):
        wrong = rows[row] != columns[column]
        axes.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            fontsize=8 if len(columns) <= 20 else 6,
            color="white" if shares[row, column] > 0.5 else "firebrick" if wrong else "black",
        )
    save_figure(figure, path, dpi=150)
