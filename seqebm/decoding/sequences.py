"""Recognise connected speech (or any string of words) in files or data directories.

A lattice whose answers are strings of words (``sequential = True``) is decoded through its method
``trellis(features, lengths)``, the lattice of all sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from seqebm.data import ReaderPool, Utterance, collate
from seqebm.data.batching import Example
from seqebm.decoding.search import Found, Search, best_paths, settings
from seqebm.decoding.segments import Classes, Segment, segments
from seqebm.decoding.words import read_example
from seqebm.errors import DataError, SeqebmError
from seqebm.models import Recognizer

_WINDOW = 8  # batches that are read ahead, so that utterances of like length share one


@dataclass(frozen=True)
class Transcription:
    """The answer to one utterance: a string of words.

    Attributes:
        id: utterance id (the file's path, for files given by hand).
        text: the words of the path of lowest energy, with single spaces; may be empty.
        energy: energy of that path.
        words: the words with their frames.
        frames: feature frames of the utterance.
        frame_shift: seconds between feature frames.
        beam: the beam that the path was found with; None: exact.
    """

    id: str
    text: str
    energy: float
    words: tuple[Segment, ...]
    frames: int
    frame_shift: float
    beam: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "text": self.text,
            "energy": self.energy,
            "words": [word.as_dict(self.frame_shift) for word in self.words],
            "duration": round(self.frames * self.frame_shift, 6),
            "beam": self.beam,
        }


@torch.no_grad()
def recognise_sequences(
    model: Recognizer, utterances: Sequence[Utterance], search: Search = Search()
) -> Iterator[Transcription | SeqebmError]:
    """Recognise utterances in order.

    A bad utterance gives its error in place of an answer: unreadable, too short for any sentence,
    or left without a path by the beam.

    Raises :class:`ConfigError` if the model's lattice has no ``lm_scale`` or ``word_penalty`` to
    be set.
    """
    model.eval()
    pool = ReaderPool(model.frontend.reads)
    decoder = _Decoder(model, search)
    window = search.batch_size * _WINDOW
    for first in range(0, len(utterances), window):
        results: list[Transcription | SeqebmError | None] = []
        good: list[tuple[int, Example]] = []
        for utterance in utterances[first : first + window]:
            try:
                good.append((len(results), read_example(model, utterance, pool)))
                results.append(None)
            except DataError as error:
                results.append(error)
        good.sort(key=lambda pair: len(pair[1].signal))
        for start in range(0, len(good), search.batch_size):
            part = good[start : start + search.batch_size]
            for (place, _), answer in zip(part, decoder([e for _, e in part]), strict=True):
                results[place] = answer
        for result in results:
            assert result is not None
            yield result


class _Decoder:
    """What stays the same from batch to batch."""

    def __init__(self, model: Recognizer, search: Search) -> None:
        self.model, self.search = model, search
        self.lattice = cast(Any, model.lattice)
        self.classes = Classes.of(self.lattice.graphs)
        self.shift = model.frontend.frame_shift * model.features.subsampling

    def __call__(self, examples: list[Example]) -> list[Transcription | SeqebmError]:
        batch = collate(examples)
        try:
            features, lengths = self.model.extract(batch.signal, batch.lengths)
            with settings(self.lattice, self.search):
                found = best_paths(
                    self.lattice.trellis, features, lengths, batch.ids, self.search, self.shift
                )
        except ValueError as error:  # the kernels refuse NaN
            return [
                SeqebmError(f"{name}: the model cannot be used, its training went wrong: {error}")
                for name in batch.ids
            ]
        return [
            result if isinstance(result, SeqebmError) else self._answer(name, result)
            for name, result in zip(batch.ids, found, strict=True)
        ]

    def _answer(self, name: str, found: Found) -> Transcription:
        trellis, item = found.trellis, found.item
        words = segments(trellis.graph(item), found.path, self.classes).words
        return Transcription(
            id=name,
            text=" ".join(word.label for word in words),
            energy=found.energy,
            words=words,
            frames=int(trellis.lengths[item]),
            frame_shift=self.shift,
            beam=found.beam,
        )


def words_of(model: Recognizer) -> Sequence[str]:
    """Every word that a sequential model can answer."""
    graphs = getattr(model.lattice, "graphs", None)
    return model.vocabulary if graphs is None else tuple(graphs.words)
