"""Checks of lattices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from seqebm.errors import SeqebmError, UnsupportedError
from seqebm.inference.found import Found
from seqebm.inference.search import Search
from seqebm.inference.terms import Request, Terms
from seqebm.lattices.base import Lattice
from seqebm.testing import modules
from seqebm.testing.findings import Finding, Verdict, collect

_DIM = 6
_LENGTHS = (12, 18, 9, 15)
_WORDS = ("a", "b", "c")
_BETAS = (0.5, 1.0, 10.0, math.inf)
_TINY = 1e-4


def check_lattice(
    make: Callable[[int, tuple[str, ...]], Any], targets: Sequence[Any] | None = None
) -> list[Finding]:
    """Look at a lattice.

    Args:
        make: (input_dim, vocabulary) -> a new lattice, as ``factory(options, input_dim,
            vocabulary)`` makes it. The vocabulary is a, b, c.
        targets: right answers of four items, as data has them. Default: single words, or where
            answers are strings, strings of two (of one for each frame, if a lattice has as many
            minimum frames as a target has words). A lattice of arrays needs them.

    Returns a finding for each check: the three numbers and what must hold between them at any β,
    answers and their text, alignment, padding, gradients against finite differences, unknown
    targets, saving, pickling, GPU, speed.
    """
    torch.manual_seed(0)
    lattice = make(_DIM, _WORDS)
    found = list(collect([("module", lambda: _is_lattice(lattice))]))
    if not found[0].passed:
        return found
    features = torch.randn(len(_LENGTHS), max(_LENGTHS), _DIM)
    lengths = torch.tensor(_LENGTHS)
    right = list(targets) if targets is not None else _targets(lattice)
    seen = [f[:n] for f, n in zip(features, _LENGTHS, strict=True)]

    def begun(module: Any) -> Any:
        module.initialise(seen, right)
        return module.eval()

    begun(lattice)

    def run(module: Any, device: str = "cpu") -> Tensor:
        with torch.no_grad():
            terms = _terms(module, features.to(device), lengths, right, 1.0, _request(module))
        return torch.stack(list(terms[:3])).nan_to_num()

    return found + list(
        collect(
            [
                ("three numbers", lambda: _numbers(lattice, features, lengths, right)),
                ("limit", lambda: _limit(lattice, features, lengths, right)),
                ("answers", lambda: _answers(lattice, features, lengths)),
                ("alignment", lambda: _alignment(lattice, features, lengths, right)),
                ("padding", lambda: _padding(lattice, features, lengths, right)),
                ("gradients", lambda: _gradients(begun(make(_DIM, _WORDS)), features, right)),
                ("unknown target", lambda: _unknown(lattice)),
                ("save and load",
                 lambda: modules.round_trip(lattice, begun(make(_DIM, _WORDS)), run)),
                ("pickle", lambda: modules.pickles(lattice)),
                ("CUDA", lambda: modules.on_cuda(lattice, run)),
                ("speed", lambda: modules.speed(lambda: run(lattice), len(_LENGTHS), "an item")),
            ]
        )
    )  # fmt: skip


def _is_lattice(lattice: Any) -> Verdict:
    if not isinstance(lattice, Lattice):
        return False, "it is no seqebm.hooks.Lattice: nothing knows how to ask it"
    return modules.is_module(lattice)


def _request(lattice: Any) -> Request:
    """All numbers, or of a continuum, which cannot be summed over, C alone."""
    every = lattice.answers != "array"
    return Request(contrastive=every, offending=every)


def _terms(
    lattice: Any, features: Tensor, lengths: Tensor, targets: Sequence[Any], beta: float,
    request: Request = Request(),
) -> Terms:  # fmt: skip
    values = [lattice.parse(target) for target in targets]
    return lattice.meet(features, lengths).terms(values, beta, request)


def _targets(lattice: Any) -> list[str]:
    if lattice.answers == "choice":
        return ["a", "b", "c", "a"]
    if lattice.minimum_frames("a b a b") == 4 == 2 * lattice.minimum_frames("a b"):
        try:  # a label for every frame?
            features = torch.zeros(1, 4, _DIM)
            _terms(lattice, features, torch.tensor([4]), ["a b"], 1.0)
        except SeqebmError:
            return [" ".join(_WORDS[(b + t) % 3] for t in range(n)) for b, n in enumerate(_LENGTHS)]
    return ["a b", "b c", "c", "a a"]


def _numbers(lattice: Any, features: Tensor, lengths: Tensor, targets: list[Any]) -> Verdict:
    request = _request(lattice)
    for beta in _BETAS:
        terms = _terms(lattice, features, lengths, targets, beta, request)
        for name, value in zip(("correct", "contrastive", "offending"), terms[:3], strict=True):
            if value.shape != (len(features),):
                return False, f"{name} has shape {tuple(value.shape)}; wanted ({len(features)},)"
            wanted = name == "correct" or getattr(request, name)
            if wanted and bool(torch.isnan(value).any()):
                return False, f"{name} is NaN at β = {beta:g}"
        if not request.contrastive:
            continue
        correct, contrastive, offending = (t.detach() for t in terms[:3])
        size = float(contrastive.abs().max()) + 1
        if bool((contrastive > torch.minimum(correct, offending) + _TINY * size).any()):
            return False, f"at β = {beta:g} F is above C or I: it must be of all answers"
        if beta == math.inf:
            least = torch.minimum(correct, offending)
            if bool(((contrastive - least).abs() > _TINY * size).any()):
                return False, "at β = ∞ F is not the lesser of C and I: is I the lowest other one?"
    return True, "F ≤ min(C, I) at every β, equal at ∞" if request.contrastive else "C is a number"


def _answers(lattice: Any, features: Tensor, lengths: Tensor) -> Verdict:
    """What decoding does: the best answer, its energy, its text and back."""
    names = [f"item {b}" for b in range(len(features))]
    with torch.no_grad():
        energies = lattice.meet(features, lengths)
        found = energies.search(Search(), names, 0.01)
        values = [one.value if isinstance(one, Found) else None for one in found]
        for name, one in zip(names, found, strict=True):
            if isinstance(one, SeqebmError):
                return False, f"{name} has no answer: {one}"
        right = energies.clamped(values)
        # Of its best latent variable; where all answers are listed, its free energy.
        hard, soft = (right.free_energy(beta).tolist() for beta in (math.inf, Search().beta))
    for b, (name, one) in enumerate(zip(names, found, strict=True)):
        apart = min(abs(one.energy - hard[b]), abs(one.energy - soft[b]))
        if apart > _TINY * (1 + abs(hard[b])):
            return False, f"{name}: its answer has energy {one.energy:g}, clamped {hard[b]:g}"
        if not _same(lattice.parse(lattice.text(one.value)), one.value):
            return False, f"parse does not undo text: {lattice.text(one.value)!r}"
    shown = ", ".join(repr(lattice.text(value)) for value in values[:3])
    return True, f"decodes to {shown}, ..."


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor):
        return bool(torch.allclose(one, torch.as_tensor(two), atol=1e-4))
    return one == two


def _alignment(lattice: Any, features: Tensor, lengths: Tensor, targets: list[Any]) -> Verdict:
    values = [lattice.parse(target) for target in targets]
    names = [f"item {b}" for b in range(len(features))]
    try:
        with torch.no_grad():
            found = lattice.meet_known(features, lengths, values).align(values, names, 0.01)
    except UnsupportedError:
        return True, "its answers have no parts in time"
    for name, one, frames in zip(names, found, lengths.tolist(), strict=True):
        if isinstance(one, SeqebmError):
            return False, f"{name} cannot be aligned: {one}"
        for part in one.segments.words:
            if not 0 <= part.first <= part.stop <= frames:
                return False, f"{name}: {part.label!r} lies outside its {frames} frames"
    return True, f"{sum(len(one.segments.words) for one in found)} words have frames"


def _limit(lattice: Any, features: Tensor, lengths: Tensor, targets: list[Any]) -> Verdict:
    request = _request(lattice)
    soft, hard = (
        _terms(lattice, features, lengths, targets, b, request).correct for b in (1e5, math.inf)
    )
    apart = float((soft - hard).detach().abs().max())
    size = 1 + float(hard.detach().abs().max())
    return apart < 1e-2 * size, f"C at β = 1e5 differs by {apart:.1e} from C at β = ∞"


def _padding(lattice: Any, features: Tensor, lengths: Tensor, targets: list[Any]) -> Verdict:
    padded = features.clone()
    for b, n in enumerate(lengths.tolist()):
        padded[b, n:] = 1e3
    request = _request(lattice)
    together = _terms(lattice, padded, lengths, targets, 1.0, request)
    for b, n in enumerate(lengths.tolist()):
        one_item = features[b : b + 1, :n], lengths[b : b + 1], targets[b : b + 1]
        alone = _terms(lattice, *one_item, 1.0, request)
        for one, two in zip(alone[:3], together[:3], strict=True):
            if bool(torch.isnan(one).any()):  # it was not asked for
                continue
            apart = abs(float(one[0].detach()) - float(two[b].detach()))
            if not apart < _TINY * (1 + abs(float(one[0].detach()))):
                return False, f"item {b} differs by {apart:.2g} when it is padded or has company"
    return True, "neither padding nor company changes an item"


def _gradients(lattice: Any, features: Tensor, targets: list[Any]) -> Verdict:
    """The gradient of NLL along a random direction against a central difference, in float64.

    Where answers cannot be summed over, it is the gradient of C.
    """
    request = _request(lattice)
    lattice = lattice.double()
    with torch.no_grad():  # energies that start at 0 have no gradient to speak of
        for parameter in lattice.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    lengths = torch.tensor(_LENGTHS)
    leaf = features.double().requires_grad_()

    def loss(x: Tensor) -> Tensor:
        terms = _terms(lattice, x, lengths, targets, 1.0, request)
        return (terms.correct - (terms.contrastive if request.contrastive else 0.0)).sum()

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
