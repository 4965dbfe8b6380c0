"""What a loss sees of each item, and what it asks for."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Terms(NamedTuple):
    """The energies of one batch that losses are functions of; each ``(B,)`` and differentiable.

    Attributes:
        correct: free energy of the right answer, F_β(clamped).
        contrastive: free energy of all answers, F_β(all).
        offending: free energy of the most offending incorrect answer, F_β(Ȳ): the one that has the
            path of least energy.
        beta: inverse temperature of ``contrastive``; ``math.inf`` is legal.
        risk: expected cost of an answer, Σ P(Y) cost(Y, Yi); None where it was not requested.
    """

    correct: Tensor
    contrastive: Tensor
    offending: Tensor
    beta: float
    risk: Tensor | None = None


class Request(NamedTuple):
    """Which numbers of :class:`Terms` are wanted; the others may be NaN.

    Attributes:
        contrastive, offending: whether each is wanted (``correct`` always is).
        cost: subtract from the energy of an answer Y its cost to the right one, so that
            ``offending`` is ``min over Y != Yi of E(Y) - scale * cost(Y, Yi)`` (margin rescaling,
            Taskar et al. 2003), and ``contrastive`` the free energy of all these (softmax-margin,
            Gimpel & Smith 2010): ``"hamming"`` counts wrong labels position by position (``hmm``:
            frame by frame), ``"edit"`` is the edit distance, counted up to ``cap``. None: no cost.
        scale: energy per unit of cost; 0 leaves the energies as they are.
        cap: largest edit distance that is told apart.
        risk: whether the expected cost is wanted (``scale`` plays no part in it).
    """

    contrastive: bool = True
    offending: bool = True
    cost: str | None = None
    scale: float = 1.0
    cap: int = 2
    risk: bool = False
