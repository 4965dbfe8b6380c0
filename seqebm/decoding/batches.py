"""Work on utterances in batches of like length, in which one bad utterance costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from seqebm.data import ReaderPool, Utterance
from seqebm.data.batching import Example
from seqebm.data.targets import read_target
from seqebm.errors import DataError, SeqebmError
from seqebm.models import Recognizer

Answer = TypeVar("Answer")


def read_example(
    model: Recognizer, utterance: Utterance, pool: ReaderPool | None = None
) -> Example:
    """Read one utterance as the model's front-end wants it. Raises :class:`DataError`.

    ``pool`` saves making the readers anew for every utterance.
    """
    frontend = model.frontend
    pool = pool or model.reader_pool()
    samples = pool.for_path(utterance.path).read(
        utterance.path, frontend.rate, utterance.start, utterance.stop, frontend.limit
    )
    target = read_target(utterance)
    return Example(utterance.id, torch.from_numpy(samples), target, utterance.speaker)


def files_as_utterances(paths: Sequence[Path]) -> list[Utterance]:
    """One utterance per file, named by its path."""
    return [Utterance(str(path), path) for path in paths]


def in_batches(
    model: Recognizer,
    utterances: Sequence[Utterance],
    batch_size: int,
    work: Callable[[list[Example]], Sequence[Answer | SeqebmError]],
    ahead: int = 8,
) -> Iterator[Answer | SeqebmError]:
    """Read utterances and give what ``work`` makes of them, in order.

    Args:
        model: its front-end says how to read.
        utterances: what to read.
        batch_size: most examples in one call of ``work``.
        work: a batch of examples -> an answer, or an error, for each.
        ahead: batches that are read ahead, so that utterances of like length share one; their
            answers are held until all of them are there.

    An utterance that cannot be read gives its error in place of an answer.
    """
    pool = model.reader_pool()
    window = batch_size * ahead
    for first in range(0, len(utterances), window):
        results: list[Answer | SeqebmError | None] = []
        good: list[tuple[int, Example]] = []
        for utterance in utterances[first : first + window]:
            try:
                good.append((len(results), read_example(model, utterance, pool)))
                results.append(None)
            except DataError as error:
                results.append(error)
        good.sort(key=lambda pair: len(pair[1].signal))
        for start in range(0, len(good), batch_size):
            part = good[start : start + batch_size]
            answers = work([example for _, example in part])
            for (place, _), answer in zip(part, answers, strict=True):
                results[place] = answer
        for result in results:
            assert result is not None
            yield result


def refused(ids: Sequence[str], error: ValueError) -> list[SeqebmError]:
    """The errors of a batch whose energies the kernels refuse, because they are NaN."""
    return [
        SeqebmError(f"{name}: the model cannot be used, its training went wrong: {error}")
        for name in ids
    ]
