"""Which answer is given: three ways to decide.

``path``
    The answer of the path of least energy (Viterbi).
``sentence``
    The answer Y of least free energy F_β(Y): all its alignments and pronunciations added, as
    training does. A model trained at finite β spreads its belief over many paths, so the best path
    may belong to another answer.
``words``
    The string of fewest expected word errors under the Gibbs distribution of whole strings
    (minimum Bayes risk: Stolcke, Konig & Weintraub 1997, "Explicit word error minimization in
    N-best list rescoring").

The last two choose among the distinct strings of the best paths; their free energies are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from seqebm.inference.free_energy import finite


def decide(texts: Sequence[Sequence[Any]], energies: Tensor, how: str, beta: float) -> int:
    """Which of N strings is the answer.

    Args:
        texts: the candidates, distinct, as sequences of words (or their labels).
        energies: ``(N,)`` free energy of each.
        how: ``"sentence"`` or ``"words"``.
        beta: inverse temperature; the distribution of ``"words"`` takes 1 for inf.
    """
    if how == "words":
        energies = expected_errors(texts, energies, finite(beta))
    return int(energies.argmin())


def expected_errors(texts: Sequence[Sequence[Any]], energies: Tensor, beta: float) -> Tensor:
    """``(N,)`` word errors to be expected of each of N strings, if one of them is right."""
    errors = [[float(Levenshtein.distance(one, two)) for two in texts] for one in texts]
    return energies.new_tensor(errors) @ torch.softmax(-beta * energies, 0)
