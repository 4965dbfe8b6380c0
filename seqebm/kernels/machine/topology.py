"""What a kernel may know of a graph: plain arrays of states, arcs, starts and finals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]


class Topology(NamedTuple):
    """What a kernel may know of a graph.

    Attributes:
        states: number of states S.
        src, dst: (A,) int64, states that an arc leaves and enters.
        label: (A,) int64, emission class of an arc, or -1: epsilon, consumes no frame.
        starts, finals: (Ns,), (Nf,) int64.
    """

    states: int
    src: Ints
    dst: Ints
    label: Ints
    starts: Ints
    finals: Ints
