"""What recognising an utterance gives: one of a list, a string of words, or an array."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqebm.inference.found import Floats, Found, Segment
from seqebm.inference.unrolled import UnrolledGraph
from seqebm.models import Recognizer


@dataclass(frozen=True)
class Recognition:
    """The answer to one utterance: one of a list.

    Attributes:
        id: utterance id (the file's path, for files given by hand).
        word: the answer of lowest energy.
        energy: its energy.
        margin: energy of the runner-up minus energy; infinite if there is none.
        runner_up: the second-best answer, None if there is none.
        confidence: Gibbs probability of the answer at the model's β (at β = ∞: of β = 1).
        energies: energy of every answer, lowest first; infeasible ones are left out.
    """

    id: str
    word: str
    energy: float
    margin: float
    runner_up: str | None
    confidence: float
    energies: dict[str, float]

    @property
    def text(self) -> str:
        """The answer, by the name that it has for strings of words, too."""
        return self.word

    def as_dict(self) -> dict[str, Any]:
        """For JSON (an infinite margin becomes None)."""
        values = asdict(self)
        if self.runner_up is None:
            values["margin"] = None
        return values


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


@dataclass(frozen=True)
class Estimate:
    """The answer to one utterance: an array (an image, a label map, a pose).

    Attributes:
        id: utterance id (the file's path, for files given by hand).
        text: the answer as text, as the lattice writes it.
        value: the answer.
        energy: its energy.
        confidence: its Gibbs probability, where answers can be summed over; else None.
    """

    id: str
    text: str
    value: NDArray[Any]
    energy: float
    confidence: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "value": np.asarray(self.value).tolist()}


Result = Recognition | Transcription | Estimate


def result_of(
    model: Recognizer, name: str, found: Found, frames: int, spans: Floats | None = None
) -> Result:
    """What is told of the answer to one utterance.

    Args:
        model: what found it.
        name: utterance id.
        found: the answer.
        frames: feature frames of the utterance.
        spans: when these were, if they are not equally spaced.
    """
    text = model.lattice.text
    others = [Alternative(text(value), energy) for value, energy in found.alternatives]
    if model.lattice.answers == "array":
        value = np.asarray(found.value)
        return Estimate(name, text(found.value), value, found.energy, found.confidence)
    if model.lattice.answers == "string":
        return Transcription(
            name, text(found.value), found.energy, found.confidence, found.words, tuple(others),
            frames, model.frame_shift, found.beam, found.lattice, found.decided, spans,
        )  # fmt: skip
    runner_up = others[1] if len(others) > 1 else None
    return Recognition(
        name,
        text(found.value),
        found.energy,
        runner_up.energy - found.energy if runner_up else float("inf"),
        runner_up.text if runner_up else None,
        1.0 if found.confidence is None else found.confidence,
        dict(others),
    )
