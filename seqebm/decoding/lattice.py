"""What survives of a trellis as an acyclic graph, and the posteriors of sentences and words in it.

All probabilities here are of the Gibbs distribution at the model's β over the paths of the graph
that is kept, those within a beam of the best one. A path that is left out has less than
exp(-β beam) times the weight of the best one, but there may be many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from seqebm.decoding.segments import Classes, Segment
from seqebm.graphs import Graph, compose, linear, shortest_path, topological_order, total_energy
from seqebm.graphs._walks import potentials
from seqebm.graphs.totals import softmin
from seqebm.kernels.ops_trellis import Path, Unrolled

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Lattice(NamedTuple):
    """An acyclic graph of what survives of one utterance.

    Attributes:
        graph: a state for each (state of the model's graph, frame) that is kept; an arc reads an
            emission class (+ 1) or nothing, writes a word or nothing, and its energy is the sum
            of the model's and the emission's.
        frame: ``(states,)`` frames consumed before each state.
        arc: ``(arcs,)`` which arc of the model's graph each arc is.
        start, final: which start and final of the model's graph each one is.
    """

    graph: Graph
    frame: Ints
    arc: Ints
    start: Ints
    final: Ints

    @classmethod
    def of(cls, graph: Graph, unrolled: Unrolled) -> Lattice:
        """The lattice that the kernel's numbers describe; ``graph`` is what was unrolled."""
        parts = (unrolled.energy, unrolled.start_energy, unrolled.final_energy)
        energy = np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])
        arc = np.asarray(unrolled.arc, dtype=np.int64)
        arcs = np.stack([unrolled.src, unrolled.dst, graph.ilabel[arc], graph.olabel[arc]], 1)
        return cls(
            Graph.make(
                len(unrolled.node_state), arcs, unrolled.start_node, unrolled.final_node,
                energy, osymbols=graph.osymbols,
            ),
            np.asarray(unrolled.node_frame, dtype=np.int64),
            arc,
            np.asarray(unrolled.start, dtype=np.int64),
            np.asarray(unrolled.final, dtype=np.int64),
        )  # fmt: skip

    def best_path(self) -> tuple[float, Path]:
        """The path of lowest energy, as one of the model's graph."""
        path = shortest_path(self.graph)
        assert path is not None  # the beam never loses the best one
        begin, *arcs, end = path.entries
        starts = self.graph.arcs + len(self.graph.starts)
        return path.energy, Path(
            torch.from_numpy(self.arc[arcs]), torch.from_numpy(self.frame[self.graph.src[arcs]]),
            int(self.start[begin - self.graph.arcs]), int(self.final[end - starts]),
        )  # fmt: skip


def arc_posteriors(graph: Graph, beta: float) -> Floats:
    """``(arcs,)`` probability that a path takes each arc of an acyclic graph."""
    begin, end = graph.arcs, graph.arcs + len(graph.starts)
    energy = graph.energy[:begin]
    first, last = np.full(graph.states, np.inf), np.full(graph.states, np.inf)
    first[graph.starts] = graph.energy[begin:end]
    last[graph.finals] = graph.energy[end:]
    order = topological_order(graph)
    forward = potentials(order, graph.src, graph.dst, energy, first, beta)
    backward = potentials(order[::-1], graph.dst, graph.src, energy, last, beta)
    total = softmin(forward[graph.finals] + graph.energy[end:], beta)
    if not math.isfinite(total):
        return np.zeros(graph.arcs)
    excess = forward[graph.src] + energy + backward[graph.dst] - total
    return np.exp(-beta * np.maximum(excess, 0.0))


def sentence_posterior(graph: Graph, labels: Sequence[int], beta: float) -> float:
    """Probability that a path of an acyclic graph writes this string of labels."""
    total = total_energy(graph, beta=beta)
    own = total_energy(compose(graph, linear(labels)).graph, beta=beta)
    return min(1.0, math.exp(-beta * (own - total))) if math.isfinite(total) else 0.0


def words_of_states(graph: Graph) -> Ints:
    """``(states,)`` the label that all paths to a state wrote last; 0: none, or no single one."""
    unknown, several = 0, -1
    word = np.zeros(graph.states, dtype=np.int64)
    word[graph.starts] = several  # nothing was written yet, but perhaps another path comes by
    writes = graph.olabel > 0
    while True:
        told = np.where(writes, graph.olabel, word[graph.src])
        heard = told != unknown
        low, high = np.full(graph.states, np.iinfo(np.int64).max), np.full(graph.states, several)
        np.minimum.at(low, graph.dst[heard], told[heard])
        np.maximum.at(high, graph.dst[heard], told[heard])
        new = np.where(low == high, low, several)
        new[np.bincount(graph.dst[heard], minlength=graph.states) == 0] = unknown
        new[graph.starts] = several
        if np.array_equal(new, word):
            return np.maximum(word, 0)
        word = new


def word_posteriors(
    lattice: Lattice,
    posteriors: Floats,
    current: Ints,
    classes: Classes,
    words: Sequence[Segment],
    labels: Sequence[int],
) -> list[float]:
    """Probability of each word at the frame in its middle.

    It sums the posteriors of all arcs that consume this frame while that word is the one begun
    last, silence between words not counted: wherever the word begins and ends, and whatever
    stands before and after it.

    Args:
        lattice: the lattice.
        posteriors: ``(arcs,)`` of its arcs.
        current: :func:`words_of_states` of the model's graph, for the state that each arc of the
            lattice enters: ``(arcs,)``.
        classes: which classes are silence.
        words, labels: the words of the best path.
    """
    graph = lattice.graph
    reads = graph.ilabel - 1
    inside = (reads >= 0) & ~classes.pause[reads]
    frame = lattice.frame[graph.src]
    result = []
    for word, label in zip(words, labels, strict=True):
        middle = (word.first + max(word.stop - 1, word.first)) // 2
        own = inside & (frame == middle) & (current == label)
        result.append(min(1.0, float(posteriors[own].sum())))
    return result
