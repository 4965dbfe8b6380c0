"""The expected cost of an answer, as the slope of a free energy."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

_STEP = 1e-5  # of cost times β: an error of 1e-10 of the cost's third cumulant, and of rounding


def expected_cost(costly: Callable[[float], Tensor], beta: float) -> Tensor:
    """``(B,)`` Σ P(Y, Z) cost(Y, Z), differentiable; +inf where there is no path.

    With F(s) the free energy of the energies E - s cost, the expected cost is -dF/ds at s = 0 (a
    log-partition function generates moments). A central difference gives it, and autograd through
    its two free energies the gradient, β (E[cost] E[a] - E[cost a]) for the count of an arc a. So
    every lattice that can add a cost to its energies has its risk, without an expectation
    semiring (Li & Eisner 2009), which computes the same.

    Args:
        costly: s -> F(s), ``(B,)``, in double precision (differences of float32 say nothing).
        beta: inverse temperature. At inf the cost is that of the best path, with zero gradient
            (where several tie, the mean of the least and the largest).
    """
    step = _STEP / max(1.0, beta) if math.isfinite(beta) else _STEP
    return (costly(-step) - costly(step)).nan_to_num(nan=math.inf) / (2 * step)
