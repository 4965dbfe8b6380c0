"""When feature frames were, for front-ends whose frames are not equally spaced in time."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from seqebm.inference.found import Floats
from seqebm.models import Recognizer


def feature_spans(model: Recognizer, signal: Tensor) -> Floats | None:
    """``(T, 2)`` seconds at which each feature frame of one signal begins and ends.

    None if the front-end's frames are equally spaced: then frame t begins after t times the shift.
    A feature frame spans the frames that it subsamples.
    """
    found = model.frontend.frame_spans(signal)
    if found is None:
        return None
    spans = found.cpu().numpy()
    starts = np.arange(0, len(spans), model.features.subsampling)
    begin = np.minimum.reduceat(spans[:, 0], starts)
    end = np.maximum.reduceat(spans[:, 1], starts)
    return np.stack([begin, end], 1)
