"""Forced alignment: when each word, unit and state of a known transcript was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from seqebm.data import Utterance, collate
from seqebm.data.batching import Example
from seqebm.decoding.batches import in_batches, refused
from seqebm.decoding.times import feature_spans
from seqebm.errors import DataError, SeqebmError
from seqebm.inference.found import Floats, Segment
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

    Raises :class:`ConfigError` for a model whose answers have no parts in time.
    """
    model.eval()
    lattice, shift = model.lattice, model.frame_shift

    def work(examples: list[Example]) -> list[Alignment | SeqebmError]:
        values: list[Any] = []
        for example in examples:
            try:
                if isinstance(example.target, str | None) and not example.target:
                    raise DataError("has no transcript to align with")
                values.append(lattice.parse(example.target))
            except DataError as error:
                values.append(DataError(f"{example.id}: {error}"))
        good = [(e, v) for e, v in zip(examples, values, strict=True) if not _bad(v)]
        answers = iter(align(*map(list, zip(*good, strict=True))) if good else [])
        return [v if _bad(v) else next(answers) for v in values]

    def align(examples: list[Example], values: list[Any]) -> list[Alignment | SeqebmError]:
        batch = collate(examples)
        try:
            features, lengths = model.extract(batch.signal, batch.lengths)
            known = lattice.meet_known(features, lengths, values)
            found = known.align(values, batch.ids, shift)
        except ValueError as error:  # the kernels refuse NaN
            return list(refused(batch.ids, error))
        return [
            one
            if isinstance(one, SeqebmError)
            else Alignment(
                example.id, str(example.target), one.energy, *one.segments, int(frames), shift,
                feature_spans(model, example.signal),
            )
            for one, example, frames in zip(found, examples, lengths, strict=True)
        ]  # fmt: skip

    yield from in_batches(model, utterances, batch_size, work)


def _bad(value: Any) -> bool:
    return isinstance(value, SeqebmError)
