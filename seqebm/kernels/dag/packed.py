"""Acyclic graphs as the kernels read them: nodes in topological order, and what enters each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqebm.compiled import compiled
from seqebm.kernels.machine.topology import Topology

Ints = NDArray[np.int64]


class Dags(NamedTuple):
    """G acyclic graphs, ready for the kernels; all int64. An *entry* is an arc, a start or a final.

    Attributes:
        entry_offsets: (G + 1,) where the entries of a graph begin, in the order of its topology.
        node_offsets: (G + 1,) where its nodes begin; nodes are numbered in topological order.
        fan_offsets: (G + 1,) where its fan-in (arcs and starts) begins.
        final_offsets: (G + 1,) where its finals begin.
        fan_end: (N,) where the fan-in of each node ends, relative to its graph.
        fan_source: (A + Ns,) node that an arc comes from, -1 for a start; sorted by the node that
            it enters, in the order of the topology within one node.
        fan_entry: (A + Ns,) its entry.
        final_node: (Nf,).
    """

    entry_offsets: Tensor
    node_offsets: Tensor
    fan_offsets: Tensor
    final_offsets: Tensor
    fan_end: Tensor
    fan_source: Tensor
    fan_entry: Tensor
    final_node: Tensor

    @property
    def graphs(self) -> int:
        """Number of graphs, G."""
        return len(self.entry_offsets) - 1


@compiled(nogil=True)
def _ranks(states, src, dst):
    """Topological number of each state, -1 for those on a cycle or behind one (Kahn 1962)."""
    begin = np.zeros(states + 1, np.int64)
    missing = np.zeros(states, np.int64)
    for a in range(src.size):
        begin[src[a] + 1] += 1
        missing[dst[a]] += 1
    begin = np.cumsum(begin)
    at = begin.copy()
    leaving = np.empty(src.size, np.int64)
    for a in range(src.size):
        leaving[at[src[a]]] = dst[a]
        at[src[a]] += 1
    queue = np.empty(states, np.int64)
    rank = np.full(states, -1, np.int64)
    count = 0
    for s in range(states):
        if missing[s] == 0:
            queue[count] = s
            count += 1
    done = 0
    while done < count:
        s = queue[done]
        rank[s] = done
        done += 1
        for k in range(begin[s], begin[s + 1]):
            d = leaving[k]
            missing[d] -= 1
            if missing[d] == 0:
                queue[count] = d
                count += 1
    return rank


@compiled(nogil=True)
def level_of(fan_end, fan_source):
    """(N,) level of each node of one graph: the most arcs that lead to it."""
    level = np.zeros(fan_end.size, np.int64)
    begin = 0
    for n in range(fan_end.size):
        for k in range(begin, fan_end[n]):
            source = fan_source[k]
            if source >= 0 and level[source] >= level[n]:
                level[n] = level[source] + 1
        begin = fan_end[n]
    return level


def _on_cycle(src: Ints, dst: Ints, rank: Ints) -> int:
    """A state on a cycle: walk backwards among the states without a rank until one comes again."""
    before = {int(d): int(s) for s, d in zip(src, dst, strict=True) if rank[s] < 0 and rank[d] < 0}
    state = next(iter(before))
    seen: set[int] = set()
    while state not in seen:
        seen.add(state)
        state = before[state]
    return state


def pack_dag(topology: Topology, number: int = 0) -> Dags:
    """Prepare one graph. Raises ValueError that names a state on a cycle, or out of range."""
    states = int(topology.states)
    src, dst, _, starts, finals = (
        np.ascontiguousarray(values, np.int64).reshape(-1) for values in topology[1:]
    )
    for name, values in (("src", src), ("dst", dst), ("starts", starts), ("finals", finals)):
        wrong = np.flatnonzero((values < 0) | (values >= states))
        if len(wrong):
            index = int(wrong[0])
            raise ValueError(
                f"graph {number}: {name}[{index}] is {values[index]}; there are {states} states"
            )
    rank = _ranks(states, src, dst)
    if (rank < 0).any():
        raise ValueError(
            f"graph {number}: state {_on_cycle(src, dst, rank)} lies on a cycle; "
            "these kernels take acyclic graphs"
        )
    into = np.concatenate((rank[dst], rank[starts]))
    source = np.concatenate((rank[src], np.full(len(starts), -1)))
    order = np.argsort(into, kind="stable")
    fan_end = np.cumsum(np.bincount(into, minlength=states))
    sizes = (len(into) + len(finals), states, len(into), len(finals))
    arrays = [np.array([0, size]) for size in sizes]
    arrays += [fan_end, source[order], order, rank[finals]]
    return Dags(*(torch.from_numpy(np.ascontiguousarray(a, np.int64)) for a in arrays))


def pack_dags(topologies: Sequence[Topology]) -> Dags:
    """Prepare G graphs; the labels of their arcs do not matter.

    Raises:
        ValueError: a state is out of range, or on a cycle; it names the graph and the state.
    """
    return concatenate_dags([pack_dag(t, number) for number, t in enumerate(topologies)])


def concatenate_dags(packs: Sequence[Dags]) -> Dags:
    """Join packed graphs into one batch, numbered one pack after the other."""
    if len(packs) == 1:
        return packs[0]
    if not packs:
        zero, none = torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
        return Dags(*[zero] * 4, *[none] * 4)
    columns = list(zip(*packs, strict=True))
    offsets = [
        torch.cat([torch.zeros(1, dtype=torch.int64), *(part.diff() for part in column)]).cumsum(0)
        for column in columns[:4]
    ]
    return Dags(*offsets, *(torch.cat(column) for column in columns[4:]))
