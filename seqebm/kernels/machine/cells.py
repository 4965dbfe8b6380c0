"""The arithmetic of one cell, as plain Python functions.

CPU kernels compile these for SIMD lanes (many pairs at a time) and for single numbers; device
kernels compile them for one thread each. Because ``a if a < b else b`` cannot be taken lane by
lane, the three primitives :func:`smaller`, :func:`exponential` and :func:`logarithm` are the only
places where a target may substitute its own instructions; everything else is written with them.
"""

from __future__ import annotations

import math
from typing import Any

Number = Any  # a float, or a vector of lanes


def smaller(a: Number, b: Number) -> Number:
    """The lesser of two energies; ``a`` on a tie, so that the step listed first wins."""
    return b if b < a else a


def exponential(a: Number) -> Number:
    """``e ** a`` for ``a <= 0``; exactly 0 at -inf."""
    return math.exp(a)


def logarithm(a: Number) -> Number:
    """Natural logarithm of ``a > 0``; any finite number or -inf at 0."""
    return math.log(a) if a > 0.0 else -math.inf


def candidate(previous: Number, local: Number, weight: Number, extra: Number) -> Number:
    """Energy of reaching a cell by one step: ``previous + weight * local + extra``."""
    return previous + (weight * local + extra)


def gibbs(energy: Number, least: Number, beta: Number) -> Number:
    """Unnormalised Gibbs weight ``exp(-beta (energy - least))``; ``least`` must be finite."""
    return exponential((least - energy) * beta)


def soft_minimum(least: Number, total: Number, temperature: Number) -> Number:
    """Free energy ``least - log(total) / beta`` of candidates whose Gibbs weights sum to total.

    ``temperature`` is 1 / beta. ``least`` = inf gives inf, whatever ``total`` is.
    """
    return least - logarithm(total) * temperature
