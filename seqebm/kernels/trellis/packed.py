"""Graphs as the trellis kernels read them: arcs sorted once, reused in every step.

A kernel knows a graph as a :class:`Topology`, plain arrays. :func:`pack` sorts its arcs in the two
orders in which the recursions walk, and :func:`concatenate` joins packed graphs into a batch; all
numbers inside a graph are relative to that graph, so joining copies arrays and shifts nothing.

Arcs that enter one state with one label form a **group**: the emission of the label multiplies the
group once and not each arc. Where all arcs that enter a state carry the same label ("labels on
states", as in every hidden Markov model), there is one group for each state. Epsilon arcs, which
consume no frame, are groups too; they come last, in topological order of the state they enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqebm.compiled import compiled
from seqebm.kernels.machine.topology import Ints, Topology


class Packed(NamedTuple):
    """G topologies, ready for the kernels. An *entry* is an arc, a start or a final, in this order.

    Arrays named ``*_offsets`` are (G + 1,) int64: where the things of graph g begin in flat arrays.

    Attributes:
        entry_offsets, state_offsets, arc_offsets, start_offsets, final_offsets: of entries, etc.
        group_offsets: of groups; class_offsets: of the classes that a graph uses.
        minimum_frames: (G,) fewest frames of any path; -1 if there is no path at all.
        emitting_arcs, emitting_groups: (G,) how many are not epsilon.
        on_states: (G,) 1 if each state that is entered by arcs with a label has one group in all.
        depth: (G,) arcs of the longest chain of epsilon arcs.
        starts, finals: states.
        labels: (A,) class of each arc, -1 for epsilon, in the order of the topology.
        classes: emission classes that occur, ascending within a graph.
        pull_src, pull_arc: (A,) arcs by group: state they leave, number in the topology.
        push_dst, push_label, push_arc: (A,) arcs by the state they leave, those with a label first:
            state they enter, class or -1, number in the topology.
        push_end, epsilon_push_end: (S,) where the arcs of a state end in the push arrays.
        turn_src, turn_dst, turn_label, turn_arc: (A,) arcs with a label, in turns: the first arc
            into each state, then the second into each, and so on; epsilon arcs follow as in the
            pull arrays. Neighbours enter different states, and no sum waits for the one before.
            ``turn_label`` is a number in ``classes``, -1 for epsilon.
        group_dst: state that the group enters; group_label: number in ``classes`` of this graph;
        group_end: where its arcs end in the pull arrays.
    """

    entry_offsets: Ints
    state_offsets: Ints
    arc_offsets: Ints
    start_offsets: Ints
    final_offsets: Ints
    group_offsets: Ints
    class_offsets: Ints
    minimum_frames: Ints
    emitting_arcs: Ints
    emitting_groups: Ints
    on_states: Ints
    depth: Ints
    starts: Ints
    finals: Ints
    labels: Ints
    classes: Ints
    pull_src: Ints
    pull_arc: Ints
    push_dst: Ints
    push_label: Ints
    push_arc: Ints
    push_end: Ints
    epsilon_push_end: Ints
    turn_src: Ints
    turn_dst: Ints
    turn_label: Ints
    turn_arc: Ints
    group_dst: Ints
    group_label: Ints
    group_end: Ints

    @property
    def graphs(self) -> int:
        """Number of graphs, G."""
        return len(self.minimum_frames)


#: The fields of :class:`Packed` come in three kinds: offsets, (G + 1,) int64, which add up where
#: the others are joined; numbers of each graph, (G,) int64; and flat arrays, int32, of arcs where
#: nothing else is said here.
_OFFSETS, _GRAPHS = 7, 12
_SIZES = {
    "starts": "start_offsets", "finals": "final_offsets", "classes": "class_offsets",
    "push_end": "state_offsets", "epsilon_push_end": "state_offsets", "group_dst": "group_offsets",
    "group_label": "group_offsets", "group_end": "group_offsets",
}  # fmt: skip


def join(packed: Packed) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The arrays of ``packed`` in two, which cross the border to torch faster than thirty."""
    return np.concatenate(packed[:_GRAPHS]), np.concatenate(packed[_GRAPHS:])


def split(wide: NDArray[np.int64], flat: NDArray[np.int32]) -> Packed:
    """The opposite of :func:`join`; nothing is copied."""
    graphs = (len(wide) - _OFFSETS) // _GRAPHS
    arrays: list[Ints] = []
    place = 0
    for number in range(_GRAPHS):
        size = graphs + (number < _OFFSETS)
        arrays.append(wide[place : place + size])
        place += size
    place = 0
    for name in Packed._fields[_GRAPHS:]:
        which = Packed._fields.index(_SIZES.get(name, "arc_offsets"))
        size = int(arrays[which][-1])
        arrays.append(flat[place : place + size])
        place += size
    return Packed(*arrays)


@compiled(nogil=True)
def _epsilon_order(src, dst, begin, arcs, rank):
    """Topological rank of each state among the epsilon arcs, and the longest chain; -1: a cycle.

    Args:
        src, dst: states of the epsilon arcs, sorted by ``src``.
        begin: (S + 1,) where the arcs of a state begin.
        arcs: number of epsilon arcs.
        rank: (S,) written.
    """
    states = rank.size
    waiting = np.zeros(states, np.int64)
    length = np.zeros(states, np.int64)
    queue = np.empty(states, np.int64)
    for a in range(arcs):
        waiting[dst[a]] += 1
    last = 0
    for s in range(states):
        if waiting[s] == 0:
            queue[last] = s
            last += 1
    first = 0
    longest = 0
    while first < last:
        s = queue[first]
        rank[s] = first
        first += 1
        longest = max(longest, length[s])
        for a in range(begin[s], begin[s + 1]):
            d = dst[a]
            length[d] = max(length[d], length[s] + 1)
            waiting[d] -= 1
            if waiting[d] == 0:
                queue[last] = d
                last += 1
    if last == states:
        return longest
    for s in range(states):
        if waiting[s] > 0:
            rank[0] = s  # some state on a cycle or after one, for the message
            break
    return -1


@compiled(nogil=True)
def _fewest_frames(states, dst, step, begin, starts, finals):
    """Fewest arcs with ``step`` 1 on any path from a start to a final; -1 if there is none.

    Args:
        dst: (A,) by the state that an arc leaves; ``begin``: (S + 1,) where those of a state begin.
        step: (A,) frames that an arc consumes, 0 or 1.
    """
    frames = np.full(states, -1, np.int64)
    done = np.zeros(states, np.bool_)
    now = np.empty(states + dst.size + starts.size, np.int64)
    later = np.empty(states + dst.size + starts.size, np.int64)
    count = 0
    for s in starts:
        now[count] = s
        count += 1
        frames[s] = 0
    at = 0
    while count > 0:
        more = 0
        while count > 0:
            count -= 1
            s = now[count]
            if done[s]:
                continue
            done[s] = True
            frames[s] = at
            for a in range(begin[s], begin[s + 1]):
                d = dst[a]
                if done[d]:
                    continue
                if step[a] == 0:
                    now[count] = d
                    count += 1
                else:
                    later[more] = d
                    more += 1
        now, later = later, now
        count = more
        at += 1
    fewest = -1
    for s in finals:
        if done[s] and (fewest < 0 or frames[s] < fewest):
            fewest = frames[s]
    return fewest


def _whole(values: Ints) -> NDArray[np.int64]:
    return np.ascontiguousarray(values, np.int64).reshape(-1)


def _begins(states: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(count + 1,) where the things of each state begin, once sorted by state."""
    return np.concatenate(([0], np.cumsum(np.bincount(states, minlength=count))))


def _check(graph: int, name: str, values: NDArray[np.int64], low: int, high: float) -> None:
    wrong = np.flatnonzero((values < low) | (values >= high))
    if len(wrong):
        index = int(wrong[0])
        raise ValueError(f"graph {graph}: {name}[{index}] is {values[index]}, out of range")


def _pack(number: int, topology: Topology) -> Packed:
    states = int(topology.states)
    src, dst, label, starts, finals = (_whole(values) for values in topology[1:])
    for name, values in (("src", src), ("dst", dst), ("starts", starts), ("finals", finals)):
        _check(number, name, values, 0, states)
    _check(number, "label", label, -1, np.inf)
    if not len(src) == len(dst) == len(label):
        raise ValueError(f"graph {number}: src, dst and label differ in length")
    emitting, epsilon = np.flatnonzero(label >= 0), np.flatnonzero(label < 0)
    # A stable sort keeps the order of the arcs: ties between paths go to the arc listed first.
    by_src = emitting[np.argsort(src[emitting], kind="stable")]
    epsilon_by_src = epsilon[np.argsort(src[epsilon], kind="stable")]
    begins = _begins(src[epsilon], states)
    rank = np.zeros(states, np.int64)
    depth = 0
    if len(epsilon):
        depth = _epsilon_order(src[epsilon_by_src], dst[epsilon_by_src], begins, len(epsilon), rank)
        if depth < 0:
            raise ValueError(
                f"graph {number}: a cycle of epsilon arcs leads to state {rank[0]}; remove it first"
            )
    pull = np.concatenate((
        emitting[np.lexsort((label[emitting], dst[emitting]))],
        epsilon[np.argsort(rank[dst[epsilon]], kind="stable")],
    ))  # fmt: skip
    fresh = np.ones(len(pull), np.bool_)
    fresh[1:] = (np.diff(dst[pull]) != 0) | (np.diff(label[pull]) != 0)
    first = np.flatnonzero(fresh)
    group_of = np.empty(len(pull), np.int64)
    group_of[pull] = np.cumsum(fresh) - 1
    push = np.concatenate((by_src, epsilon_by_src))
    group_dst, group_class = dst[pull[first]], label[pull[first]]
    groups = int(np.count_nonzero(group_class >= 0))
    classes, local = np.unique(group_class[:groups], return_inverse=True)
    every = np.argsort(src, kind="stable")
    fewest = _fewest_frames(
        states, dst[every], (label[every] >= 0).astype(np.int64), _begins(src, states), starts,
        finals,
    )  # fmt: skip
    on_states = (
        len(np.unique(group_dst[:groups])) == groups
        and not np.isin(group_dst[:groups], group_dst[groups:]).any()
    )
    entered = dst[pull[: len(emitting)]]
    place = np.arange(len(emitting)) - np.searchsorted(entered, entered)
    turn = np.concatenate(
        (pull[: len(emitting)][np.lexsort((entered, place))], pull[len(emitting) :])
    )
    place_of = np.concatenate((local, np.full(len(first) - groups, -1)))
    sizes = (
        len(src) + len(starts) + len(finals), states, len(src), len(starts), len(finals),
        len(first), len(classes),
    )  # fmt: skip
    flat = (
        starts, finals, label, classes, src[pull], pull, dst[push], label[push], push,
        np.cumsum(np.bincount(src[emitting], minlength=states)),
        len(emitting) + begins[1:],
        src[turn], dst[turn], place_of[group_of[turn]], turn, group_dst, place_of,
        np.append(first[1:], len(pull)) if len(first) else first,
    )  # fmt: skip
    return Packed(
        *(np.array([0, size], np.int64) for size in sizes),
        *(
            np.array([value], np.int64)
            for value in (fewest, len(emitting), groups, int(on_states), depth)
        ),
        *(np.ascontiguousarray(values, np.int32) for values in flat),
    )


def pack(topologies: Sequence[Topology]) -> Packed:
    """Prepare graphs for the kernels.

    Args:
        topologies: G graphs.

    Raises:
        ValueError: a state or label is out of range, or epsilon arcs form a cycle; it names the
            graph.
    """
    return concatenate([_pack(number, topology) for number, topology in enumerate(topologies)])


def concatenate(packs: Sequence[Packed]) -> Packed:
    """Join packed graphs into one batch, numbered one pack after the other."""
    if len(packs) == 1:
        return packs[0]
    if not packs:
        none = np.zeros(0, np.int64)
        rest = len(Packed._fields) - _OFFSETS
        flat = Packed._fields.index("starts") - _OFFSETS
        return Packed(
            *(np.zeros(1, np.int64) for _ in range(_OFFSETS)), *([none] * flat),
            *([none.astype(np.int32)] * (rest - flat)),
        )  # fmt: skip
    columns = list(zip(*packs, strict=True))
    graphs = [len(first) - 1 for first in columns[0]]
    offsets = []
    for column in columns[:_OFFSETS]:
        ends = np.concatenate([values[1:] for values in column])
        bases = np.cumsum([0, *(values[-1] for values in column[:-1])])
        offsets.append(np.concatenate(([0], ends + np.repeat(bases, graphs))))
    return Packed(*offsets, *(np.concatenate(column) for column in columns[_OFFSETS:]))
