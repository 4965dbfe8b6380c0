"""CPU back end of the dense chain: from NumPy arrays to the compiled kernels.

Nothing here checks values; :mod:`seqebm.kernels.chain.ops` does. Emissions are C-contiguous
(B, T, S), float32 or float64, in energies; transitions (S, S) and start, final (S,) of the same
type.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from seqebm.kernels.chain.cpu_blocks import QUAD, padded, padded_vector, panels_of
from seqebm.kernels.chain.cpu_log import log_worker
from seqebm.kernels.chain.cpu_scaled import scaled_worker
from seqebm.kernels.chain.cpu_viterbi import viterbi_worker
from seqebm.kernels.machine.jit import WIDTH
from seqebm.kernels.machine.threads import launch, thread_count

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]


class Model(NamedTuple):
    """What all items share: transitions (S, S) [from, to], start (S,), final (S,)."""

    transitions: Floats
    start: Floats
    final: Floats


class _Range(NamedTuple):
    """What the scaled domain may lose, for one element type.

    Attributes:
        floor: numbers below, in a vector with maximum 1, become 0.
        safe: least ``c_t D_t`` (see chain_scaled) at which that is harmless: the lost part of the
            probability is below ``S**2 T floor / safe``.
    """

    floor: float
    safe: float


_RANGES = {"float32": _Range(2.0**-120, 1e-16), "float64": _Range(2.0**-1000, 1e-150)}


def _squads(lengths: Ints, states: int) -> NDArray[np.int64]:
    """Items (squads, slots), longest first, -1 for none: see ``cpu_scaled``."""
    count = len(lengths)
    # A large matrix should be read by many items at once; small ones share the work more evenly.
    most = 8 if states <= 256 else 16
    each = -(-count // thread_count())
    slots = min(most, -(-each // QUAD) * QUAD)
    order = np.full(-(-count // slots) * slots, -1)
    order[:count] = np.argsort(-lengths, kind="stable")
    return order.reshape(-1, slots)


def _least(values: Floats) -> float:
    """The least energy; 0 if all are impossible."""
    least = float(values.min())
    return 0.0 if math.isinf(least) else least


def _spread(model: Model, beta: float) -> float:
    """beta times the largest difference of two energies that lead to the same place.

    It bounds how much more probable the rest of a labelling is after one label than after another.
    """
    columns = np.concatenate((model.transitions, model.final[:, None]), 1)
    columns = columns[:, np.isfinite(columns.min(0))]  # a column without any arc has no difference
    return float(beta * (columns.max(0) - columns.min(0)).max(initial=0.0))


class Result(NamedTuple):
    """Energies (B,) float64; posteriors (B, T, S) and transition counts (B, S, S), or None."""

    energies: NDArray[np.float64]
    posteriors: Floats | None
    counts: Floats | None


def free_energies(
    emissions: Floats, lengths: Ints, model: Model, beta: float, gradient: bool,
    force_log: bool = False,
) -> Result:  # fmt: skip
    """Free energy of each item, and its gradient if wanted; ``beta`` is finite.

    ``force_log`` computes every item in the log domain, which is slow and always right.
    """
    B, T, S = emissions.shape
    dtype = emissions.dtype
    energies = np.empty(B, np.float64)
    gamma = np.empty((B, T, S), dtype) if gradient else None
    counts = None
    if B == 0:
        return Result(energies, gamma, np.empty((0, S, S), dtype) if gradient else None)
    outside = np.ones(B, np.bool_)
    if not force_log and beta < float(np.finfo(dtype).max):
        outside, counts = _scaled(emissions, lengths, model, beta, energies, gamma)
    elif gradient:
        counts = np.empty((B, S, S), dtype)
    items = np.flatnonzero(outside)
    if items.size:
        _log(emissions, lengths, model, beta, energies, gamma, counts, items)
    return Result(energies, gamma, counts)


def _scaled(
    emissions: Floats, lengths: Ints, model: Model, beta: float, energies: Floats,
    gamma: Floats | None,
) -> tuple[NDArray[np.bool_], Floats | None]:  # fmt: skip
    """Fill ``energies`` and ``gamma``; which items (B,) are out of range, and the counts."""
    B, T, S = emissions.shape
    dtype = emissions.dtype
    limits = _RANGES[dtype.name]
    least, least_final = _least(model.transitions), _least(model.final)
    weights = np.exp(-beta * (model.transitions - least)).astype(dtype)
    last = np.exp(-beta * (model.final - least_final)).astype(dtype)
    spread = _spread(model, beta)
    # Without a gradient the forward pass is enough, if no tail can make up for what it loses.
    bounded = spread <= -0.5 * math.log(limits.safe)
    gradient = gamma is not None
    keep = gradient or not bounded
    wide = padded(S)
    alphas = np.empty((B, T if keep else 2, wide), dtype)
    sides = np.empty((B, T if keep else 1, wide), dtype)
    worst = np.empty(B, np.float64)
    squads = _squads(lengths, S)
    launch(
        scaled_worker, len(squads), squads, emissions.reshape(-1), lengths, T, S, wide,
        panels_of(weights, 0.0), panels_of(np.ascontiguousarray(weights.T), 0.0),
        padded_vector(model.start, math.inf), padded_vector(last, 0.0),
        np.array([least, least_final]), beta, limits.floor, keep, gradient, alphas.reshape(-1),
        sides.reshape(-1), (emissions if gamma is None else gamma).reshape(-1), energies, worst,
        WIDTH,
    )  # fmt: skip
    safe = limits.safe if keep else limits.safe * math.exp(spread)
    outside = ~(worst >= safe)
    if not gradient:
        return outside, None
    before, after = (torch.from_numpy(a) for a in (alphas[:, :-1], sides[:, 1:]))
    # One matrix product an item over all its frames.
    counts = torch.bmm(before.transpose(1, 2), after)[:, :S, :S] * torch.from_numpy(weights)
    return outside, counts.numpy()


def _log(
    emissions: Floats, lengths: Ints, model: Model, beta: float, energies: Floats,
    gamma: Floats | None, counts: Floats | None, items: Ints,
) -> None:  # fmt: skip
    """Fill in the results of ``items``."""
    _, T, S = emissions.shape
    wide = padded(S)
    rows = np.full((S, wide), math.inf)
    rows[:, :S] = model.transitions
    start, final = (padded_vector(v.astype(np.float64), math.inf) for v in model[1:])
    launch(
        log_worker, items.size, items, emissions.reshape(-1), lengths, T, S, wide,
        rows.reshape(-1), start, final, beta, gamma is not None,
        (emissions if gamma is None else gamma).reshape(-1),
        (emissions if counts is None else counts).reshape(-1), energies, WIDTH,
    )  # fmt: skip


def best_paths(
    emissions: Floats, lengths: Ints, model: Model, targets: Ints | None = None, cost: float = 0.0
) -> tuple[NDArray[np.float64], Ints]:
    """Energies (B,) and labels (B, T) of the best labellings.

    Args:
        targets: None, or (B, T) labellings that are not allowed; ``cost`` is then subtracted for
            every label that differs from the target's.

    Returns:
        energies, inf where there is no path; labels, 0 beyond an item's length.
    """
    B, T, S = emissions.shape
    energies = np.empty(B, np.float64)
    paths = np.zeros((B, T), np.int64)
    if B == 0:
        return energies, paths
    wide = padded(S)
    rows = np.full((S, wide), math.inf, emissions.dtype)
    rows[:, :S] = model.transitions
    columns = np.full((S, wide), math.inf, emissions.dtype)
    columns[:, :S] = model.transitions.T
    squads = _squads(lengths, S)
    launch(
        viterbi_worker, len(squads), squads, emissions.reshape(-1), lengths, T, S, wide,
        panels_of(model.transitions, math.inf), rows.reshape(-1), columns.reshape(-1),
        padded_vector(model.start, math.inf), padded_vector(model.final, math.inf),
        np.empty((0, T), np.int64) if targets is None else targets, cost,
        np.empty(B * T * wide, emissions.dtype), paths, energies, WIDTH,
    )  # fmt: skip
    return energies, paths
