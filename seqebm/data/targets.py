"""The right answers of a corpus: transcripts, or arrays (images, label maps, poses)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqebm.data.datadir import Utterance
from seqebm.errors import DataError

#: A transcript, or numbers of any shape.
Target = str | NDArray[np.generic]


def read_target(utterance: Utterance) -> Target | None:
    """The right answer of an utterance: its array if it has one, else its transcript.

    Raises :class:`DataError` if the array cannot be read.
    """
    return utterance.text if utterance.array is None else read_array(utterance.array)


def read_array(path: Path) -> NDArray[np.generic]:
    """Numbers from a ``.npy`` file.

    Raises :class:`DataError`, naming the file, if it cannot be read, holds no numbers (finite
    floats, whole numbers or truth values), or holds Python objects, which could execute code.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; restore it, or drop its line") from None
    except Exception as error:  # whatever NumPy's parser makes of a damaged file
        raise DataError(f"{path}: is no array of numbers (.npy): {error}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf" or not array.size:
        raise DataError(f"{path}: is empty or holds no numbers; write it by numpy.save")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{path}: holds NaN or infinite numbers; correct it, or drop its line")
    return array
