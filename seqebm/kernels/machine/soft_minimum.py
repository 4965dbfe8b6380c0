"""The soft minimum in plain Python: what the reference of every family is written with."""

from __future__ import annotations

import math


def soft_minimum(energies: list[float], beta: float) -> float:
    """``-1/beta log sum exp(-beta E)``; the minimum at beta = inf; inf of an empty list."""
    least = min(energies, default=math.inf)
    if math.isinf(least) or math.isinf(beta):
        return least
    return least - math.log(sum(math.exp(-beta * (e - least)) for e in energies)) / beta
