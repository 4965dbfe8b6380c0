"""The confusion matrix as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from seqebm.decoding.scoring import Pair
from seqebm.errors import DataError

NOTHING = "(none)"
OTHER = "(other)"


def confusion_matrix(
    confusions: Mapping[Pair, int], most: int = 40
) -> tuple[list[str], list[str], np.ndarray]:
    """Arrange confusion counts as a matrix.

    Args:
        confusions: (reference, hypothesis) -> count, None for a word that is missing.
        most: words to show; the ones with most errors (then the commonest) are kept, in
            alphabetical order, and the rest pooled as "(other)".

    Returns row labels (references), column labels (hypotheses) and int64 counts ``(rows,
    columns)``. The row "(none)" holds insertions and the column "(none)" deletions; they are left
    out where there are none. Within "(other)", the diagonal holds right and wrong answers alike.
    """
    errors: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for (reference, hypothesis), number in confusions.items():
        for word in {reference, hypothesis} - {None}:
            assert word is not None
            seen[word] += number
            errors[word] += number if reference != hypothesis else 0
    ranked = sorted(seen, key=lambda word: (-errors[word], -seen[word], word))
    words = sorted(ranked[:most])
    pooled = [OTHER] if len(ranked) > most else []
    place = {word: index for index, word in enumerate(words)}
    other, nothing = len(words), len(words) + len(pooled)
    counts = np.zeros((nothing + 1, nothing + 1), dtype=np.int64)
    for (reference, hypothesis), number in confusions.items():
        row = nothing if reference is None else place.get(reference, other)
        column = nothing if hypothesis is None else place.get(hypothesis, other)
        counts[row, column] += number
    rows = columns = [*words, *pooled, NOTHING]
    if not counts[-1].any():
        rows, counts = rows[:-1], counts[:-1]
    if not counts[:, -1].any():
        columns, counts = columns[:-1], counts[:, :-1]
    return rows, columns, counts


def plot_confusions(
    confusions: Mapping[Pair, int], path: Path, title: str = "", most: int = 40
) -> None:
    """Draw the confusion matrix to ``path`` (PNG, PDF or SVG, by its ending).

    Colour is the share of each reference word (row); the numbers are counts. Raises
    :class:`DataError` if there is nothing to draw or ``path`` cannot be written.
    """
    # The object interface: no window system is touched and no global state is changed.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from seqebm.decoding.figures import save_figure

    rows, columns, counts = confusion_matrix(confusions, most)
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
    FigureCanvasAgg(figure)
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
