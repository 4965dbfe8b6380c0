"""What recognising a string of words gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from seqebm.decoding.segments import Floats, Segment
from seqebm.lattices.unrolled import UnrolledGraph


class Alternative(NamedTuple):
    """A string of words and the energy of its best path."""

    text: str
    energy: float


@dataclass(frozen=True)
class Transcription:
    """The answer to one utterance: a string of words.

    Attributes:
        id: utterance id (the file's path, for files given by hand).
        text: the words decided for, with single spaces; may be empty.
        energy: energy of its best path.
        confidence: Gibbs probability of the text, all its paths added, at the model's β (at
            β = ∞: of β = 1); None if it was not asked for.
        words: the words with their frames and, with ``confidence``, their own.
        alternatives: the distinct texts whose best paths have the lowest energies, lowest first.
        frames: feature frames of the utterance.
        frame_shift: seconds between feature frames.
        beam: the beam that the path was found with; None: exact.
        lattice: what the alternatives are taken from, if it was asked for.
        decided: how it was decided for: "path", "sentence" or "words".
        spans: ``(frames, 2)`` seconds at which each frame begins and ends, if the front-end's
            frames are not equally spaced; None: they are ``frame_shift`` apart.
    """

    id: str
    text: str
    energy: float
    confidence: float | None
    words: tuple[Segment, ...]
    alternatives: tuple[Alternative, ...]
    frames: int
    frame_shift: float
    beam: float | None = None
    lattice: UnrolledGraph | None = None
    decided: str = "path"
    spans: Floats | None = None

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        if self.spans is None or not len(self.spans):
            return self.frames * self.frame_shift
        return float(self.spans.max())

    def as_dict(self) -> dict[str, Any]:
        """For JSON; without the lattice."""
        values = {
            "id": self.id,
            "text": self.text,
            "energy": self.energy,
            "confidence": self.confidence,
            "words": [word.as_dict(self.frame_shift, self.spans) for word in self.words],
            "duration": round(self.duration, 6),
            "beam": self.beam,
        }
        if self.alternatives:
            values["alternatives"] = [a._asdict() for a in self.alternatives]
        return values
