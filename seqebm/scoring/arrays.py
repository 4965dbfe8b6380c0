"""How far answers that are arrays (images, label maps, poses) are from the right ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqebm.errors import DataError


@dataclass(frozen=True)
class ArrayScore:
    """Differences over all entries of all items that have both arrays.

    Attributes:
        items: arrays that were compared.
        entries: numbers that were compared.
        rms: root of the mean squared difference.
        absolute: mean absolute difference.
        equal: share of entries that are equal, where both arrays hold whole numbers (labels); None
            where none do.
        missing, extra: ids without hypothesis, and without reference; not compared.
    """

    items: int
    entries: int
    rms: float
    absolute: float
    equal: float | None
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def score_arrays(
    references: Mapping[str, NDArray[Any]], hypotheses: Mapping[str, NDArray[Any]]
) -> ArrayScore:
    """Compare arrays by id.

    Raises :class:`DataError` if there is nothing to compare, or if two arrays differ in shape.
    """
    both = sorted(references.keys() & hypotheses.keys())
    if not both:
        raise DataError("no id has both a reference and a hypothesis, so nothing can be compared")
    entries = squares = absolute = 0.0
    labels = equal = 0
    for name in both:
        right, answer = references[name], hypotheses[name]
        if right.shape != answer.shape:
            raise DataError(f"{name}: has shape {answer.shape}, but its reference {right.shape}")
        apart = answer.astype(np.float64) - right.astype(np.float64)
        entries += apart.size
        squares += float(np.square(apart).sum())
        absolute += float(np.abs(apart).sum())
        if right.dtype.kind in "biu" and answer.dtype.kind in "biu":
            labels += apart.size
            equal += int((apart == 0).sum())
    return ArrayScore(
        len(both), int(entries), (squares / entries) ** 0.5, absolute / entries,
        equal / labels if labels else None, tuple(sorted(references.keys() - hypotheses.keys())),
        tuple(sorted(hypotheses.keys() - references.keys())),
    )  # fmt: skip
