"""The one operation of inference: the free energy, and what β is where it may not be infinite."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def free_energy(energies: Tensor, beta: float, dim: int = -1) -> Tensor:
    """``-1/β log Σ exp(-β E)`` along ``dim``; the minimum at β = ∞. ``+inf`` is impossible.

    A slice in which everything is impossible gives ``+inf``, with zero gradient.
    """
    if math.isinf(beta):
        return energies.amin(dim)
    # logsumexp's backward gives NaN on a slice of only -inf: replace, compute, put inf back.
    dead = torch.isinf(energies).all(dim, keepdim=True)
    safe = torch.where(dead, torch.zeros_like(energies), energies)
    result = -torch.logsumexp(-beta * safe, dim) / beta
    return result.masked_fill(dead.squeeze(dim), math.inf)


def finite(beta: float) -> float:
    """β for probabilities: at ∞, where the best answer has all of it, that of β = 1."""
    return beta if math.isfinite(beta) else 1.0
