"""Checks that any loss over :class:`~seqebm.hooks.Terms` should pass, for authors of losses.

Energies are drawn at random (all above 0, which some losses need), the three numbers follow from
them, and what the loss and its derivatives do is looked at. LeCun & Huang (2005), "Loss functions
for discriminative training of energy-based models", give the condition of a good loss: somewhere
with C + m < I it is lower than anywhere without. ``seqebm plugins check NAME`` prints this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from seqebm.inference.choice import Choice
from seqebm.losses.base import Loss
from seqebm.testing.findings import Finding

_BETAS = (0.3, 1.0, 5.0)
_TINY = 1e-9
_GRID = 0.05  # of energies, where the plane of C and I is searched
_LARGEST = 6.0


def check_loss(loss: Loss, seed: int = 0) -> list[Finding]:
    """Look at a loss: is it finite, does it push and pull the right way, what does it declare?

    Args:
        loss: the loss, made with its options.
        seed: of the random energies.

    Returns a finding for each check. What the loss declares, ``good`` (its minimum has a gap) and
    ``margin``, is compared with what is measured.
    """
    drawn = torch.Generator().manual_seed(seed)
    if not isinstance(loss, Loss):
        return [Finding("loss", False, "it is no seqebm.hooks.Loss: nothing knows what it reads")]
    shape = evaluate(loss, torch.ones(3, 2, dtype=torch.float64), 1.0)[0].shape
    if shape != (3,):
        text = f"3 items gave a tensor of shape {tuple(shape)}; wanted: the loss of each, (3,)"
        return [Finding("one loss an item", False, text)]
    return [*_directions(loss, drawn), *_reads(loss, drawn), *_good(loss), *_margin(loss)]


def evaluate(loss: Loss, energies: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Losses ``(B,)`` of energies ``(B, W)``, right answer first, and their derivatives ``(B, W)``.

    The loss sees what it requests; the other numbers are NaN.
    """
    leaf = energies.detach().clone().requires_grad_()
    request = loss.request
    given = Choice(lambda _: leaf, torch.ones(len(leaf), dtype=torch.int64))
    terms = given.terms([0] * len(leaf), beta, request)
    nothing = torch.full_like(terms.correct, math.nan)
    if not request.contrastive:
        terms = terms._replace(contrastive=nothing)
    if not request.offending:
        terms = terms._replace(offending=nothing)
    losses = loss(terms)
    (slopes,) = torch.autograd.grad(losses.sum(), leaf, allow_unused=True)
    return losses.detach(), torch.zeros_like(leaf) if slopes is None else slopes


def _directions(loss: Loss, drawn: torch.Generator) -> Iterator[Finding]:
    values = torch.rand(4000, 5, generator=drawn, dtype=torch.float64) * 5 + 0.05
    losses, slopes = zip(*(evaluate(loss, values, beta) for beta in _BETAS), strict=True)
    value, slope = torch.cat(losses), torch.cat(slopes)
    finite = bool(torch.isfinite(value).all() and torch.isfinite(slope).all())
    yield Finding(
        "finite", finite,
        "loss and gradient are finite" if finite else "some losses or gradients are not finite",
    )  # fmt: skip
    down, up = float(slope[:, 0].min()), float(slope[:, 1:].max())
    yield Finding(
        "pushes down the right answer", down >= -_TINY,
        f"dL/dC is at least {down:.3g} (wanted: never below 0)",
    )  # fmt: skip
    yield Finding(
        "pulls up wrong answers", up <= _TINY,
        f"dL/dE of a wrong answer is at most {up:.3g} (wanted: never above 0)",
    )  # fmt: skip
    pulled = float((slope[:, 1:] < -_TINY).double().sum(1).mean())
    yield Finding(
        "wrong answers pulled up", True, f"{pulled:.2f} of {values.shape[1] - 1} on average"
    )


def _reads(loss: Loss, drawn: torch.Generator) -> Iterator[Finding]:
    values = torch.rand(50, 4, generator=drawn, dtype=torch.float64) + 0.05
    losses, _ = evaluate(loss, values, 1.0)
    kept = bool(torch.isfinite(losses).all())
    request = loss.request
    numbers = ("contrastive", "offending", "risk")
    wanted = [n for n in numbers if getattr(request, n)] or ["C alone"]
    yield Finding(
        "request", kept,
        f"reads {' and '.join(wanted)}" if kept else "reads a number that its request leaves out",
    )  # fmt: skip


def _good(loss: Loss) -> Iterator[Finding]:
    """LeCun & Huang (2005), the sufficient condition, with two answers on a grid."""
    axis = torch.arange(_GRID, _LARGEST, _GRID, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    losses, _ = evaluate(loss, points, 1.0)
    declared = loss.margin
    margin = 0.9 * declared if declared else 2 * _GRID
    inside = points[:, 0] + margin < points[:, 1]
    best, rest = float(losses[inside].min()), float(losses[~inside].min())
    met = best < rest - _TINY
    good = loss.good
    text = f"the least loss with C + {margin:.2g} < I is {best:.4g}, elsewhere {rest:.4g}: " + (
        "a minimum has a gap" if met else "a flat surface may be a minimum, it can collapse"
    )
    yield Finding("condition of LeCun & Huang", good == met, text + _declared(good, met))


def _declared(good: bool | None, met: bool) -> str:
    return "" if good == met else f"; but it declares good = {good}"


def _margin(loss: Loss) -> Iterator[Finding]:
    """The gap I - C from which on the loss does not pull I up any more."""
    correct = 1e-3
    gaps = torch.arange(0.0, _LARGEST, 1e-3, dtype=torch.float64)
    points = torch.stack([torch.full_like(gaps, correct), correct + gaps], 1)
    _, slopes = evaluate(loss, points, 1.0)
    pulling = torch.nonzero(slopes[:, 1].abs() > _TINY).flatten()
    measured = float(gaps[pulling[-1]]) if len(pulling) else 0.0
    endless = measured > _LARGEST - 0.01
    declared = loss.margin
    right = endless if declared is None else not endless and abs(measured - declared) < 0.01
    found = "none: it always pulls" if endless else f"{measured:.3f}"
    said = "no fixed one" if declared is None else f"{declared:g}"
    yield Finding("margin", right, f"measured {found}; declared {said}")
