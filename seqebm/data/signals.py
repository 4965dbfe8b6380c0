"""The signal of an utterance: its stretch of its file, its channel, and the checks of both."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from seqebm.data.datadir import Utterance
from seqebm.data.reader import Reader
from seqebm.errors import DataError

logger = logging.getLogger(__name__)

_OVERSHOOT = 0.1  # seconds by which a segment may go beyond its recording: rounded times do
_OVER_FRAMES = 1  # the same in frames or points, where a file has no rate


def read_signal(
    reader: Reader,
    utterance: Utterance,
    rate: int,
    limit: float | None = None,
    warn: Callable[[str], None] | None = None,
) -> np.ndarray:
    """Read an utterance as float32 ``(N,)`` or ``(N, channels)``, N >= 1, all finite.

    A segment that goes beyond the end of its recording by up to 0.1 seconds, as rounded times do,
    is cut there with a warning: in the log, or given to ``warn``.

    Raises :class:`DataError` as :meth:`Reader.read` does, and for a segment with a channel if the
    reader cannot choose one.
    """
    chosen: dict[str, Any] = {}
    if utterance.channel is not None:
        if "channel" not in inspect.signature(reader.read).parameters:
            raise DataError(
                f"{utterance.id}: channel {utterance.channel} is asked for, but the reader "
                f"{type(reader).__name__} cannot choose one; take it out of segments"
            )
        chosen["channel"] = utterance.channel
    path, start, stop = utterance.path, utterance.start, utterance.stop
    try:
        samples = reader.read(path, rate, start, stop, limit, **chosen)
    except DataError:
        if stop is None:
            raise
        cut = _to_the_end(reader, utterance, rate, limit, chosen)
        if cut is None:
            raise
        samples, over = cut
        (warn or logger.warning)(f"{utterance.id}: ends {over} after its recording; cut there")
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    # Readers promise both, but one plugin's slip must not become a NaN loss at epoch 3.
    if len(samples) == 0:
        raise DataError(f"{path}: holds no samples")
    if not np.isfinite(samples).all():
        raise DataError(f"{path}: holds NaN or infinite samples")
    return samples


def _to_the_end(
    reader: Reader, utterance: Utterance, rate: int, limit: float | None, chosen: dict[str, Any]
) -> tuple[np.ndarray, str] | None:
    """The signal up to the end, and by how much the segment overshoots; None if by too much."""
    assert utterance.stop is not None
    try:
        samples = reader.read(utterance.path, rate, utterance.start, None, limit, **chosen)
        own = reader.file_rate(utterance.path)
    except DataError:
        return None
    wanted = utterance.stop - (utterance.start or 0)
    if own is None:
        over = wanted - len(samples)
        return (samples, f"{over} points") if 0 < over <= _OVER_FRAMES else None
    seconds = wanted / own - len(samples) / rate
    return (samples, f"{seconds:.3f} s") if 0 < seconds <= _OVERSHOOT else None
