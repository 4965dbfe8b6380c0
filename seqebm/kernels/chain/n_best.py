"""The best labellings of one item."""

from __future__ import annotations

import heapq
import math

import numpy as np
import torch
from torch import Tensor

from seqebm.kernels.chain.checks import check_chain


def n_best(
    emissions: Tensor, transitions: Tensor, start: Tensor, final: Tensor, n: int
) -> list[tuple[float, Tensor]]:
    """The ``n`` labellings of least energy of one item, best first; fewer if there are no more.

    A search from the last frame backwards, led by the exact energies of the best beginnings, so
    that each labelling found is the next best (Soong & Huang 1991). No gradient flows.

    Args:
        emissions: (T, S); transitions, start, final: see :func:`free_energy`.
        n: how many, >= 1.

    Returns:
        (energy, labels (T,) int64) of each.

    Raises:
        ValueError, OverflowError: see :func:`free_energy`.
    """
    if n < 1:
        raise ValueError(f"n is {n}; it must be at least 1")
    check_chain(emissions[None], torch.tensor([len(emissions)]), transitions, start, final)
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
