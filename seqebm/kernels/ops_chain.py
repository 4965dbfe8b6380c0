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

import heapq
import math

import numpy as np
import torch
from torch import Tensor

from seqebm.kernels import chain_operators  # noqa: F401  (registers the operators)
from seqebm.kernels.checks import (
    check_beta,
    check_floats,
    check_lengths,
    check_size,
    needs_gradient,
    proper,
    traceable,
    whole_numbers,
)
from seqebm.lengths import valid_frames


def _refuse(name: str, values: Tensor, wrong: Tensor) -> None:
    place = tuple(int(n) for n in wrong.nonzero()[0])
    raise ValueError(
        f"{name}[{', '.join(map(str, place))}] is {float(values[place])}; an energy may be "
        "negative or +inf (impossible), but neither NaN nor -inf"
    )


@traceable(
    "check_chain(Tensor emissions, Tensor lengths, Tensor transitions, Tensor start, Tensor final)"
    " -> Tensor",
    lambda emissions, *_: whole_numbers(len(emissions)),
)
def _check(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor
) -> Tensor:
    """Checked lengths. Raises what the public functions say."""
    check_floats("emissions", emissions, 3)
    B, T, S = emissions.shape
    if S < 1:
        raise ValueError("emissions have no labels: the last dimension is 0")
    check_size(T, S)
    check_size(S, S)
    for name, tensor, shape in (
        ("transitions", transitions, (S, S)), ("start", start, (S,)), ("final", final, (S,)),
    ):  # fmt: skip
        check_floats(name, tensor, len(shape))
        if tuple(tensor.shape) != shape or tensor.dtype != emissions.dtype:
            raise ValueError(
                f"{name} {tuple(tensor.shape)} {tensor.dtype} does not fit emissions "
                f"{tuple(emissions.shape)} {emissions.dtype}: expected {shape} of the same type"
            )
        values = tensor.detach()
        if not proper(values):
            _refuse(name, values, torch.isnan(values) | (values == -math.inf))
    checked = check_lengths(lengths, B, T, "lengths")
    values = emissions.detach()
    # One pass over everything is cheap; only when it finds something is padding told from frames.
    if not proper(values):
        wrong = torch.isnan(values) | (values == -math.inf)
        wrong &= valid_frames(checked.to(wrong.device), T)[:, :, None]
        if bool(wrong.any()):
            _refuse("emissions", values, wrong)
    return checked


@traceable(
    "check_labels(Tensor labels, Tensor lengths, Tensor emissions, str name) -> Tensor",
    lambda labels, lengths, emissions, name: torch.empty(
        labels.shape, dtype=torch.int64, device="cpu"
    ),
)
def _check_labels(labels: Tensor, lengths: Tensor, emissions: Tensor, name: str) -> Tensor:
    """Labels (B, T) as int64 with 0 beyond each length."""
    B, T, S = emissions.shape
    if labels.shape != (B, T) or labels.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"{name} {tuple(labels.shape)} {labels.dtype} must be whole numbers {(B, T)}, a label "
            "for each frame"
        )
    valid = torch.arange(T) < lengths[:, None]
    labels = labels.detach().to("cpu", torch.int64).masked_fill(~valid, 0)
    wrong = (labels < 0) | (labels >= S)
    if bool(wrong.any()):
        b, t = (int(n) for n in wrong.nonzero()[0])
        raise ValueError(f"{name}[{b}, {t}] is {int(labels[b, t])}; it must be 0 to {S - 1}")
    return labels.contiguous()


def chain_free_energy(
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
    checked = _check(emissions, lengths, transitions, start, final)
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


def chain_path_energy(
    emissions: Tensor, lengths: Tensor, labels: Tensor, transitions: Tensor, start: Tensor,
    final: Tensor,
) -> Tensor:  # fmt: skip
    """Energy of one given labelling of each item.

    Args:
        labels: (B, T) whole numbers, 0 to S - 1; those beyond a length may hold anything.
        emissions, lengths, transitions, start, final: see :func:`chain_free_energy`.

    Returns:
        (B,) in the type of ``emissions``, differentiable; +inf, with zero gradient, where the
        labelling is impossible.

    Raises:
        ValueError, OverflowError: see :func:`chain_free_energy`; a label is out of range.
    """
    checked = _check(emissions, lengths, transitions, start, final)
    labels = _check_labels(labels, checked, emissions, "labels")
    return torch.ops.seqebm.chain_path_energies(
        emissions, checked, labels, transitions, start, final
    )


def chain_best_path(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Least energy and best labelling of each item (Viterbi); no gradient flows.

    Returns:
        energies (B,) in the type of ``emissions``, and B labellings, each (T_b,) int64; (0,) where
        none is possible.

    Raises:
        ValueError, OverflowError: see :func:`chain_free_energy`.
    """
    checked = _check(emissions, lengths, transitions, start, final)
    energies, labels = _search(emissions, checked, (transitions, start, final))
    return energies, _separate(energies, labels, checked)


def _separate(energies: Tensor, labels: Tensor, lengths: Tensor) -> list[Tensor]:
    feasible = torch.isfinite(energies)
    counts = (lengths * feasible.cpu()).tolist()
    return [row[:n].clone() for row, n in zip(labels.cpu(), counts, strict=True)]


def chain_offending(
    emissions: Tensor, lengths: Tensor, labels: Tensor, transitions: Tensor, start: Tensor,
    final: Tensor, cost: float = 0.0,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """Least energy over all labellings that differ from the given one somewhere. Exact.

    With a ``cost``, it is ``min over Y != labels of E(Y) - cost * hamming(Y, labels)``: the most
    offending answer of margin rescaling (Taskar, Guestrin & Koller 2003).

    Args:
        labels: (B, T), see :func:`chain_path_energy`.
        cost: energy per wrong label, >= 0.
        emissions, lengths, transitions, start, final: see :func:`chain_free_energy`.

    Returns:
        energies (B,), less the cost, differentiable (the indicator of the labelling found), +inf
        where there is no other labelling; and the labellings as in :func:`chain_best_path`.

    Raises:
        ValueError, OverflowError: see :func:`chain_free_energy`; a label or the cost is out of
            range.
    """
    checked = _check(emissions, lengths, transitions, start, final)
    labels = _check_labels(labels, checked, emissions, "labels")
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


def chain_posteriors(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor,
    beta: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Free energies (B,), probabilities of labels (B, T, S), expected transitions (B, S, S).

    No gradient flows; arguments and errors as in :func:`chain_free_energy`. Zeros beyond an item's
    length and for an item without any labelling.
    """
    checked = _check(emissions, lengths, transitions, start, final)
    beta = check_beta(beta)
    model = (transitions, start, final)
    if not math.isinf(beta):
        return torch.ops.seqebm.chain_free_energies(
            *(t.detach() for t in (emissions, checked, *model)), beta, True
        )
    energies, paths = chain_best_path(emissions, checked, *model)
    labels = torch.zeros_like(emissions)
    S = emissions.shape[2]
    counts = emissions.new_zeros(len(paths), S * S)
    for b, path in enumerate(paths):
        labels[b, torch.arange(len(path)), path] = 1.0
        steps = path[:-1] * S + path[1:]
        counts[b] += torch.bincount(steps, minlength=S * S).to(counts.device)
    return energies, labels, counts.view(-1, S, S)


def chain_n_best(
    emissions: Tensor, transitions: Tensor, start: Tensor, final: Tensor, n: int
) -> list[tuple[float, Tensor]]:
    """The ``n`` labellings of least energy of one item, best first; fewer if there are no more.

    A search from the last frame backwards, led by the exact energies of the best beginnings, so
    that each labelling found is the next best (Soong & Huang 1991). No gradient flows.

    Args:
        emissions: (T, S); transitions, start, final: see :func:`chain_free_energy`.
        n: how many, >= 1.

    Returns:
        (energy, labels (T,) int64) of each.

    Raises:
        ValueError, OverflowError: see :func:`chain_free_energy`.
    """
    if n < 1:
        raise ValueError(f"n is {n}; it must be at least 1")
    _check(emissions[None], torch.tensor([len(emissions)]), transitions, start, final)
    e, a, first, last = (
        t.detach().double().cpu().numpy() for t in (emissions, transitions, start, final)
    )
    heads = np.empty(e.shape)  # energy of the best beginning that ends in a label
    heads[0] = first + e[0]
    for t in range(1, len(e)):
        heads[t] = (heads[t - 1][:, None] + a).min(0) + e[t]
    # (energy of the best completion, tie-breaker, frame, label, energy of the rest, rest)
    agenda: list[tuple[float, int, int, int, float, tuple | None]] = []
    order = 0

    def extend(t: int, totals: np.ndarray, rests: np.ndarray, rest: tuple | None) -> None:
        nonlocal order
        count = min(n, len(totals))
        for label in np.argpartition(totals, count - 1)[:count]:
            if math.isfinite(totals[label]):
                order += 1
                item = (float(totals[label]), order, t, int(label), float(rests[label]), rest)
                heapq.heappush(agenda, item)

    extend(len(e) - 1, heads[-1] + last, last, None)
    found: list[tuple[float, Tensor]] = []
    while agenda and len(found) < n:
        total, _, t, label, rest_energy, rest = heapq.heappop(agenda)
        labels = (label, rest)
        if t == 0:
            path = []
            node: tuple | None = labels
            while node is not None:
                path.append(node[0])
                node = node[1]
            found.append((total, torch.tensor(path)))
            continue
        rests = a[:, label] + (e[t, label] + rest_energy)
        extend(t - 1, heads[t - 1] + rests, rests, labels)
    return found
