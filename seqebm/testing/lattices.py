"""Checks of lattices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from seqebm.errors import SeqebmError
from seqebm.hooks import Request
from seqebm.testing import modules
from seqebm.testing.findings import Finding, Verdict, collect

_DIM = 6
_LENGTHS = (12, 18, 9, 15)
_WORDS = ("a", "b", "c")
_BETAS = (0.5, 1.0, 10.0, math.inf)
_TINY = 1e-4


def check_lattice(make: Callable[[int, tuple[str, ...]], Any]) -> list[Finding]:
    """Look at a lattice.

    Args:
        make: (input_dim, vocabulary) -> a new lattice, as ``factory(options, input_dim,
            vocabulary)`` makes it. The vocabulary is a, b, c; targets are single words of it, or
            where the lattice is ``sequential`` strings of two (of one for each frame, if a lattice
            has as many minimum frames as a target has words).

    Returns a finding for each check: the three numbers and what must hold between them at any β,
    padding, gradients against finite differences, unknown targets, saving, pickling, GPU, speed.
    """
    torch.manual_seed(0)
    lattice = make(_DIM, _WORDS)
    found = list(collect([("module", lambda: modules.is_module(lattice))]))
    if not found[0].passed:
        return found
    features = torch.randn(len(_LENGTHS), max(_LENGTHS), _DIM)
    lengths = torch.tensor(_LENGTHS)
    targets = _targets(lattice)
    seen = [f[:n] for f, n in zip(features, _LENGTHS, strict=True)]

    def begun(module: Any) -> Any:
        module.initialise(seen, targets)
        return module.eval()

    begun(lattice)

    def run(module: Any, device: str = "cpu") -> Tensor:
        with torch.no_grad():
            terms = module.terms(features.to(device), lengths, targets, 1.0, Request())
        return torch.stack(list(terms[:3]))

    return found + list(
        collect(
            [
                ("three numbers", lambda: _numbers(lattice, features, lengths, targets)),
                ("limit", lambda: _limit(lattice, features, lengths, targets)),
                ("padding", lambda: _padding(lattice, features, lengths, targets)),
                ("gradients", lambda: _gradients(begun(make(_DIM, _WORDS)), features, targets)),
                ("unknown target", lambda: _unknown(lattice)),
                ("save and load",
                 lambda: modules.round_trip(lattice, begun(make(_DIM, _WORDS)), run)),
                ("pickle", lambda: modules.pickles(lattice)),
                ("CUDA", lambda: modules.on_cuda(lattice, run)),
                ("speed", lambda: modules.speed(lambda: run(lattice), len(_LENGTHS), "an item")),
            ]
        )
    )  # fmt: skip


def _targets(lattice: Any) -> list[str]:
    if not getattr(lattice, "sequential", False):
        return ["a", "b", "c", "a"]
    if lattice.minimum_frames("a b a b") == 4 == 2 * lattice.minimum_frames("a b"):
        try:  # a label for every frame?
            features = torch.zeros(1, 4, _DIM)
            lattice.terms(features, torch.tensor([4]), ["a b"], 1.0)
        except SeqebmError:
            return [" ".join(_WORDS[(b + t) % 3] for t in range(n)) for b, n in enumerate(_LENGTHS)]
    return ["a b", "b c", "c", "a a"]


def _numbers(lattice: Any, features: Tensor, lengths: Tensor, targets: list[str]) -> Verdict:
    for beta in _BETAS:
        terms = lattice.terms(features, lengths, targets, beta)
        for name, value in zip(("correct", "contrastive", "offending"), terms[:3], strict=True):
            if value.shape != (len(features),):
                return False, f"{name} has shape {tuple(value.shape)}; wanted ({len(features)},)"
            if bool(torch.isnan(value).any()):
                return False, f"{name} is NaN at β = {beta:g}"
        correct, contrastive, offending = (t.detach() for t in terms[:3])
        size = float(contrastive.abs().max()) + 1
        if bool((contrastive > torch.minimum(correct, offending) + _TINY * size).any()):
            return False, f"at β = {beta:g} F is above C or I: it must be of all answers"
        if beta == math.inf:
            least = torch.minimum(correct, offending)
            if bool(((contrastive - least).abs() > _TINY * size).any()):
                return False, "at β = ∞ F is not the lesser of C and I: is I the lowest other one?"
    return True, "F ≤ min(C, I) at every β, equal at ∞"


def _limit(lattice: Any, features: Tensor, lengths: Tensor, targets: list[str]) -> Verdict:
    soft, hard = (lattice.terms(features, lengths, targets, b).correct for b in (1e5, math.inf))
    apart = float((soft - hard).detach().abs().max())
    size = 1 + float(hard.detach().abs().max())
    return apart < 1e-2 * size, f"C at β = 1e5 differs by {apart:.1e} from C at β = ∞"


def _padding(lattice: Any, features: Tensor, lengths: Tensor, targets: list[str]) -> Verdict:
    padded = features.clone()
    for b, n in enumerate(lengths.tolist()):
        padded[b, n:] = 1e3
    together = lattice.terms(padded, lengths, targets, 1.0)
    for b, n in enumerate(lengths.tolist()):
        alone = lattice.terms(features[b : b + 1, :n], lengths[b : b + 1], targets[b : b + 1], 1.0)
        for one, two in zip(alone[:3], together[:3], strict=True):
            apart = abs(float(one[0].detach()) - float(two[b].detach()))
            if not apart < _TINY * (1 + abs(float(one[0].detach()))):
                return False, f"item {b} differs by {apart:.2g} when it is padded or has company"
    return True, "neither padding nor company changes an item"


def _gradients(lattice: Any, features: Tensor, targets: list[str]) -> Verdict:
    """The gradient of NLL along a random direction against a central difference, in float64."""
    lattice = lattice.double()
    with torch.no_grad():  # energies that start at 0 have no gradient to speak of
        for parameter in lattice.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    lengths = torch.tensor(_LENGTHS)
    leaf = features.double().requires_grad_()

    def loss(x: Tensor) -> Tensor:
        terms = lattice.terms(x, lengths, targets, 1.0)
        return (terms.correct - terms.contrastive).sum()

    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    for b, n in enumerate(_LENGTHS):
        if bool((gradient[b, n:] != 0).any()):
            return False, f"padding of item {b} has a gradient"
    direction = torch.randn_like(leaf)
    step = 1e-5
    with torch.no_grad():
        numeric = float(loss(leaf + step * direction) - loss(leaf - step * direction)) / (2 * step)
    exact = float((gradient * direction).sum())
    return abs(numeric - exact) < 1e-4 * max(1.0, abs(exact)), (
        f"{exact:.6g} along a direction, by differences {numeric:.6g}"
    )


def _unknown(lattice: Any) -> Verdict:
    try:
        lattice.minimum_frames("no such word")
    except SeqebmError as error:
        return True, f"refused: {str(error)[:60]}..."
    return True, "minimum_frames takes any target"
