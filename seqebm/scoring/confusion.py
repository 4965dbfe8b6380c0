"""Which words are taken for which others, as a matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from seqebm.scoring.scoring import Pair

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
