"""Forced alignment: when each word, unit and state of a known transcript was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from seqebm.data import Utterance, collate
from seqebm.data.batching import Example
from seqebm.decoding.batches import in_batches, refused
from seqebm.decoding.search import Search, best_paths
from seqebm.decoding.segments import Classes, Floats, Segment, segments
from seqebm.decoding.times import feature_spans
from seqebm.errors import ConfigError, DataError, SeqebmError
from seqebm.models import Recognizer


@dataclass(frozen=True)
class Alignment:
    """The best path of an utterance through the graph of its transcript.

    Attributes:
        id, text: of the utterance.
        energy: of the path, without language model and word penalty.
        words, units, states: what it consists of, with frames; silence is a unit (``<sil>``).
        frames: feature frames of the utterance.
        frame_shift: seconds between feature frames.
        spans: ``(frames, 2)`` seconds at which each begins and ends; None: equally spaced.
    """

    id: str
    text: str
    energy: float
    words: tuple[Segment, ...]
    units: tuple[Segment, ...]
    states: tuple[Segment, ...]
    frames: int
    frame_shift: float
    spans: Floats | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        parts = {"words": self.words, "units": self.units, "states": self.states}
        return {
            "id": self.id,
            "text": self.text,
            "energy": self.energy,
            "duration": round(
                self.frames * self.frame_shift if self.spans is None else float(self.spans.max()), 6
            ),
            **{
                name: [s.as_dict(self.frame_shift, self.spans) for s in part]
                for name, part in parts.items()
            },
        }


@torch.no_grad()
def align_utterances(
    model: Recognizer, utterances: Sequence[Utterance], batch_size: int = 16
) -> Iterator[Alignment | SeqebmError]:
    """Align utterances with their transcripts, in order.

    A bad utterance gives its error in place of an alignment: unreadable, without transcript, with
    a word that the model does not know, or too short for its transcript.

    Raises :class:`ConfigError` for a model whose lattice has no ``transcripts``.
    """
    lattice = cast(Any, model.lattice)
    if not hasattr(lattice, "transcripts"):
        raise ConfigError(
            f"the model's lattice ({type(lattice).__name__}) cannot align transcripts; use a "
            "model with the lattice 'hmm'"
        )
    model.eval()
    classes = Classes.of(lattice.graphs)
    shift = model.frontend.frame_shift * model.features.subsampling

    def work(examples: list[Example]) -> list[Alignment | SeqebmError]:
        faults = [_misfit(lattice, example) for example in examples]
        good = [e for e, fault in zip(examples, faults, strict=True) if fault is None]
        answers = iter(_align(good) if good else [])
        return [next(answers) if fault is None else fault for fault in faults]

    def _align(examples: list[Example]) -> list[Alignment | SeqebmError]:
        batch = collate(examples)
        try:
            features, lengths = model.extract(batch.signal, batch.lengths)
            found = best_paths(
                lambda *x: lattice.transcripts(*x, batch.targets),
                features, lengths, batch.ids, Search(), shift,
            )  # fmt: skip
        except ValueError as error:
            return list(refused(batch.ids, error))
        answers: list[Alignment | SeqebmError] = []
        for b, result in enumerate(found):
            if isinstance(result, SeqebmError):
                answers.append(result)
                continue
            parts = segments(result.trellis.graph(b), result.path, classes)
            answers.append(
                Alignment(
                    batch.ids[b],
                    batch.targets[b],
                    result.energy,
                    *parts,
                    int(lengths[b]),
                    shift,
                    feature_spans(model, examples[b].signal),
                )
            )
        return answers

    yield from in_batches(model, utterances, batch_size, work)


def _misfit(lattice: Any, example: Example) -> SeqebmError | None:
    """Why an example's transcript cannot be aligned, whatever its signal."""
    if not example.text:
        return DataError(f"{example.id}: has no transcript to align with")
    try:
        lattice.graphs.labels(example.text)
    except DataError as error:
        return DataError(f"{example.id}: {error}")
    return None
