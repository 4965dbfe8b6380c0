"""Step patterns and windows of elastic matching: which moves a warping path may make, and where.

A warping path starts in cell (0, 0), ends in cell (T - 1, L - 1) and visits cells (i, j) with
``i`` an input frame and ``j`` a template frame. This module is plain Python: it imports neither
torch nor numba, so that configuration and error checking stay cheap. The same functions are
compiled by the kernels, hence there is one definition of every rule.

Source: Sakoe & Chiba 1978, "Dynamic programming algorithm optimization for spoken word
recognition"; Itakura 1975, "Minimum prediction residual principle applied to speech recognition";
the names follow the R package dtw (Giorgino 2009).
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

NORMALISATIONS = ("none", "input", "template", "both")

#: Energy added by ``bakis`` when it stays in a template frame or skips one. Small against the
#: local energies of unit-variance features, large enough to prefer the plain "next" on a tie.
BAKIS_STAY_PENALTY = 0.1
BAKIS_SKIP_PENALTY = 0.1

#: Rounding slack of the window limits, in template frames. A cell that lies on a limit is inside.
WINDOW_SLACK = 1e-9

Step = tuple[int, int, float, float]


@dataclass(frozen=True)
class StepPattern:
    """The moves that a warping path may make.

    Cell (i, j) reduces, over the steps ``(di, dj, weight, penalty)``, the energies
    ``E(i - di, j - dj) + weight * c(i, j) + penalty``. Steps listed first win ties.

    Attributes:
        name: what messages call it.
        steps: tuple of (di, dj, weight, penalty): input frames and template frames advanced,
            factor on the local energy (> 0), energy added (finite).
        normalisation: the length that divides the energy, "none", "input" (T), "template" (L) or
            "both" (T + L). Kernels never divide; callers do, by :meth:`normaliser`.

    Raises:
        ValueError: a step that does not move, a weight that is not positive, and the like.
    """

    name: str
    steps: tuple[Step, ...]
    normalisation: str = "none"

    def __post_init__(self) -> None:
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(
                f"step pattern {self.name!r}: normalisation {self.normalisation!r} is not one of "
                f"{', '.join(NORMALISATIONS)}"
            )
        if not self.steps:
            raise ValueError(f"step pattern {self.name!r} has no steps")
        for number, step in enumerate(self.steps):
            where = f"step pattern {self.name!r}, step {number} {tuple(step)}"
            if len(step) != 4:
                raise ValueError(f"{where}: a step is (di, dj, weight, penalty)")
            di, dj, weight, penalty = step
            if di != int(di) or dj != int(dj) or di < 0 or dj < 0:
                raise ValueError(f"{where}: di and dj must be whole numbers of 0 or more")
            if di == 0 and dj == 0:
                raise ValueError(f"{where}: a step must advance the input or the template")
            if not 0 < weight < math.inf:
                raise ValueError(f"{where}: the weight must be positive and finite")
            if not math.isfinite(penalty):
                raise ValueError(f"{where}: the penalty must be finite")

    @property
    def reach(self) -> tuple[int, int]:
        """Largest (di, dj) of any step, in frames."""
        return max(int(s[0]) for s in self.steps), max(int(s[1]) for s in self.steps)

    def normaliser(self, t_lengths: Any, l_lengths: Any) -> Any:
        """The length that divides a path's energy; ints give an int, tensors a tensor.

        Args:
            t_lengths: input lengths in frames, int or tensor.
            l_lengths: template lengths in frames, of a shape that broadcasts against it.
        """
        if self.normalisation == "both":
            return t_lengths + l_lengths
        # `0 *` keeps the broadcast shape, whatever the types.
        if self.normalisation == "input":
            return t_lengths + 0 * l_lengths
        if self.normalisation == "template":
            return 0 * t_lengths + l_lengths
        return 0 * t_lengths + 0 * l_lengths + 1


PATTERNS: dict[str, StepPattern] = {
    pattern.name: pattern
    for pattern in (
        StepPattern("symmetric1", ((1, 1, 1.0, 0.0), (1, 0, 1.0, 0.0), (0, 1, 1.0, 0.0)), "none"),
        StepPattern("symmetric2", ((1, 1, 2.0, 0.0), (1, 0, 1.0, 0.0), (0, 1, 1.0, 0.0)), "both"),
        StepPattern("asymmetric", ((1, 1, 1.0, 0.0), (1, 0, 1.0, 0.0), (1, 2, 1.0, 0.0)), "input"),
        StepPattern(
            "bakis",
            (
                (1, 1, 1.0, 0.0),
                (1, 0, 1.0, BAKIS_STAY_PENALTY),
                (1, 2, 1.0, BAKIS_SKIP_PENALTY),
            ),
            "input",
        ),
        StepPattern("linear", ((1, 1, 1.0, 0.0), (1, 0, 1.0, 0.0)), "input"),
    )
}


def get_pattern(name: str | StepPattern) -> StepPattern:
    """The step pattern of that name (a :class:`StepPattern` is handed back as it is).

    Raises:
        ValueError: no such pattern; the message lists the names and the nearest one.
    """
    if isinstance(name, StepPattern):
        return name
    if name in PATTERNS:
        return PATTERNS[name]
    near = difflib.get_close_matches(str(name), PATTERNS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"no step pattern {name!r}; known: {', '.join(PATTERNS)}.{hint}")


def row_limits(i: int, T: int, L: int, band: float, slope: float) -> tuple[int, int]:
    """First and last template frame that input frame ``i`` may meet; empty when first > last.

    Compiled by the kernels too, so plain arithmetic only, without ``min`` and ``max``, which Numba
    does not compile for devices.

    Band (Sakoe-Chiba): ``|j - i (L - 1) / (T - 1)| <= band``, in template frames.
    Slope (Itakura): with ``u = i / (T - 1)`` and ``v = j / (L - 1)``, both in [0, 1], the
    parallelogram ``u / slope <= v <= slope u`` and ``(1 - u) / slope <= 1 - v <= slope (1 - u)``,
    whose limits are rounded outwards to whole template frames, so that no input frame is left
    without one: the template is never read more than ``slope`` times faster or slower than on
    average. When T = 1 the line is vertical, so every template frame is inside; when L = 1
    frame 0 is.

    Args:
        i: input frame, 0 <= i < T.
        T, L: lengths of the input and of the template, >= 1.
        band: half-width in template frames, >= 0; inf for none.
        slope: maximum slope, >= 1; inf for none.
    """
    lo = 0
    hi = L - 1
    if T > 1 and L > 1:
        # inf is a legal value of both, but inf * 0 is not, hence the branches.
        if band < math.inf:
            centre = i * (L - 1) / (T - 1)
            lower, upper = centre - band, centre + band
            lower = lower if lower > 0.0 else 0.0
            upper = upper if upper < L - 1.0 else L - 1.0
            lo = math.ceil(lower - WINDOW_SLACK)
            hi = math.floor(upper + WINDOW_SLACK)
        if slope < math.inf:
            u = i / (T - 1)
            near, far = u / slope, 1.0 - slope * (1.0 - u)
            lower = near if near > far else far
            lower = (lower if lower > 0.0 else 0.0) * (L - 1)
            near, far = u * slope, 1.0 - (1.0 - u) / slope
            upper = near if near < far else far
            upper = (upper if upper < 1.0 else 1.0) * (L - 1)
            least, most = math.floor(lower + WINDOW_SLACK), math.ceil(upper - WINDOW_SLACK)
            lo = least if least > lo else lo
            hi = most if most < hi else hi
    return lo, hi


@dataclass(frozen=True)
class Window:
    """Where a warping path may go: a Sakoe-Chiba band, an Itakura parallelogram, both or none.

    Attributes:
        band: half-width of the band in template frames (>= 0), or None. Below 0.5 it can leave an
            input frame with no template frame at all, and then no path exists.
        slope: maximum slope of the parallelogram relative to the mean slope (>= 1), or None.
    """

    band: float | None = None
    slope: float | None = None

    def __post_init__(self) -> None:
        if self.band is not None and not self.band >= 0:
            raise ValueError(f"window band is {self.band}; it must be 0 or more template frames")
        if self.slope is not None and not self.slope >= 1:
            raise ValueError(f"window slope is {self.slope}; it must be 1 or more")

    @property
    def limits(self) -> tuple[float, float]:
        """(band, slope) as the kernels take them: inf where there is no constraint."""
        return (
            math.inf if self.band is None else float(self.band),
            math.inf if self.slope is None else float(self.slope),
        )

    def lo_hi(self, i: int, T: int, L: int) -> tuple[int, int]:
        """First and last template frame of input frame ``i``: see :func:`row_limits`."""
        return row_limits(i, T, L, *self.limits)


def is_feasible(T: int, L: int, pattern: str | StepPattern, window: Window | None = None) -> bool:
    """Whether any path joins (0, 0) to (T - 1, L - 1).

    Args:
        T, L: lengths in frames; a length below 1 is never feasible.
        pattern: step pattern or its name.
        window: None for no window.
    """
    return _is_feasible(int(T), int(L), get_pattern(pattern), window or Window())


@lru_cache(maxsize=65536)
def _is_feasible(T: int, L: int, pattern: StepPattern, window: Window) -> bool:
    if T < 1 or L < 1:
        return False
    # Row i of the reachable set is one int: bit j stands for cell (i, j).
    reachable: list[int] = []
    for i in range(T):
        lo, hi = window.lo_hi(i, T, L)
        allowed = ((1 << (hi + 1)) - 1) >> lo << lo if hi >= lo else 0
        row = 1 & allowed if i == 0 else 0
        for di, dj, _, _ in pattern.steps:
            if 0 < di <= i:
                row |= reachable[i - di] << dj
        row &= allowed
        across = [dj for di, dj, _, _ in pattern.steps if di == 0]
        while across:
            grown = row
            for dj in across:
                grown |= grown << dj & allowed
            if grown == row:
                break
            row = grown
        reachable.append(row)
    return bool(reachable[T - 1] >> (L - 1) & 1)


def minimum_frames(L: int, pattern: str | StepPattern, window: Window | None = None) -> int:
    """Fewest input frames that can be warped onto a template of ``L`` frames.

    Args:
        L: template length in frames, >= 1.
        pattern: step pattern or its name.
        window: None for no window.

    Raises:
        ValueError: no input of up to ``4 * (L + 1)`` times the longest step has a path.
    """
    chosen = get_pattern(pattern)
    if L < 1:
        raise ValueError(f"a template has at least 1 frame, not {L}")
    limit = 4 * (L + 1) * max(1, chosen.reach[0])
    for T in range(1, limit + 1):
        if is_feasible(T, L, chosen, window):
            return T
    raise ValueError(
        f"step pattern {chosen.name!r} with {window or Window()} has no path onto a template of "
        f"{L} frames, for any input of up to {limit} frames; widen the window"
    )
