"""What each kind of component must look like. Plugins import these types from ``seqebm.hooks``.

Torch is imported for type checking only, so that this module stays light.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@runtime_checkable
class Reader(Protocol):
    """Reads one kind of input file.

    Attributes:
        kind: what it gives, e.g. ``"audio"``; a front-end names the kind it takes as ``reads``.
        suffixes: file endings it claims, lower case with the dot.
    """

    kind: str
    suffixes: tuple[str, ...]

    def read(
        self,
        path: Path,
        rate: int,
        start: int | None = None,
        stop: int | None = None,
        limit: float | None = None,
    ) -> np.ndarray:
        """Return float32 samples ``(N,)`` or points ``(N, channels)`` at ``rate`` per second.

        ``start`` and ``stop`` count samples at the file's own rate. ``limit`` is the longest
        duration in seconds to accept (checked before decoding). Raises
        :class:`seqebm.errors.DataError`, naming the file and the remedy, for a file that is
        missing, not of this kind, truncated, empty, too long, or holds NaN or infinite values.
        """
        ...


class FrontEnd(Protocol):
    """Signal to frames: a ``torch.nn.Module``; augments only in training mode.

    Attributes:
        reads: the kind of reader, e.g. ``"audio"``.
        rate: samples per second that it wants.
        limit: longest input in seconds that it accepts.
        output_dim: features per frame.
        frame_shift: seconds between frames.
    """

    reads: str
    rate: int
    limit: float
    output_dim: int
    frame_shift: float

    def __call__(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N)`` padded signals, ``(B,)`` int64 lengths -> ``(B, T, D)``, ``(B,)`` lengths.

        In evaluation mode the result of an item must not depend on its padding or companions.
        """
        ...

    def fit(self, batches: Any) -> None:
        """Estimate global statistics from an iterable of ``(signal, lengths)`` (may do nothing)."""
        ...


class FeatureExtractor(Protocol):
    """Frames to features: a trainable ``torch.nn.Module``.

    Attributes:
        output_dim: features per output frame.
        subsampling: input frames per output frame.
    """

    output_dim: int
    subsampling: int

    def __call__(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, D)``, ``(B,)`` -> ``(B, T', D')``, ``(B,)``; padding must not leak."""
        ...


class Terms(NamedTuple):  # a tuple, so that torch and Fabric can look into it
    """The three numbers a loss sees, each ``(B,)`` and differentiable, and β.

    Attributes:
        correct: free energy of the right answer, F_β(clamped).
        contrastive: free energy of all answers, F_β(all).
        offending: free energy of the most offending incorrect answer, F_β(Ȳ): the one that has the
            path of least energy.
        beta: inverse temperature of ``contrastive``; ``math.inf`` is legal.
        risk: expected cost of an answer, Σ P(Y) cost(Y, Yi); None where it was not requested.
    """

    correct: Tensor
    contrastive: Tensor
    offending: Tensor
    beta: float
    risk: Tensor | None = None


class Request(NamedTuple):
    """Which numbers of :class:`Terms` are wanted; a lattice may give NaN for the others.

    Attributes:
        contrastive, offending: whether each is wanted (``correct`` always is).
        cost: subtract from the energy of an answer Y its cost to the right one, so that
            ``offending`` is ``min over Y != Yi of E(Y) - scale * cost(Y, Yi)`` (margin rescaling,
            Taskar et al. 2003), and ``contrastive`` the free energy of all these (softmax-margin,
            Gimpel & Smith 2010): ``"hamming"`` counts wrong labels position by position (``hmm``:
            frame by frame), ``"edit"`` is the edit distance, counted up to ``cap``. None: no cost.
        scale: energy per unit of cost; 0 leaves the energies as they are.
        cap: largest edit distance that is told apart.
        risk: whether the expected cost is wanted (``scale`` plays no part in it).
    """

    contrastive: bool = True
    offending: bool = True
    cost: str | None = None
    scale: float = 1.0
    cap: int = 2
    risk: bool = False


class Loss(Protocol):
    """A loss functional over :class:`Terms`.

    Attributes:
        margin: the energy gap I - C that it asks for (0: none; None: not a fixed number).
        request: which numbers it reads; absent means all of them.
    """

    margin: float | None

    def __call__(self, terms: Terms) -> Tensor:
        """Return the loss of each item, ``(B,)``."""
        ...


@dataclass(frozen=True)
class Answers:
    """What inference over a lattice gives for a batch.

    Attributes:
        energies: ``(B, W)`` free energy of each answer; ``+inf`` marks an infeasible one.
        labels: the W answers.
    """

    energies: Tensor
    labels: tuple[str, ...]


class Lattice(Protocol):
    """A graph or set of templates meeting features: a trainable ``torch.nn.Module``."""

    def answers(self, features: Tensor, lengths: Tensor, beta: float) -> Answers:
        """Free energy of every answer of a finite answer set."""
        ...

    def terms(
        self,
        features: Tensor,
        lengths: Tensor,
        targets: list[str],
        beta: float,
        request: Request = Request(),
    ) -> Terms:
        """The three numbers of every item; ``targets`` are label strings."""
        ...

    def minimum_frames(self, target: str) -> int:
        """Fewest feature frames with which ``target`` has a path."""
        ...

    def initialise(self, features: list[Tensor], targets: list[str]) -> None:
        """Set parameters from data: ``features`` are ``(T_i, D)``; may do nothing."""
        ...
