"""Graphs that recognisers are built of: strings, left-to-right HMMs, CTC, loops over words.

Classes of emissions are numbered from 0, labels from 1: the arc that consumes a frame of class c
has the ilabel c + 1. Wherever a builder takes ids of tied weights, -1 means none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from seqebm.errors import GraphError
from seqebm.graphs.graph import Floats, Graph, Ints
from seqebm.graphs.symbols import EPSILON, Symbols


def linear(
    labels: Sequence[int | str],
    olabels: Sequence[int | str] | None = None,
    energy: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    weights: int = 0,
    isymbols: Symbols | None = None,
    osymbols: Symbols | None = None,
) -> Graph:
    """The graph of one string, L labels on L arcs; the empty string is a single state.

    Args:
        labels: L label numbers, or names if ``isymbols`` is given.
        olabels: what each arc writes; by default what it reads (an acceptor).
        energy, weight: fixed energy and tied weight id of each arc.
        weights: number of tied weights that exist.
        isymbols, osymbols: names of the labels; ``osymbols`` is ``isymbols`` by default.

    Raises :class:`GraphError` for an unknown name or a wrong number of olabels.
    """
    if olabels is None:
        osymbols = isymbols if osymbols is None else osymbols
    reads = _labels(labels, isymbols)
    writes = reads if olabels is None else _labels(olabels, osymbols)
    if len(writes) != len(reads):
        raise GraphError(f"{len(writes)} olabels for {len(reads)} labels")
    count = len(reads)
    steps = np.arange(count)
    arcs = np.stack([steps, steps + 1, reads, writes], 1)
    return Graph.make(
        count + 1, arcs, [0], [count], _values(energy, (count,), "energy"),
        _ids(weight, (count,), "weight"), weights, isymbols, osymbols,
    )  # fmt: skip


def bakis(
    classes: Sequence[int],
    skip: int = 0,
    loop_weights: ArrayLike | None = None,
    next_weights: ArrayLike | None = None,
    skip_weights: ArrayLike | None = None,
    enter_weight: int = -1,
    weights: int = 0,
    olabel: int = EPSILON,
    isymbols: Symbols | None = None,
    osymbols: Symbols | None = None,
) -> Graph:
    """A left-to-right HMM (Bakis 1976) of one phone, character or word, S emitting states.

    State 0 is where it starts and emits nothing; states 1 .. S emit. One arc per frame: each arc
    into state s reads the class of s (labels on states). Every path enters state 1 and leaves from
    state S, the only final state; each emitting state has a self-loop. A string of such models, as
    ``replace`` makes it, goes on from the final state of one to state 0 of the next without a
    frame. The shortest path has S frames, or 1 + ceil((S - 1) / (1 + skip)) with skips.

    Args:
        classes: emission classes, from 0, of the S states.
        skip: most states that one step may leap over (between emitting states).
        loop_weights: ``(S,)`` ids of the self-loops' tied weights.
        next_weights: ``(S,)`` ids of the step to the next state; the last is that of leaving the
            model (the final entry).
        skip_weights: ``(S, skip)`` ids of the step that leaps over 1 .. skip states; those that
            would lead past state S are not looked at.
        enter_weight: id of the arc into state 1.
        weights: number of tied weights that exist.
        olabel: what the arc into state 1 writes.
        isymbols, osymbols: names of the labels.

    Raises :class:`GraphError` for no class, a negative class or skip, or ids of a wrong shape.
    """
    labels = _labels([int(c) + 1 for c in classes], None)
    count = len(labels)
    if not count or labels.min() < 1:
        raise GraphError(f"classes {list(classes)}: a model needs one or more, none below 0")
    if skip < 0:
        raise GraphError(f"skip is {skip}; it is the most states leapt over, 0 or more")
    loop = _ids(loop_weights, (count,), "loop_weights")
    step = _ids(next_weights, (count,), "next_weights")
    leap = _ids(skip_weights, (count, skip), "skip_weights")
    arcs, ids = [(0, 1, labels[0], olabel)], [enter_weight]
    for state in range(1, count + 1):
        arcs.append((state, state, labels[state - 1], EPSILON))
        ids.append(loop[state - 1])
        for over in range(min(skip, count - state - 1) + 1 if state < count else 0):
            arcs.append((state, state + 1 + over, labels[state + over], EPSILON))
            ids.append(leap[state - 1, over - 1] if over else step[state - 1])
    ids += [-1, step[-1]]
    return Graph.make(
        count + 1, arcs, [0], [count], weight=ids, weights=weights,
        isymbols=isymbols, osymbols=osymbols,
    )  # fmt: skip


def ctc(labels: int, blank: int = 0, osymbols: Symbols | None = None) -> Graph:
    """The CTC topology: reads one class per frame, writes labels (Graves et al. 2006).

    Repeated classes write one label; a blank between them makes them two. There are ``labels`` + 1
    classes; label k is class k of the classes without the blank, counted from 1, so that label and
    class are equal numbers when the blank is class 0. States: 0 after a blank (or nothing), k after
    label k; all are final. It has about labels² arcs.

    Args:
        labels: number of labels.
        blank: class of the blank, 0 .. labels.
        osymbols: names of the labels.
    """
    if labels < 0:
        raise GraphError(f"{labels} labels; give their number, 0 or more")
    reads = _ctc_ilabels(np.arange(labels + 1), blank, labels + 1)
    src, dst = (side.reshape(-1) for side in np.indices((labels + 1, labels + 1)))
    writes = np.where(src == dst, EPSILON, dst)
    every = np.arange(labels + 1)
    return Graph.make(
        labels + 1, np.stack([src, dst, reads[dst], writes], 1), [0], every, osymbols=osymbols
    )


def ctc_linear(
    labels: Sequence[int | str], blank: int = 0, osymbols: Symbols | None = None
) -> Graph:
    """The CTC graph of one target of L labels: 2L + 1 states (Graves et al. 2006, figure 3).

    Even states read blanks, odd ones the labels; the blank between equal labels cannot be left
    out. It is ``compose(ctc(...), linear(labels))``, written down directly. Paths start in state
    0, which nothing has been read into yet, and end in one of the last two states.

    Args:
        labels: label numbers, or names if ``osymbols`` is given; numbered as :func:`ctc` does.
        blank: class of the blank.
        osymbols: names of the labels.
    """
    target = _labels(labels, osymbols)
    if len(target) and target.min() < 1:
        raise GraphError(f"target {list(labels)} has epsilon in it; labels are numbered from 1")
    count = 2 * len(target) + 1
    state = np.arange(count)
    writes = np.zeros(count, dtype=np.int64)
    writes[1::2] = target
    reads = _ctc_ilabels(writes, blank, None)
    leaps = np.flatnonzero((writes[3:] != writes[1:-2]) & (writes[3:] > 0)) + 1
    src = np.concatenate([state, state[:-1], leaps])
    dst = np.concatenate([state, state[1:], leaps + 2])
    arcs = np.stack([src, dst, reads[dst], np.where(src == dst, EPSILON, writes[dst])], 1)
    arcs = arcs[np.lexsort((dst, src))]
    return Graph.make(count, arcs, [0], state[-2:], osymbols=osymbols)


def word_loop(
    words: Sequence[int | str],
    energy: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    weights: int = 0,
    silence: int | str | None = None,
    silence_weight: int = -1,
    empty: bool = False,
    isymbols: Symbols | None = None,
    osymbols: Symbols | None = None,
) -> Graph:
    """A loop over W words through one hub: any string of words, each to be replaced by its model.

    A word's arc leads from the hub (state 0) to a state where a word has ended (state 1), and an
    epsilon arc leads back to the hub. With ``silence`` an arc that reads silence, and writes
    nothing, stands beside that epsilon arc, and also before the first word and after the last:
    each is taken once or not at all, so no string has two ways of being segmented into silences.

    Args:
        words: labels of the words, or names if ``isymbols`` is given. Arcs read and write them.
        energy, weight: ``(W,)`` fixed energies and tied weight ids of the words.
        weights: number of tied weights that exist.
        silence: label that an optional silence reads; None for no silence.
        silence_weight: tied weight id of every silence.
        empty: also accept the string of no words.
        isymbols, osymbols: names of the labels; ``osymbols`` is ``isymbols`` by default.
    """
    labels = _labels(words, isymbols)
    writes = labels if osymbols is None else _labels(words, osymbols)
    count = len(labels)
    hub, ended, start, end = 0, 1, 2, 3
    arcs = [(hub, ended, read, write) for read, write in zip(labels, writes, strict=True)]
    energies = _values(energy, (count,), "energy")
    ids = list(_ids(weight, (count,), "weight"))
    pause = None if silence is None else _labels([silence], isymbols)[0]
    between = [(ended, hub)]
    if pause is None:
        states, starts, finals = 2, [hub], [hub if empty else ended]
    elif empty:
        states, starts, finals = 2, [ended], [hub]
    else:
        states, starts, finals = 4, [start], [end]
        between += [(start, hub), (ended, end)]
    for pair in between:
        arcs.append((*pair, EPSILON, EPSILON))
        ids.append(-1)
        if pause is not None:
            arcs.append((*pair, pause, EPSILON))
            ids.append(silence_weight)
    return Graph.make(
        states,
        arcs,
        starts,
        finals,
        energies,
        ids,
        weights,
        isymbols,
        isymbols if osymbols is None else osymbols,
    )


def bigram_loop(
    words: Sequence[int | str],
    energy: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    weights: int = 0,
    silence: int | str | None = None,
    silence_weight: int = -1,
    isymbols: Symbols | None = None,
    osymbols: Symbols | None = None,
) -> Graph:
    """A loop over W words whose energies depend on the word before: one state per word.

    State 0 is the start of the sentence, state i that after word i (counted from 1). With
    ``silence``, an epsilon arc and an arc that reads silence lead from each of these to a state of
    its own (W + 1 + i), which the next word, or the end of the sentence, goes on from.

    Args:
        words: labels of the words, or names if ``isymbols`` is given. Arcs read and write them.
        energy: ``(W + 1, W + 1)`` energies of each word (column) after each other (row). Row 0
            is the start and column 0 the end of the sentence; a successor with +inf is left out.
            By default all are 0, but for the sentence of no words, which has +inf.
        weight: ``(W + 1, W + 1)`` tied weight ids, in the same places.
        weights: number of tied weights that exist.
        silence: label that an optional silence reads; None for no silence.
        silence_weight: tied weight id of every silence.
        isymbols, osymbols: names of the labels; ``osymbols`` is ``isymbols`` by default.
    """
    labels = _labels(words, isymbols)
    writes = labels if osymbols is None else _labels(words, osymbols)
    size = len(labels) + 1
    costs = _values(energy, (size, size), "energy")
    if energy is None:
        costs[0, 0] = np.inf
    ids = _ids(weight, (size, size), "weight")
    leave = size if silence is not None else 0
    row, column = np.nonzero(np.isfinite(costs[:, 1:]))
    arcs = np.stack([row + leave, column + 1, labels[column], writes[column]], 1)
    energies, used = costs[row, column + 1], ids[row, column + 1]
    if silence is not None:
        pause = _labels([silence], isymbols)[0]
        state, none = np.arange(size), np.zeros(size, dtype=np.int64)
        for read, tied in ((EPSILON, -1), (pause, silence_weight)):
            more = np.stack([state, state + size, none + read, none], 1)
            arcs = np.concatenate([arcs, more])
            energies, used = np.append(energies, none), np.append(used, none + tied)
    last = np.flatnonzero(np.isfinite(costs[:, 0]))
    energies = np.concatenate([energies, [0.0], costs[last, 0]])
    used = np.concatenate([used, [-1], ids[last, 0]])
    return Graph.make(
        size + leave, arcs, [0], last + leave, energies, used, weights,
        isymbols, isymbols if osymbols is None else osymbols,
    )  # fmt: skip


def character_graph(text: str, symbols: Symbols, space: str | None = None) -> Graph:
    """The linear graph of a text's characters.

    Args:
        text: what is written.
        symbols: names of the characters.
        space: symbol that stands for white space, however long; None leaves white space out.
            White space before and after the text is left out in any case.

    Raises :class:`GraphError` for a character that ``symbols`` lacks.
    """
    words = text.split()
    names: list[int | str] = []
    for index, word in enumerate(words):
        if index and space is not None:
            names.append(space)
        names += list(word)
    return linear(names, isymbols=symbols)


def scaled(graph: Graph, factor: float) -> Graph:
    """The graph with every entry's energy, fixed and tied, times ``factor``; +inf stays +inf.

    For example the weight of a language model. Raises :class:`GraphError` for a factor that is
    negative or not finite.
    """
    if not 0 <= factor < np.inf:
        raise GraphError(f"factor is {factor}; it must be finite and 0 or more")
    energy = np.where(np.isinf(graph.energy), np.inf, 0.0)
    finite = np.isfinite(graph.energy)
    energy[finite] = graph.energy[finite] * factor
    return replace(graph, energy=energy, ties=csr_array(graph.ties * factor))


def _ctc_ilabels(labels: Ints, blank: int, classes: int | None) -> Ints:
    """ilabel (class + 1) of each CTC label; label 0 is the blank."""
    if blank < 0 or (classes is not None and blank >= classes):
        most = "" if classes is None else f" .. {classes - 1}"
        raise GraphError(f"blank is class {blank}; the classes are 0{most}")
    return np.where(labels == 0, blank, labels - (labels <= blank)) + 1


def _labels(labels: Sequence[int | str], symbols: Symbols | None) -> Ints:
    numbers = []
    for label in labels:
        if isinstance(label, str):
            if symbols is None:
                raise GraphError(f"label {label!r} is a name; give the symbols that number it")
            label = symbols.id(label)
        numbers.append(int(label))
    return np.array(numbers, dtype=np.int64)


def _values(values: ArrayLike | None, shape: tuple[int, ...], name: str) -> Floats:
    if values is None:
        return np.zeros(shape)
    array = np.array(values, dtype=np.float64)
    if array.shape != shape:
        raise GraphError(f"{name} has shape {array.shape}; {shape} is needed")
    return array


def _ids(values: ArrayLike | None, shape: tuple[int, ...], name: str) -> Ints:
    if values is None:
        return np.full(shape, -1, dtype=np.int64)
    array = np.array(values, dtype=np.int64)
    if array.shape != shape:
        raise GraphError(f"{name} has shape {array.shape}; {shape} is needed")
    return array
