"""Compiled walks over the product of two automata: only what is accessible is built.

A state of the product is known by one number, its key. Keys that were met are kept in the order
of their discovery, with an open-addressing hash table beside them, so that time and memory follow
the accessible part and not the product of the sizes.
"""

from __future__ import annotations

import numpy as np

from seqebm.compiled import compiled
from seqebm.graphs._walks import JIT
from seqebm.graphs.graph import Ints


@compiled(**JIT)
def _slot(table, keys, key):
    """Where in the hash table ``key`` is, or would be put."""
    mask = table.size - 1
    # Fibonacci hashing: the high bits of a product are well mixed.
    at = ((key * 0x9E3779B97F4A7C1) >> 20) & mask
    while table[at] >= 0 and keys[table[at]] != key:
        at = (at + 1) & mask
    return at


@compiled(**JIT)
def _number(table, keys, count, key):
    """State number of ``key``, which is added if it is new; with the arrays, perhaps regrown."""
    at = _slot(table, keys, key)
    if table[at] >= 0:
        return table[at], table, keys, count
    if count == keys.size:
        wider = np.empty(2 * count, np.int64)
        wider[:count] = keys
        keys = wider
        table = np.full(2 * table.size, -1, np.int64)
        for n in range(count):
            table[_slot(table, keys, keys[n])] = n
        at = _slot(table, keys, key)
    keys[count] = key
    table[at] = count
    return count, table, keys, count + 1


@compiled(**JIT)
def _push(rows, count, src, dst, left, right):
    """Append a row to a growing array."""
    if count == rows.shape[0]:
        wider = np.empty((2 * count, 4), np.int64)
        wider[:count] = rows
        rows = wider
    rows[count, 0] = src
    rows[count, 1] = dst
    rows[count, 2] = left
    rows[count, 3] = right
    return rows, count + 1


@compiled(**JIT)
def _bisect(labels, low, high, label):
    """First place in the sorted ``labels[low:high]`` that is not below ``label``."""
    while low < high:
        middle = (low + high) // 2
        if labels[middle] < label:
            low = middle + 1
        else:
            high = middle
    return low


@compiled(**JIT)
def compose_walk(
    a_offsets: Ints, a_label: Ints, a_dst: Ints,
    b_offsets: Ints, b_label: Ints, b_dst: Ints,
    seeds: Ints,
) -> tuple[Ints, Ints]:  # fmt: skip
    """Accessible product of two automata whose arcs are sorted by (state, label).

    A key is ``(state of a * states of b + state of b) * 2 + filter``. The filter lets epsilons of
    a go first: after one of b, those of a wait for the next label that both read. So two epsilons
    that could be taken in either order are taken in one (Mohri, Pereira & Riley 2002, section
    5.1: the epsilon-sequencing filter), and no path is counted twice.

    Args:
        a_offsets, b_offsets: ``(S + 1,)`` where the arcs of a state begin.
        a_label, b_label: ``(A,)`` labels to match; 0 moves one side alone.
        a_dst, b_dst: ``(A,)`` states that arcs enter.
        seeds: distinct keys of the start states.

    Returns:
        keys: ``(S',)``, states of the product, the seeds first.
        rows: ``(A', 4)``, arcs: source, destination, arc of a or -1, arc of b or -1.
    """
    b_states = b_offsets.size - 1
    size = 64
    while size < 4 * seeds.size:
        size *= 2
    table = np.full(size, -1, np.int64)
    keys = np.empty(size // 2, np.int64)
    rows = np.empty((64, 4), np.int64)
    count, arcs = 0, 0
    for key in seeds:
        _, table, keys, count = _number(table, keys, count, key)
    at = 0
    while at < count:
        key = keys[at]
        waiting = key % 2
        p, q = (key // 2) // b_states, (key // 2) % b_states
        i, i_end = a_offsets[p], a_offsets[p + 1]
        j, j_end = b_offsets[q], b_offsets[q + 1]
        while i < i_end and a_label[i] == 0:
            if not waiting:
                key = (a_dst[i] * b_states + q) * 2
                to, table, keys, count = _number(table, keys, count, key)
                rows, arcs = _push(rows, arcs, at, to, i, -1)
            i += 1
        while j < j_end and b_label[j] == 0:
            key = (p * b_states + b_dst[j]) * 2 + 1
            to, table, keys, count = _number(table, keys, count, key)
            rows, arcs = _push(rows, arcs, at, to, -1, j)
            j += 1
        # The side with fewer arcs asks, the other one is searched.
        swap = i_end - i > j_end - j
        k, k_end = (j, j_end) if swap else (i, i_end)
        low, high = (i, i_end) if swap else (j, j_end)
        asking, asked = (b_label, a_label) if swap else (a_label, b_label)
        for mine in range(k, k_end):
            label = asking[mine]
            low = _bisect(asked, low, high, label)
            other = low
            while other < high and asked[other] == label:
                left, right = (other, mine) if swap else (mine, other)
                key = (a_dst[left] * b_states + b_dst[right]) * 2
                to, table, keys, count = _number(table, keys, count, key)
                rows, arcs = _push(rows, arcs, at, to, left, right)
                other += 1
        at += 1
    return keys[:count].copy(), rows[:arcs].copy()


@compiled(**JIT)
def difference_walk(
    offsets: Ints, label: Ints, dst: Ints, string: Ints, seeds: Ints
) -> tuple[Ints, Ints]:
    """Accessible product with the automaton that accepts all strings but one.

    That automaton counts the labels that agree with ``string`` so far, 0 .. N; once a label
    disagrees or is one too many it stays at N + 1. "Any other label" is a comparison, not a list
    of arcs. A key is ``state * (N + 2) + count``. Arguments and results as in
    :func:`compose_walk`, the last column of the rows being -1.
    """
    width = string.size + 2
    size = 64
    while size < 4 * seeds.size:
        size *= 2
    table = np.full(size, -1, np.int64)
    keys = np.empty(size // 2, np.int64)
    rows = np.empty((64, 4), np.int64)
    count, arcs = 0, 0
    for key in seeds:
        _, table, keys, count = _number(table, keys, count, key)
    at = 0
    while at < count:
        state, agreed = keys[at] // width, keys[at] % width
        for arc in range(offsets[state], offsets[state + 1]):
            then = agreed
            if label[arc] != 0:
                same = agreed < string.size and label[arc] == string[agreed]
                then = agreed + 1 if same else string.size + 1
            to, table, keys, count = _number(table, keys, count, dst[arc] * width + then)
            rows, arcs = _push(rows, arcs, at, to, arc, -1)
        at += 1
    return keys[:count].copy(), rows[:arcs].copy()
