"""From a path through a graph to words, units and states with their frames."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqebm.graphs import Graph, Symbols
from seqebm.inference.found import Segment, Segments
from seqebm.kernels.trellis.ops import Path


@dataclass(frozen=True)
class Classes:
    """What the emission classes stand for.

    Attributes:
        names: of the C classes, e.g. ``ah.1``.
        units: unit of each class.
        first: ``(C,)`` bool: the class is that of its unit's first state.
        pause: ``(C,)`` bool: silence between words.
        blank: ``(C,)`` bool: CTC's blank, which belongs to no unit.
    """

    names: Sequence[str]
    units: Sequence[str]
    first: NDArray[np.bool_]
    pause: NDArray[np.bool_]
    blank: NDArray[np.bool_]

    @classmethod
    def of(cls, symbols: Symbols | None, count: int) -> Classes:
        """Classes that are units of one state each, named by a graph's input labels."""
        known = list(symbols) if symbols is not None else []
        names = (known + [str(c) for c in range(len(known), count)])[:count]
        none = np.zeros(count, bool)
        return cls(names, names, np.ones(count, bool), none, none)


def word_spans(graph: Graph, path: Path, classes: Classes) -> list[tuple[int, int, int]]:
    """Words along a path: (label, first frame, one past the last frame).

    A word begins with its first frame after the arc that writes it, and ends with its last frame
    that is neither silence nor blank before the next word.
    """
    arcs, frames = path.arcs.numpy(), path.frames.numpy()
    labels = graph.ilabel[arcs] - 1
    voiced = (labels >= 0) & ~(classes.pause | classes.blank)[labels]
    begins = np.flatnonzero(graph.olabel[arcs])
    spans = []
    for begin, end in itertools.pairwise([*begins, len(arcs)]):
        own = frames[begin:end][voiced[begin:end]]
        if len(own):
            first, stop = int(own[0]), int(own[-1]) + 1
        else:  # a word of no frame of its own stands where it was written
            first = stop = int(frames[begin])
        spans.append((int(graph.olabel[arcs[begin]]), first, stop))
    return spans


def segments(graph: Graph, path: Path, classes: Classes) -> Segments:
    """Words, units and states along a path, in order of time."""
    name = graph.osymbols.name if graph.osymbols is not None else str
    words = [Segment(name(label), *span) for label, *span in word_spans(graph, path, classes)]
    arcs = path.arcs.numpy()
    emitting = arcs[graph.ilabel[arcs] > 0]
    labels = graph.ilabel[emitting] - 1
    # A unit may follow itself: what begins it is a step into its first state that is no loop.
    enters = (graph.src[emitting] != graph.dst[emitting]) & classes.first[labels]
    states = np.array(classes.names)[labels]
    units = np.array(classes.units)[labels]
    blank = classes.blank[labels]
    return Segments(
        tuple(words), _stretches(units, enters, blank), _stretches(states, enters, blank)
    )


def _stretches(
    names: NDArray[np.str_], enters: NDArray[np.bool_], blank: NDArray[np.bool_]
) -> tuple[Segment, ...]:
    """Runs of one name, cut where a unit is entered anew; blanks are left out."""
    if not len(names):
        return ()
    begins = np.flatnonzero(np.append(True, (names[1:] != names[:-1]) | enters[1:])).tolist()
    return tuple(
        Segment(str(names[a]), a, b)
        for a, b in itertools.pairwise([*begins, len(names)])
        if not blank[a]
    )
