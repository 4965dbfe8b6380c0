"""What a reader is: it reads one kind of input file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from seqebm.hooks import Options as BaseOptions


class Reader(ABC):
    """Base of the readers, made by ``factory(options)``.

    Attributes:
        Options: the keys under ``frontend.reader:`` of a config.
        kind: what it gives, e.g. ``"audio"``; a front-end names the kind it takes as ``reads``.
        suffixes: file endings it claims, lower case with the dot.
    """

    Options = BaseOptions
    kind: str
    suffixes: tuple[str, ...]

    def __init__(self, options: Any = None) -> None:
        self.options = options

    @abstractmethod
    def read(
        self,
        path: Path,
        rate: int,
        start: int | None = None,
        stop: int | None = None,
        limit: float | None = None,
        channel: int | None = None,
    ) -> np.ndarray:
        """Return float32 samples ``(N,)`` or points ``(N, channels)`` at ``rate`` per second.

        ``start`` and ``stop`` count samples at the file's own rate. ``limit`` is the longest
        duration in seconds to accept (checked before decoding). ``channel`` is the one to take of
        several, from 0; None: as the reader is set. Raises :class:`seqebm.errors.DataError`,
        naming the file and the remedy, for a file that is missing, not of this kind, truncated,
        empty, too long, or holds NaN or infinite values, and for a channel that it has not, or
        where there are none.
        """

    def file_rate(self, path: Path) -> int | None:
        """Samples per second in the file at ``path``; None if it has no rate of its own."""
        return None
