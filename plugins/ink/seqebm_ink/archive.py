"""Data directories of prepared ink: the points of all utterances in one array on disk."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqebm.hooks import DataDir, DataError, Utterance, write_bytes, write_data_dir
from seqebm_ink.ink import CHANNELS

ARRAY = "ink.npy"


class Item(NamedTuple):
    """One utterance to be written.

    Attributes:
        id: its id, unique in the directory, without blanks.
        text: what was written.
        writer: who wrote.
        points: float32 ``(N, 4)`` of :data:`seqebm_ink.ink.CHANNELS`, as ``Ink.points`` gives.
    """

    id: str
    text: str
    writer: str
    points: NDArray[np.float32]


def write_ink_dir(directory: Path, items: Iterable[Item]) -> DataDir:
    """Write ``ink.npy`` and the tables that cut it into utterances; return the data directory.

    The array is float32 ``(N, 4)``: the points of one utterance after the other, which the reader
    ``ink`` maps into memory, so that a corpus of 50,000 characters opens at once.

    Raises :class:`DataError` for no items, an item without points or of another shape, and as
    :func:`seqebm.data.write_data_dir` does.
    """
    items = list(items)
    if not items:
        raise DataError(f"{directory}: there is no ink to write")
    path = Path(directory).absolute() / ARRAY
    utterances, start = [], 0
    for item in items:
        if item.points.shape != (len(item.points), len(CHANNELS)) or not len(item.points):
            raise DataError(f"{directory}: {item.id}: has points of shape {item.points.shape}")
        stop = start + len(item.points)
        utterances.append(Utterance(item.id, path, item.text, item.writer, start, stop))
        start = stop
    file = io.BytesIO()
    np.save(file, np.concatenate([item.points for item in items], dtype=np.float32))
    write_bytes(path, file.getvalue())
    return write_data_dir(directory, utterances, "ink")
