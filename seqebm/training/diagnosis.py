"""Diagnosis of a model's energy surface: is it flat, what pulls on it, which parts are idle?

A loss that is not good (LeCun et al. 2006, section 3.3) may be satisfied by a surface that gives
every answer the same energy: the model has collapsed, though its loss is as low as can be. This
looks at the energies themselves, on items with known answers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqebm.data import Batch, DataDir, collate
from seqebm.data.batching import Example
from seqebm.decoding.batches import read_example
from seqebm.errors import DataError
from seqebm.hooks import get_host
from seqebm.inference.found import Floats
from seqebm.inference.terms import Request, Terms
from seqebm.models import Recognizer

FLAT = 1e-3  # an item is flat if I and C differ by less than this share of their size
_SAME = 0.01  # features vary by less than this share of their size: they are all the same
_BATCH = 16
_SHRUNK = 0.1  # of the gap before training: a warning
_MANY = 0.5  # of the items: a warning


class Fault(NamedTuple):
    """Something that is probably wrong.

    Attributes:
        name: a short name.
        cause: what was measured, and what it probably comes from.
        remedy: what to try.
    """

    name: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.cause}. {self.remedy}."


@dataclass(frozen=True)
class Diagnosis:
    """What a diagnosis found, over N items that have a path.

    Attributes:
        correct, offending: ``(N,)`` energies C of the right and I of the most offending answer; I
            is +inf where there is no other answer.
        infeasible: items without a path, left out.
        margin: the gap that the loss asks for; None: no fixed one.
        push, pull, net: norms of the loss's gradient at the features: what pushes right answers
            down, what pulls others up, and both together.
        spread: standard deviation of the features over frames and items, divided by their root
            mean square; 0: the same whatever the input.
        used: how often each part of the lattice was on the best path of a right answer; empty if
            the lattice does not tell.
        warnings: what is probably wrong, gravest first.
    """

    correct: Floats
    offending: Floats
    infeasible: int
    margin: float | None
    push: float
    pull: float
    net: float
    spread: float
    used: dict[str, int]
    warnings: tuple[Fault, ...] = ()

    @property
    def gaps(self) -> Floats:
        """``(M,)`` energy gaps I - C of the items that have another answer."""
        found = np.isfinite(self.offending)
        return self.offending[found] - self.correct[found]

    @property
    def typical_gap(self) -> float:
        """The median of |I - C|; +inf where there is no other answer."""
        return float(np.median(np.abs(self.gaps))) if len(self.gaps) else math.inf

    @property
    def flat(self) -> float:
        """Share of flat items: |I - C| at most 0.001 (|I| + |C|) / 2."""
        found = np.isfinite(self.offending)
        size = (np.abs(self.offending[found]) + np.abs(self.correct[found])) / 2
        return _share(np.abs(self.gaps) <= FLAT * size)

    @property
    def violations(self) -> float:
        """Share of items whose gap is below the margin."""
        return _share(self.gaps < (self.margin or 0.0))

    @property
    def accuracy(self) -> float:
        """Share of items whose right answer is lowest."""
        return _share(self.gaps > 0)

    @property
    def pull_share(self) -> float:
        """Share of the pull in push and pull together; 0: nothing is pulled up."""
        total = self.push + self.pull
        return self.pull / total if total > 0 else 0.0

    @property
    def idle(self) -> list[str]:
        """Parts of the lattice that no right answer used."""
        return [name for name, count in self.used.items() if not count]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        some = len(self.gaps) > 0
        tenths = np.quantile(self.gaps, np.linspace(0, 1, 11)).tolist() if some else []
        return {
            "items": len(self.correct),
            "infeasible": self.infeasible,
            "gap_deciles": [round(q, 6) for q in tenths],
            "accuracy": self.accuracy,
            "flat": self.flat,
            "margin": self.margin,
            "violations": self.violations,
            "push": self.push,
            "pull": self.pull,
            "net": self.net,
            "pull_share": self.pull_share,
            "feature_spread": self.spread,
            "parts": len(self.used),
            "idle": self.idle,
            "warnings": [w._asdict() for w in self.warnings],
        }


def _share(mask: np.ndarray) -> float:
    return float(mask.mean()) if len(mask) else 0.0


def sample(model: Recognizer, data: DataDir, items: int, seed: int = 0) -> list[Batch]:
    """Batches of so many utterances of a data directory, drawn without replacement.

    Utterances that cannot be read, or whose transcript the model does not know, are passed over.

    Raises :class:`DataError` if none is left.
    """
    order = np.random.default_rng(seed).permutation(len(data.utterances))
    found: list[Example] = []
    for index in order:
        utterance = data.utterances[index]
        try:
            example = read_example(model, utterance)
            model.lattice.minimum_frames("" if example.target is None else example.target)
            found.append(example)
        except DataError:
            continue
        if len(found) == items:
            break
    if not found:
        raise DataError(
            f"{data.path}: no utterance can be diagnosed: each needs a signal that can be read "
            "and a transcript of words that the model knows"
        )
    return batches_of(found)


def batches_of(examples: Sequence[Example]) -> list[Batch]:
    """Batches of at most 16 examples, of like length."""
    ordered = sorted(examples, key=lambda example: len(example.signal))
    return [collate(ordered[k : k + _BATCH]) for k in range(0, len(ordered), _BATCH)]


def diagnose(
    model: Recognizer, batches: Sequence[Batch], gap_before: float | None = None
) -> Diagnosis:
    """Diagnose a model on batches with transcripts, in evaluation mode.

    Args:
        model: the model.
        batches: items with known answers.
        gap_before: the median of |I - C| before training, to see whether gaps shrink.

    Raises:
        DataError: none of the items has a path.
        ValueError: energies that the loss or the kernels cannot take (NaN).
    """
    training = model.training
    model.eval()
    parts = [_one(model, batch) for batch in batches]
    model.train(training)
    correct = np.concatenate([p.correct for p in parts]) if parts else np.zeros(0)
    if not len(correct):
        raise DataError("none of the items has a path, so there is nothing to diagnose")
    used: Counter[str] = Counter()
    for part in parts:
        for name, count in part.used.items():
            used[name] += count
    weights = [len(p.correct) / len(correct) for p in parts]
    push, pull, net, spread = (
        sum(w * getattr(p, name) for w, p in zip(weights, parts, strict=True))
        for name in ("push", "pull", "net", "spread")
    )
    found = Diagnosis(
        correct, np.concatenate([p.offending for p in parts]), sum(p.infeasible for p in parts),
        model.loss.margin, push, pull, net, spread, dict(used),
    )  # fmt: skip
    return Diagnosis(**{**vars(found), "warnings": tuple(_warnings(found, model, gap_before))})


def _one(model: Recognizer, batch: Batch) -> Diagnosis:
    with torch.no_grad():
        features, lengths = model.extract(batch.signal, batch.lengths)
    leaf = features.detach().requires_grad_()
    values = [model.lattice.parse(target) for target in batch.targets]
    energies = model.lattice.meet(leaf, lengths)
    terms = seen = model.terms(energies, values, model.request)
    if model.request.cost is not None:  # energies without costs
        seen = model.terms(energies, values, Request())
    feasible = torch.isfinite(terms.correct)
    push, pull, net = _forces(model, leaf, terms, feasible)
    valid = torch.cat([f[:n] for f, n in zip(features, lengths.tolist(), strict=True)])
    size = float(valid.square().mean().sqrt())
    spread = float((valid - valid.mean(0)).square().mean().sqrt()) / size if size > 0 else 0.0
    with torch.no_grad():
        used = model.lattice.usage(features, lengths, batch.targets)
    correct, offending = (t[feasible].detach().double().cpu().numpy() for t in (seen[0], seen[2]))
    return Diagnosis(
        correct, offending, int((~feasible).sum()), None, push, pull, net, spread, used
    )


def _forces(
    model: Recognizer, features: Tensor, terms: Terms, feasible: Tensor
) -> tuple[float, float, float]:
    """Norms of the gradient at the features through C, through the others, and of the sum.

    An expected cost pushes and pulls with one gradient, which counts as both.
    """
    numbers = [*terms[:3], *([] if terms.risk is None else [terms.risk])]
    leaves = [t.detach().clone().requires_grad_() for t in numbers]
    c, f, i, *risk = leaves
    losses = model.loss(Terms(c, f, i, terms.beta, *risk))[feasible]
    if not losses.requires_grad or not len(losses):
        return 0.0, 0.0, 0.0
    slopes = torch.autograd.grad(losses.mean(), leaves, allow_unused=True)
    gradients = []
    for term, slope in zip(numbers, slopes, strict=True):
        gradient = torch.zeros_like(features)
        if slope is not None and term.requires_grad:
            known = torch.isfinite(term) & torch.isfinite(slope) & (slope != 0)
            if known.any():
                total = (slope[known] * term[known]).sum()
                (found,) = torch.autograd.grad(total, features, retain_graph=True)
                gradient = found
        gradients.append(gradient)
    both = gradients[3] if terms.risk is not None else torch.zeros_like(features)
    down, up = gradients[0], gradients[1] + gradients[2]
    net = float((down + up + both).norm())
    return float((down + both).norm()), float((up + both).norm()), net


def _warnings(d: Diagnosis, model: Recognizer, gap_before: float | None) -> list[Fault]:
    loss = model.config.loss.name
    good = model.loss.good
    others = "Use a loss that is good on its own (nll, hinge, mce; docs/losses.md)"
    fixed = "or an architecture that cannot collapse (e.g. lattice.trainable: false)"
    found = []
    collapsed = d.flat > _MANY
    if collapsed:
        cause = f"{d.flat:.0%} of the items are flat: right and wrong answers have equal energies"
        why = f"; the loss {loss!r} is satisfied by that" if not good else ""
        found.append(Fault("collapsed", cause + why, f"{others}, {fixed}"))
    if not collapsed and gap_before is not None and d.typical_gap < _SHRUNK * gap_before:
        cause = (
            f"the energy gaps have shrunk from {gap_before:.3g} before training to "
            f"{d.typical_gap:.3g}: the surface becomes flat"
        )
        why = f", which satisfies the loss {loss!r}" if not good else ""
        found.append(Fault("collapsing", cause + why, f"{others}, {fixed}"))
    if d.spread < _SAME:
        cause = (
            f"the features hardly depend on the input (they vary by {d.spread:.2%} of their size)"
        )
        remedy = f"{others}; set features.norm or features.output_norm; lower the learning rate"
        found.append(Fault("constant features", cause, remedy))
    if d.pull == 0 and d.push > 0 and not good:
        cause = f"the loss {loss!r} pulls no wrong answer up"
        found.append(Fault("no pull", cause, f"It works only where all else is fixed. {others}"))
    if d.margin and d.violations > _MANY and d.accuracy > _MANY and len(d.gaps):
        median = float(np.median(d.gaps))
        found.append(
            Fault(
                "margin out of reach",
                f"{d.violations:.0%} of the gaps are below the margin of {d.margin:g}, though "
                f"{d.accuracy:.0%} of the items are right: the median gap is {median:.3g}",
                f"Set loss.margin (or scale) to about {max(median, 1e-6):.2g}, the size of this "
                "model's energy differences",
            )
        )
    still = 0 <= d.net < 1e-6 * max(_size(d), 1e-12)
    if not collapsed and len(d.gaps) and d.accuracy < 1 - _MANY and still:
        cause = (
            f"{1 - d.accuracy:.0%} of the items are wrong, but the loss has no gradient there: "
            f"{loss!r} is saturated"
        )
        options = get_host().registry.get("losses", loss).options_class().model_fields
        remedies = {"scale": "lower loss.scale", "delta": "raise loss.delta"}
        cures = [cure for option, cure in remedies.items() if option in options]
        cures.append("use the loss nll" if loss != "nll" else "lower inference.beta")
        remedy = ", or ".join(cures)
        found.append(Fault("saturated", cause, remedy[0].upper() + remedy[1:]))
    # With few items many parts are idle by chance.
    if len(d.idle) * 2 >= len(d.used) > 0 and len(d.correct) >= 10 * len(d.used):
        shown = ", ".join(d.idle[:5]) + (", ..." if len(d.idle) > 5 else "")
        found.append(
            Fault(
                "idle parts",
                f"{len(d.idle)} of {len(d.used)} parts of the lattice are used by no right answer "
                f"of these {len(d.correct)}: {shown}",
                "Fewer would do (lattice.count, states); or more of them: see lattice.dropout",
            )
        )
    return found


def _size(d: Diagnosis) -> float:
    finite = d.offending[np.isfinite(d.offending)]
    return float(np.abs(np.concatenate([d.correct, finite])).mean())
