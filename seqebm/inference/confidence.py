"""Posteriors of sentences and words in what survives of a trellis.

All probabilities here are of the Gibbs distribution at the model's β over the paths of the graph
that is kept, those within a beam of the best one. A path that is left out has less than
exp(-β beam) times the weight of the best one, but there may be many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from seqebm.graphs import Graph, compose, linear, total_energy
from seqebm.graphs.graph import Floats, Ints
from seqebm.inference.found import Segment
from seqebm.inference.segments import Classes
from seqebm.inference.unrolled import UnrolledGraph


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
    lattice: UnrolledGraph,
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
