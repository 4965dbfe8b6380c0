"""The dense linear chain as torch operators: differentiable and checked.

A chain gives a label out of S to each frame: every item has an energy for each label at each frame,
and all share an energy for each pair of neighbouring labels, for the first and for the last label
(Lafferty, McCallum & Pereira 2001). Energies may be negative; +inf is impossible.

Every function takes lengths, never masks; what lies beyond a length may hold anything. An item
without any possible labelling has energy +inf and zero gradients. At beta = inf the free energy is
the least energy, and its gradient the indicator of the best labelling; where labellings tie, one of
them is taken.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seqebm.kernels.chain import operators  # noqa: F401  (registers the operators)
from seqebm.kernels.chain.checks import check_chain, check_labels
from seqebm.kernels.chain.n_best import n_best as n_best
from seqebm.kernels.machine.checks import (
    check_beta,
    needs_gradient,
)


def free_energy(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor,
    beta: float,
) -> Tensor:  # fmt: skip
    """Free energy ``-1/beta log sum exp(-beta E)`` over all labellings of each item.

    Args:
        emissions: (B, T, S) energies of labels at frames, float32 or float64. Differentiable, as
            are the next three: the gradient is the Gibbs posterior.
        lengths: (B,) valid frames, 1 to T.
        transitions: (S, S) energies [from, to]; start, final: (S,). Of the type of ``emissions``.
        beta: inverse temperature, > 0; inf for the least energy.

    Returns:
        (B,) in the type of ``emissions``; +inf where no labelling is possible.

    Raises:
        ValueError: a shape, type, length or energy is out of range; it names index and value.
        OverflowError: a table is too large to index.
    """
    checked = check_chain(emissions, lengths, transitions, start, final)
    beta = check_beta(beta)
    model = (transitions, start, final)
    if math.isinf(beta):
        # The labels of an item without any path are all 0, and so impossible too.
        _, labels = _search(emissions, checked, model)
        return torch.ops.seqebm.chain_path_energies(emissions, checked, labels, *model)
    with_posterior = needs_gradient(emissions, *model)
    return torch.ops.seqebm.chain_free_energies(emissions, checked, *model, beta, with_posterior)[0]


def _search(
    emissions: Tensor, lengths: Tensor, model: tuple[Tensor, Tensor, Tensor],
    targets: Tensor | None = None, cost: float = 0.0,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Energies (B,) and labels (B, T) of best labellings, without gradient."""
    avoid = lengths.new_empty(0, emissions.shape[1]) if targets is None else targets
    inputs = (t.detach() for t in (emissions, lengths, *model, avoid))
    return torch.ops.seqebm.chain_best_paths(*inputs, cost)


def path_energy(
    emissions: Tensor, lengths: Tensor, labels: Tensor, transitions: Tensor, start: Tensor,
    final: Tensor,
) -> Tensor:  # fmt: skip
    """Energy of one given labelling of each item.

    Args:
        labels: (B, T) whole numbers, 0 to S - 1; those beyond a length may hold anything.
        emissions, lengths, transitions, start, final: see :func:`free_energy`.

    Returns:
        (B,) in the type of ``emissions``, differentiable; +inf, with zero gradient, where the
        labelling is impossible.

    Raises:
        ValueError, OverflowError: see :func:`free_energy`; a label is out of range.
    """
    checked = check_chain(emissions, lengths, transitions, start, final)
    labels = check_labels(labels, checked, emissions, "labels")
    return torch.ops.seqebm.chain_path_energies(
        emissions, checked, labels, transitions, start, final
    )


def best_path(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Least energy and best labelling of each item (Viterbi); no gradient flows.

    Returns:
        energies (B,) in the type of ``emissions``, and B labellings, each (T_b,) int64; (0,) where
        none is possible.

    Raises:
        ValueError, OverflowError: see :func:`free_energy`.
    """
    checked = check_chain(emissions, lengths, transitions, start, final)
    energies, labels = _search(emissions, checked, (transitions, start, final))
    return energies, _separate(energies, labels, checked)


def _separate(energies: Tensor, labels: Tensor, lengths: Tensor) -> list[Tensor]:
    feasible = torch.isfinite(energies)
    counts = (lengths * feasible.cpu()).tolist()
    return [row[:n].clone() for row, n in zip(labels.cpu(), counts, strict=True)]


def offending(
    emissions: Tensor, lengths: Tensor, labels: Tensor, transitions: Tensor, start: Tensor,
    final: Tensor, cost: float = 0.0,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """Least energy over all labellings that differ from the given one somewhere. Exact.

    With a ``cost``, it is ``min over Y != labels of E(Y) - cost * hamming(Y, labels)``: the most
    offending answer of margin rescaling (Taskar, Guestrin & Koller 2003).

    Args:
        labels: (B, T), see :func:`path_energy`.
        cost: energy per wrong label, >= 0.
        emissions, lengths, transitions, start, final: see :func:`free_energy`.

    Returns:
        energies (B,), less the cost, differentiable (the indicator of the labelling found), +inf
        where there is no other labelling; and the labellings as in :func:`best_path`.

    Raises:
        ValueError, OverflowError: see :func:`free_energy`; a label or the cost is out of
            range.
    """
    checked = check_chain(emissions, lengths, transitions, start, final)
    labels = check_labels(labels, checked, emissions, "labels")
    if not 0.0 <= cost < math.inf:
        raise ValueError(f"cost is {cost}; it must be 0 or more, and finite")
    model = (transitions, start, final)
    found, rivals = _search(emissions, checked, model, labels, cost)
    feasible = torch.isfinite(found)
    energies = torch.ops.seqebm.chain_path_energies(emissions, checked, rivals, *model)
    if cost > 0.0:
        wrong = rivals != labels.to(rivals.device)
        energies = energies - cost * wrong.sum(1).to(energies.dtype)
    energies = torch.where(feasible, energies, math.inf)
    return energies, _separate(found, rivals, checked)


def posteriors(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor,
    beta: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Free energies (B,), probabilities of labels (B, T, S), expected transitions (B, S, S).

    No gradient flows; arguments and errors as in :func:`free_energy`. Zeros beyond an item's
    length and for an item without any labelling.
    """
    checked = check_chain(emissions, lengths, transitions, start, final)
    beta = check_beta(beta)
    model = (transitions, start, final)
    if not math.isinf(beta):
        return torch.ops.seqebm.chain_free_energies(
            *(t.detach() for t in (emissions, checked, *model)), beta, True
        )
    energies, paths = best_path(emissions, checked, *model)
    labels = torch.zeros_like(emissions)
    S = emissions.shape[2]
    counts = emissions.new_zeros(len(paths), S * S)
    for b, path in enumerate(paths):
        labels[b, torch.arange(len(path)), path] = 1.0
        steps = path[:-1] * S + path[1:]
        counts[b] += torch.bincount(steps, minlength=S * S).to(counts.device)
    return energies, labels, counts.view(-1, S, S)
