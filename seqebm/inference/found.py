"""What a search gives for each item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from seqebm.inference.unrolled import UnrolledGraph

Floats = NDArray[np.floating[Any]]


class Scored(NamedTuple):
    """An answer, in the form that the lattice's ``text`` takes, and its energy."""

    value: Any
    energy: float


class Segment(NamedTuple):
    """A stretch of frames that a word, a unit or a state was read from.

    Attributes:
        label: its name.
        first: first frame, from 0.
        stop: one past the last frame.
        confidence: probability of the label there, if it is known.
    """

    label: str
    first: int
    stop: int
    confidence: float | None = None

    def seconds(self, shift: float, spans: Floats | None = None) -> tuple[float, float]:
        """When it begins and ends, in seconds.

        Args:
            shift: seconds between frames.
            spans: ``(T, 2)`` seconds at which each frame begins and ends, where frames are not
                equally spaced; None: they are.
        """
        if spans is None or self.first >= self.stop:
            return self.first * shift, self.stop * shift
        own = spans[self.first : self.stop]
        return float(own[:, 0].min()), float(own[:, 1].max())

    def as_dict(self, shift: float, spans: Floats | None = None) -> dict[str, Any]:
        """For JSON; arguments as of :meth:`seconds`."""
        start, end = self.seconds(shift, spans)
        values = {
            "label": self.label,
            "start": round(start, 6),
            "end": round(end, 6),
            "frames": [self.first, self.stop],
        }
        return values if self.confidence is None else values | {"confidence": self.confidence}


class Segments(NamedTuple):
    """Words, units (silence is one, a blank is none) and states along a path, by time."""

    words: tuple[Segment, ...] = ()
    units: tuple[Segment, ...] = ()
    states: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Found:
    """The answer to one item.

    Attributes:
        value: the answer, in the form that the lattice's ``text`` takes.
        energy: of the answer (of its best Z, where it has many).
        confidence: Gibbs probability of the answer, all its Z added; None: not asked for.
        words: the words with their frames; empty where an answer has none.
        alternatives: the answers of least energy, least first, the answer included.
        beam: the beam that it was found with; None: exact.
        lattice: what the alternatives are taken from, if it was asked for.
        decided: how the answer was decided for: "path", "sentence" or "words".
    """

    value: Any
    energy: float
    confidence: float | None = None
    words: tuple[Segment, ...] = ()
    alternatives: tuple[Scored, ...] = ()
    beam: float | None = None
    lattice: UnrolledGraph | None = None
    decided: str = "path"


@dataclass(frozen=True)
class Aligned:
    """Where the parts of a known answer are: the best path through it.

    Attributes:
        energy: of the path.
        segments: words, units and states, with their frames.
        emissions: ``(T, C)`` energies of the classes that the path chooses from, for pictures; None
            where there are none.
        classes: names of the C classes.
    """

    energy: float
    segments: Segments
    emissions: Any = None
    classes: tuple[str, ...] = ()
