"""The one loop from utterances to answers, whatever the answers are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from seqebm.data import Utterance, collate
from seqebm.data.batching import Example
from seqebm.decoding.batches import in_batches, refused
from seqebm.decoding.results import Result, result_of
from seqebm.decoding.times import feature_spans
from seqebm.errors import SeqebmError
from seqebm.models import Recognizer


@torch.no_grad()
def recognise_utterances(
    model: Recognizer, utterances: Sequence[Utterance], settings: Mapping[str, Any] | None = None
) -> Iterator[Result | SeqebmError]:
    """Recognise utterances in order.

    A bad utterance gives its error in place of an answer, so that one corrupt file does not cost
    the others: unreadable, too short for any answer, or left without a path by a beam.

    Args:
        model: what recognises them; it is not changed.
        utterances: what to read.
        settings: options of ``inference`` in place of the model's own.

    Raises :class:`ConfigError` for a setting that there is not, or that the model cannot use.
    """
    model.eval()
    inference = model.searching(settings or {})
    how = inference.options
    lattice = model.lattice.under(**how.grammar)

    def decode(examples: list[Example]) -> list[Result | SeqebmError]:
        batch = collate(examples)
        try:
            features, lengths = model.extract(batch.signal, batch.lengths)
            found = inference.search(lattice.meet(features, lengths), batch.ids, model.frame_shift)
        except ValueError as error:  # the kernels refuse NaN
            return list(refused(batch.ids, error))
        return [
            one
            if isinstance(one, SeqebmError)
            else result_of(
                model, example.id, one, int(frames), feature_spans(model, example.signal)
            )
            for one, example, frames in zip(found, examples, lengths, strict=True)
        ]

    # Lattices may be large, so few of them are held at a time.
    size, ahead = (min(how.batch_size, 4), 1) if how.lattice else (how.batch_size, 8)
    results: Iterator[Result | SeqebmError] = in_batches(model, utterances, size, decode, ahead)
    yield from results
