"""The loss functionals of energy-based learning, over the same three numbers (or an expected cost).

Notation, for one item (Y the right answer, Ȳ the most offending incorrect one):

    C = F_β(clamped)      energy of the right answer
    F = F_β(all)          free energy of all answers, -1/β log Σ_Y exp(-β E(Y))
    I = F_β(Ȳ)            free energy of the most offending answer, which differs from Y

Source: LeCun, Chopra, Hadsell, Ranzato, Huang, "A Tutorial on Energy-Based Learning" (2006),
Table 1, and LeCun & Huang (2005) for the conditions under which a loss is good. A loss is *good*
if minimising it must put C below I by a margin; the others may **collapse**: an architecture that
can give every answer the same energy will.

Each class is a factory: ``Hinge(Hinge.Options(margin=1.0))(terms)`` is a ``(B,)`` tensor. Its
``request`` tells a lattice which of the numbers it reads, so that the others cost nothing.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as nnf
from pydantic import Field
from torch import Tensor

from seqebm.hooks import Options as BaseOptions
from seqebm.inference.terms import Request, Terms
from seqebm.losses.base import Loss

#: The numbers that a loss may read besides C.
NOTHING = Request(contrastive=False, offending=False)
CONTRASTIVE = Request(contrastive=True, offending=False)
OFFENDING = Request(contrastive=False, offending=True)


class _Margin(BaseOptions):
    margin: float = Field(1.0, gt=0, description="energy gap I - C that is asked for")


class _Cost(BaseOptions):
    """Options of the margin-rescaled hinge."""

    cost: Literal["hamming", "edit"] = Field(
        "hamming",
        description="hamming: wrong labels position by position (chain); edit: edit distance",
    )
    scale: float = Field(1.0, gt=0, description="energy gap that is asked for per unit of cost")
    cap: int = Field(2, ge=1, description="largest edit distance that is told apart")


class _Boost(_Cost):
    """Options of boosted MMI."""

    scale: float = Field(0.1, gt=0, description="the boost b: energy per unit of cost")


class _Errors(BaseOptions):
    """Options of minimum Bayes risk."""

    cost: Literal["hamming", "edit"] = Field(
        "hamming", description="hamming: wrong labels (chain) or frames (hmm); edit: edit distance"
    )
    cap: int = Field(2, ge=1, description="largest edit distance that is told apart")


class _Scale(BaseOptions):
    scale: float = Field(1.0, gt=0, description="multiplies C - I before the squashing function")


class _Ramp(BaseOptions):
    """Options of LVQ2."""

    delta: float = Field(0.3, gt=0, description="width of the ramp, relative to I")


class _Weight(BaseOptions):
    """Options of the square-exponential loss."""

    gamma: float = Field(1.0, gt=0, description="weight of the contrastive term")


class Energy(Loss):
    """``C``: pushes the right answer down and pulls nothing up. Collapses unless the
    architecture forbids it (as regression does, E = |G(X) - Y|²). Tutorial, section 2.2.1.
    """

    good = False
    request = NOTHING

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`Energy`."""
        return terms.correct


class Perceptron(Loss):
    """``C - min over all answers``: zero as soon as the right answer is lowest, so no gap is
    created and a flat surface is a minimum too. Tutorial, section 2.2.2; Collins (2002).
    """

    good = False

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`Perceptron`."""
        return terms.correct - torch.minimum(terms.correct, terms.offending)


class Hinge(Loss):
    """``max(0, m + C - I)``. Tutorial, section 2.2.3; Taskar et al. (2003) for sequences."""

    Options = _Margin
    options: _Margin
    margin: float  # m

    def __init__(self, options: _Margin | None = None) -> None:
        super().__init__(options)
        self.margin = self.options.margin

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`Hinge`."""
        return nnf.relu(self.margin + terms.correct - terms.offending)


class MarginHinge(Loss):
    """``max(0, C - min over Y != Yi of (E(Y) - s cost(Y, Yi)))``: the margin grows with the error.

    An answer with one wrong label must be higher than the right one by s, an answer with ten by
    10 s. The minimum is exact: a lattice adds the cost to its energies (Request.cost).
    Taskar, Guestrin & Koller (2003), "Max-margin Markov networks"; Tutorial, section 2.2.3.
    """

    Options = _Cost
    options: _Cost
    margin: float  # of an answer with a cost of 1

    def __init__(self, options: _Cost | None = None) -> None:
        super().__init__(options)
        o = self.options
        self.margin = o.scale
        self.request = OFFENDING._replace(cost=o.cost, scale=o.scale, cap=o.cap)

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`MarginHinge`."""
        return nnf.relu(terms.correct - terms.offending)


class Log(Loss):
    """``log(1 + exp(s (C - I))) / s``: a soft hinge with an infinite margin. Tutorial, 2.2.3."""

    Options = _Scale
    options: _Scale
    margin = None

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`Log`."""
        scale = self.options.scale
        return nnf.softplus(scale * (terms.correct - terms.offending)) / scale


class LVQ2(Loss):
    """``min(1, max(0, (C - I) / (δ I)))``, for energies > 0.

    The loss of Driancourt, Bottou & Gallinari (1991) for elastic templates: a ramp, bounded so
    that outliers do not dominate, with zero margin (a saturated item has no gradient either).
    Tutorial, section 2.2.3.

    Errors:
        ValueError: if an offending energy is not positive, for which the ratio means nothing.
    """

    good = False

    Options = _Ramp
    options: _Ramp

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`LVQ2`."""
        if bool((terms.offending <= 0).any()):
            raise ValueError(
                f"lvq2 needs energies > 0, but an incorrect answer has energy "
                f"{float(terms.offending.detach().min()):.4g}; use a lattice with positive "
                "energies (templates) or another loss (mce, hinge, nll)"
            )
        # C / I - 1 rather than (C - I) / I: finite, with zero gradient, when no rival exists.
        ratio = (terms.correct / terms.offending - 1) / self.options.delta
        return ratio.clamp(0, 1)


class MCE(Loss):
    """``σ(s (C - I))``: minimum classification error, a smooth count of errors.

    Juang, Hou & Lee (1997). Tutorial, section 2.2.3.
    """

    Options = _Scale
    options: _Scale
    margin = None

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`MCE`."""
        return torch.sigmoid(self.options.scale * (terms.correct - terms.offending))


class SquareSquare(Loss):
    """``C² + max(0, m - I)²``, for energies bounded below by 0. LeCun & Huang (2005)."""

    Options = _Margin
    options: _Margin
    margin: float  # asked of I itself, not of I - C

    def __init__(self, options: _Margin | None = None) -> None:
        super().__init__(options)
        self.margin = self.options.margin

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`SquareSquare`."""
        return terms.correct.square() + nnf.relu(self.margin - terms.offending).square()


class SquareExponential(Loss):
    """``C² + γ exp(-I)``, for energies bounded below by 0. Osadchy, Miller & LeCun (2005)."""

    Options = _Weight
    options: _Weight
    margin = None

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`SquareExponential`."""
        return terms.correct.square() + self.options.gamma * torch.exp(-terms.offending)


class NLL(Loss):
    """``C - F = C + 1/β log Σ exp(-β E)``: negative log-likelihood, MMI in speech.

    Pulls up every answer in proportion to its probability; at β = ∞ it is the perceptron loss.
    Tutorial, section 2.2.4; Bahl et al. (1986) for MMI.
    """

    margin = None
    request = CONTRASTIVE

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`NLL`."""
        return terms.correct - terms.contrastive


class SoftmaxMargin(Loss):
    """``C + 1/β log Σ exp(-β (E(Y) - s cost(Y, Yi)))``: NLL against energies that costs lessen.

    The soft version of the margin-rescaled hinge, which it becomes at β = ∞: an answer with ten
    wrong labels must be ten times as far above the right one as an answer with one.
    Gimpel & Smith (2010), "Softmax-margin CRFs".
    """

    Options = _Cost
    options: _Cost
    margin = None

    def __init__(self, options: _Cost | None = None) -> None:
        super().__init__(options)
        o = self.options
        self.request = CONTRASTIVE._replace(cost=o.cost, scale=o.scale, cap=o.cap)

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`SoftmaxMargin`."""
        return terms.correct - terms.contrastive


class BoostedMMI(SoftmaxMargin):
    """MMI whose denominator is boosted by ``exp(-b accuracy)``: softmax-margin, in other words.

    An accuracy is a constant less the cost, so the loss of Povey et al. (2008), "Boosted MMI for
    model and feature-space discriminative training", is the softmax-margin plus a constant. The
    boost b is that of frames by default, a twentieth or a tenth of what an edit would be given.
    """

    Options = _Boost
    options: _Boost


class MBR(Loss):
    """``Σ_Y P(Y) cost(Y, Yi)``: the expected number of errors, minimum Bayes risk training.

    With Hamming's cost on ``hmm`` these are wrong frames (state-level minimum Bayes risk, sMBR),
    on ``chain`` wrong labels; with ``edit`` wrong words or characters. Bounded; where an answer is
    one of a list it is MEE. At β = ∞ it counts the errors of the best path, with zero gradient.
    Kaiser, Horvat & Kacic (2000); Povey & Woodland (2002); Gibson & Hain (2006).

    Errors:
        ValueError: if the lattice gives no expected cost.
    """

    Options = _Errors
    options: _Errors
    margin = None

    def __init__(self, options: _Errors | None = None) -> None:
        super().__init__(options)
        o = self.options
        self.request = NOTHING._replace(cost=o.cost, scale=0.0, cap=o.cap, risk=True)

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`MBR`."""
        if terms.risk is None:
            raise ValueError("mbr needs the expected cost of an answer, which this lattice lacks")
        return terms.risk


class MEE(Loss):
    """``1 - exp(-β C) / Σ exp(-β E)``: minimum empirical error, one minus the posterior.

    Bounded, so robust to label noise. At β = ∞ it is the zero-one loss, whose gradient is zero.
    Ljolje, Ephraim & Rabiner (1990). Tutorial, section 2.2.4.
    """

    margin = None
    request = CONTRASTIVE

    def __call__(self, terms: Terms) -> Tensor:
        """See :class:`MEE`."""
        gap = terms.correct - terms.contrastive
        if math.isinf(terms.beta):
            return (gap > 0).to(gap.dtype) + 0 * gap
        return -torch.expm1(-terms.beta * gap)
