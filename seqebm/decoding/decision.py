"""Which string of words is the answer: three ways to decide.

``path``
    The words of the path of least energy (Viterbi).
``sentence``
    The string Y of least free energy F_β(Y): all its alignments and pronunciations added, as
    training does. A model trained at finite β spreads its belief over many paths, so the best path
    may belong to another string.
``words``
    The string of fewest expected word errors under the Gibbs distribution of whole strings
    (minimum Bayes risk: Stolcke, Konig & Weintraub 1997, "Explicit word error minimization in
    N-best list rescoring").

The last two choose among the distinct strings of the best paths; their free energies are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from seqebm.decoding.search import Found
from seqebm.lattices.trellis import Prepared, Trellis, together


def decide(
    found: Found,
    texts: Sequence[Sequence[str]],
    graphs: Sequence[Prepared],
    how: str,
    beta: float,
) -> Found:
    """The best path of the string that is decided for.

    Args:
        found: best path of all, with the trellis of its batch.
        texts: the candidates, distinct, as lists of words.
        graphs: the graph of each.
        how: ``"sentence"`` or ``"words"``.
        beta: inverse temperature; the distribution of ``"words"`` takes 1 for inf.
    """
    whole, item = found.trellis, found.item
    frames = int(whole.lengths[item])
    own = Trellis(
        together(graphs),
        whole.emissions[item : item + 1, :frames].expand(len(texts), -1, -1).contiguous(),
        whole.lengths[item : item + 1].expand(len(texts)).contiguous(),
        whole.weights,
    )
    energies = own.free_energy(beta)
    best = int(energies.argmin())
    if how == "words":
        best = int(expected_errors(texts, energies, beta if math.isfinite(beta) else 1.0).argmin())
    least, paths = own.best_path()
    path = paths[best]
    assert path is not None  # it came from a path
    return Found(own, best, float(least[best]), path, found.beam)


def expected_errors(texts: Sequence[Sequence[str]], energies: Tensor, beta: float) -> Tensor:
    """``(N,)`` word errors to be expected of each of N strings, if one of them is right."""
    errors = [[float(Levenshtein.distance(one, two)) for two in texts] for one in texts]
    return energies.new_tensor(errors) @ torch.softmax(-beta * energies, 0)
