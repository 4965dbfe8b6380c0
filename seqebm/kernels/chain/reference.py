"""The linear chain in float64 NumPy: slow and obvious. It is the specification.

A labelling y of T frames over S labels has the energy

    start[y_0] + sum over t of emissions[t, y_t] + sum over t > 0 of transitions[y_t-1, y_t]
    + final[y_T-1]

(Lafferty, McCallum & Pereira 2001, with energies for minus the log-potentials). Every function here
enumerates all ``S ** T`` labellings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Chain(NamedTuple):
    """One item. emissions (T, S), transitions (S, S) [from, to], start (S,), final (S,)."""

    emissions: Array
    transitions: Array
    start: Array
    final: Array


def path_energy(chain: Chain, labels: Sequence[int]) -> float:
    """Energy of one labelling."""
    total = float(chain.start[labels[0]] + chain.final[labels[-1]])
    for t, label in enumerate(labels):
        total += float(chain.emissions[t, label])
        if t > 0:
            total += float(chain.transitions[labels[t - 1], label])
    return total


def labellings(chain: Chain) -> list[tuple[float, tuple[int, ...]]]:
    """(energy, labels) of every labelling, in lexicographic order."""
    T, S = chain.emissions.shape
    return [(path_energy(chain, y), y) for y in itertools.product(range(S), repeat=T)]


def free_energy(chain: Chain, beta: float) -> float:
    """``-1/beta log sum exp(-beta E)`` over all labellings; the minimum at beta = inf."""
    energies = np.array([e for e, _ in labellings(chain)])
    least = float(energies.min())
    if math.isinf(least) or math.isinf(beta):
        return least
    return least - float(np.log(np.exp(-beta * (energies - least)).sum())) / beta


def posteriors(chain: Chain, beta: float) -> tuple[Array, Array]:
    """Gibbs probabilities of labels (T, S) and expected counts of transitions (S, S)."""
    labels = np.zeros_like(chain.emissions)
    pairs = np.zeros_like(chain.transitions)
    every = labellings(chain)
    free = free_energy(chain, beta)
    if math.isinf(free):
        return labels, pairs
    best = min(every)[1]
    for energy, y in every:
        weight = float(y == best) if math.isinf(beta) else math.exp(-beta * (energy - free))
        for t, label in enumerate(y):
            labels[t, label] += weight
            if t > 0:
                pairs[y[t - 1], label] += weight
    return labels, pairs


def offending(chain: Chain, target: Sequence[int], cost: float = 0.0) -> float:
    """Least ``E(Y) - cost * (positions where Y is wrong)`` over all labellings but ``target``."""
    rivals = [
        energy - cost * sum(a != b for a, b in zip(y, target, strict=True))
        for energy, y in labellings(chain)
        if y != tuple(target)
    ]
    return min(rivals, default=math.inf)
