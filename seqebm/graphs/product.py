"""Products of automata: compose, intersect, and the difference that gives offending answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from seqebm.errors import GraphError
from seqebm.graphs._product import compose_walk, difference_walk
from seqebm.graphs._walks import group
from seqebm.graphs.graph import Derived, Graph, Ints, arc_map, derive
from seqebm.graphs.symbols import Symbols
from seqebm.graphs.trim import useful


def _by_label(graph: Graph, label: Ints) -> tuple[Ints, Ints]:
    """Where each state's arcs begin, and the arcs sorted by (source, label)."""
    offsets, order = group(graph.states, graph.src)
    src, sorted_label = graph.src[order], label[order]
    if np.any((src[1:] == src[:-1]) & (sorted_label[1:] < sorted_label[:-1])):
        order = np.lexsort((label, graph.src))
    return offsets, order


def _place(states: int, listed: Ints) -> Ints:
    """``(states,)`` place of each state in a list of start or final states, or -1."""
    place = np.full(states, -1, dtype=np.int64)
    place[listed] = np.arange(len(listed))
    return place


def check_symbols(a: Symbols | None, b: Symbols | None, what: str) -> None:
    """Raise :class:`GraphError` if both tables are known and name a label differently."""
    if a is None or b is None or a is b or list(a) == list(b):
        return
    for label, (left, right) in enumerate(zip(a, b, strict=False), 1):
        if left != right:
            raise GraphError(f"{what}: label {label} is {left!r} on one side, {right!r} on other")
    raise GraphError(f"{what}: one side names {len(a)} labels, the other one {len(b)}")


def compose(a: Graph, b: Graph) -> Derived:
    """The transducer that reads what ``a`` reads and writes what ``b`` writes of ``a``'s output.

    Every pair of a path of ``a`` and a path of ``b`` that agree (output of one = input of the
    other, epsilons skipped) gives exactly one path, whose energy is the sum. Only states that are
    accessible and lead to a final state are built; the result is trimmed. Time follows the
    accessible part: for each of its states, the smaller number of arcs times the logarithm of the
    larger one.

    Source: Mohri, Pereira & Riley 2002, "Weighted finite-state transducers in speech
    recognition"; arc maps as in k2 and in Hannun et al. 2020.

    Args:
        a: graph whose olabels are matched.
        b: graph whose ilabels are matched.

    Returns:
        The product with the maps onto ``a`` and ``b``.

    Raises :class:`GraphError` if both name the labels that are matched, differently.
    """
    check_symbols(a.osymbols, b.isymbols, "compose")
    a_offsets, a_order = _by_label(a, a.olabel)
    b_offsets, b_order = _by_label(b, b.ilabel)
    seeds = ((a.starts[:, None] * b.states + b.starts) * 2).reshape(-1)
    keys, rows = compose_walk(
        a_offsets, a.olabel[a_order], a.dst[a_order],
        b_offsets, b.ilabel[b_order], b.dst[b_order], seeds,
    )  # fmt: skip
    p, q = np.divmod(keys // 2, max(b.states, 1))
    a_final, b_final = _place(a.states, a.finals)[p], _place(b.states, b.finals)[q]
    finals = np.flatnonzero((a_final >= 0) & (b_final >= 0))
    left = np.where(rows[:, 2] >= 0, a_order[rows[:, 2]] if a.arcs else -1, -1)
    right = np.where(rows[:, 3] >= 0, b_order[rows[:, 3]] if b.arcs else -1, -1)
    first = np.repeat(np.arange(len(a.starts)), len(b.starts))
    second = np.tile(np.arange(len(b.starts)), len(a.starts))
    return _trimmed(
        [a, b], len(keys), rows, finals,
        [(left, first, a_final[finals]), (right, second, b_final[finals])],
        np.where(left >= 0, a.ilabel[left] if a.arcs else 0, 0),
        np.where(right >= 0, b.olabel[right] if b.arcs else 0, 0),
        a.isymbols, b.osymbols,
    )  # fmt: skip


def intersect(a: Graph, b: Graph) -> Derived:
    """The acceptor of the strings that both accept, energies added: compose, of acceptors.

    Raises :class:`GraphError` if one of them is no acceptor (an arc's ilabel and olabel differ).
    """
    for name, graph in (("first", a), ("second", b)):
        wrong = np.flatnonzero(graph.ilabel != graph.olabel)
        if len(wrong):
            arc = int(wrong[0])
            raise GraphError(
                f"intersect: arc {arc} of the {name} graph reads {graph.ilabel[arc]} and writes "
                f"{graph.olabel[arc]}; use compose for transducers, or project first"
            )
    return compose(a, b)


def difference(a: Graph, string: Sequence[int]) -> Derived:
    """All paths of ``a`` whose output string is not ``string``.

    What is compared are the olabels of a whole path, epsilons skipped, so all the paths that
    write ``string``, however they do it, are left out, and no others. The lowest energy of the
    result is that of the most offending incorrect answer.

    The product with the complement of a string is kept small by counting agreeing labels instead
    of listing the alphabet: each state of ``a`` occurs once for "differs already", and besides
    only along the paths that agree so far. Put word labels at the beginnings of words, and the
    states of a word occur for those positions only at which the string has this word.

    Args:
        a: any graph, cyclic allowed.
        string: labels, 1 or more each; may be empty.

    Returns:
        The trimmed graph and one map, onto ``a``.

    Raises :class:`GraphError` for an epsilon or a negative label in ``string``.
    """
    labels = _string(string)
    offsets, order = group(a.states, a.src)
    width = len(labels) + 2
    keys, rows = difference_walk(offsets, a.olabel[order], a.dst[order], labels, a.starts * width)
    state, agreed = np.divmod(keys, width)
    final = _place(a.states, a.finals)[state]
    finals = np.flatnonzero((final >= 0) & (agreed != len(labels)))
    arc = order[rows[:, 2]]
    return _trimmed(
        [a], len(keys), rows, finals,
        [(arc, np.arange(len(a.starts)), final[finals])],
        a.ilabel[arc], a.olabel[arc], a.isymbols, a.osymbols,
    )  # fmt: skip


def _trimmed(
    operands: list[Graph],
    states: int,
    rows: Ints,
    finals: Ints,
    origins: list[tuple[Ints, Ints, Ints]],
    ilabel: Ints,
    olabel: Ints,
    isymbols: Symbols | None,
    osymbols: Symbols | None,
) -> Derived:
    """The product's graph without dead ends.

    ``rows`` are the walk's arcs; the first states are the start states. ``origins`` tell for each
    operand which of its arcs (or -1), starts and finals each arc, start and final comes from.
    """
    src, dst = rows[:, 0], rows[:, 1]
    starts = np.arange(len(origins[0][1]))
    alive = useful(states, np.ascontiguousarray(src), np.ascontiguousarray(dst), starts, finals)
    number = np.cumsum(alive) - 1
    on_arcs: NDArray[np.bool_] = alive[src] & alive[dst]
    on_starts = alive[starts]
    new_starts, new_finals = number[starts[on_starts]], number[finals]
    arcs = int(on_arcs.sum())
    entries = arcs + len(new_starts) + len(new_finals)
    maps = []
    for graph, (arc, start, final) in zip(operands, origins, strict=True):
        old = np.concatenate((
            arc[on_arcs],
            graph.arcs + start[on_starts],
            graph.arcs + len(graph.starts) + final,
        ))  # fmt: skip
        new = np.flatnonzero(old >= 0)
        maps.append(arc_map(new, old[new], (entries, graph.entries)))
    return derive(
        operands,
        maps,
        int(alive.sum()),
        (number[src[on_arcs]], number[dst[on_arcs]], ilabel[on_arcs], olabel[on_arcs]),
        new_starts,
        new_finals,
        isymbols,
        osymbols,
    )


def _string(labels: Iterable[int]) -> Ints:
    string = np.asarray(list(labels), dtype=np.int64)
    wrong = np.flatnonzero(string <= 0)
    if len(wrong):
        index = int(wrong[0])
        raise GraphError(f"string[{index}] is {string[index]}; labels of a string are 1 or more")
    return string


def complement(string: Sequence[int], labels: int | Iterable[int]) -> Graph:
    """The acceptor of every string over ``labels`` except ``string``: the textbook form.

    :func:`difference` gives what composing with this gives, without listing the alphabet.

    Args:
        string: labels, 1 or more each; may be empty.
        labels: the alphabet; a number L stands for 1 .. L.

    Returns:
        A deterministic graph with N + 2 states: N agreeing labels, then "differs".
    """
    wanted = _string(string)
    alphabet = _string(range(1, labels + 1) if isinstance(labels, int) else labels)
    agreed = np.repeat(np.arange(len(wanted) + 2), len(alphabet))
    label = np.tile(alphabet, len(wanted) + 2)
    same = label == np.append(wanted, [0, 0])[agreed]
    to = np.where(same, agreed + 1, len(wanted) + 1)
    finals = np.delete(np.arange(len(wanted) + 2), len(wanted))
    return Graph.make(len(wanted) + 2, np.stack((agreed, to, label, label), 1), [0], finals)
