"""Acyclic graphs: packed in topological order, and the kernels that sweep them.

A node's energies are combined in the log domain, in float64: an exponential per arc, which is of
little account beside what made the arcs. The backward sweep spreads the posterior of a node over
the entries into it by their *shares* (the Gibbs weight of an entry among those into the same node),
which sum to 1 whatever beta is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from seqebm.kernels.cpu_rows import ENTRY, LEAF, WIDTH, take
from seqebm.kernels.packed import Topology
from seqebm.kernels.threads import launch

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


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
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


@njit(**LEAF)
def _into(energies, first, fan, source, entry, alphas):
    """Energy of the paths that come by one entry of the fan-in."""
    energy = energies[first + entry[fan]]
    return energy if source[fan] < 0 else energy + alphas[source[fan]]


@njit(**ENTRY)
def dag_worker(
    next_graph, entry_offsets, node_offsets, fan_offsets, final_offsets, fan_ends, fan_sources,
    fan_entries, final_nodes, energies, beta, gradient, posteriors, free, paths, path_lengths,
    width,
):  # fmt: skip
    """Take graphs until none is left.

    Args:
        entry_offsets ... final_nodes: see :class:`Dags`.
        energies: (E,) of all entries; beta: inf for the best path.
        gradient: write ``posteriors`` (E,), which is 0 before.
        free: (G,) float64: written.
        paths: (nodes + 2 G,) written at beta = inf: the entries of the best path, from
            ``node_offsets[g] + 2 g`` on; path_lengths: (G,) how many, 0 if there is none.
        width: keeps the compiled code of other sources apart.
    """
    hard = math.isinf(beta)
    while True:
        g = take(next_graph)
        if g >= free.size:
            break
        first = entry_offsets[g]
        nodes = node_offsets[g + 1] - node_offsets[g]
        fan_end = fan_ends[node_offsets[g] : node_offsets[g + 1]]
        source = fan_sources[fan_offsets[g] : fan_offsets[g + 1]]
        entry = fan_entries[fan_offsets[g] : fan_offsets[g + 1]]
        finals = final_nodes[final_offsets[g] : final_offsets[g + 1]]
        first_final = entry_offsets[g + 1] - finals.size
        alphas = np.empty(nodes, np.float64)
        share = np.empty(nodes, np.float64)
        choice = np.empty(nodes, np.int64)
        begin = 0
        for n in range(nodes):
            best = math.inf
            chosen = -1
            for k in range(begin, fan_end[n]):
                energy = _into(energies, first, k, source, entry, alphas)
                if energy < best:
                    best, chosen = energy, k
            alphas[n] = best
            choice[n] = chosen
            if not hard and chosen >= 0:
                total = 0.0
                for k in range(begin, fan_end[n]):
                    weight = 1.0
                    if k != chosen:
                        energy = _into(energies, first, k, source, entry, alphas)
                        weight = math.exp(beta * (best - energy))
                    total += weight
                    if gradient:  # to be turned into posteriors on the way back
                        posteriors[first + entry[k]] = weight
                alphas[n] = best - math.log(total) / beta
                share[n] = 1.0 / total
            begin = fan_end[n]
        best = math.inf
        chosen = -1
        for k in range(finals.size):
            energy = alphas[finals[k]] + energies[first_final + k]
            if energy < best:
                best, chosen = energy, k
        free[g] = best
        path_lengths[g] = 0
        if chosen < 0:
            if gradient:
                posteriors[first : entry_offsets[g + 1]] = 0.0
            continue
        if hard:
            count = 1
            n = finals[chosen]
            while n >= 0:
                count += 1
                n = source[choice[n]]
            at = node_offsets[g] + 2 * g + count - 1
            path_lengths[g] = count
            paths[at] = first_final - first + chosen
            n = finals[chosen]
            while n >= 0:
                at -= 1
                paths[at] = entry[choice[n]]
                n = source[choice[n]]
            if gradient:
                begin = node_offsets[g] + 2 * g
                for k in range(begin, begin + count):
                    posteriors[first + paths[k]] = 1.0
            continue
        total = 0.0
        for k in range(finals.size):
            total += math.exp(beta * (best - alphas[finals[k]] - energies[first_final + k]))
        free[g] = best - math.log(total) / beta
        if not gradient:
            continue
        gamma = np.zeros(nodes, np.float64)
        for k in range(finals.size):
            weight = math.exp(beta * (best - alphas[finals[k]] - energies[first_final + k])) / total
            posteriors[first_final + k] = weight
            gamma[finals[k]] += weight
        for n in range(nodes - 1, -1, -1):
            if choice[n] < 0:
                continue  # not reached: its posteriors are the zeros that they were
            scale = gamma[n] * share[n]
            begin = fan_end[n - 1] if n > 0 else 0
            for k in range(begin, fan_end[n]):
                weight = posteriors[first + entry[k]] * scale
                posteriors[first + entry[k]] = weight
                if source[k] >= 0:
                    gamma[source[k]] += weight


class Swept(NamedTuple):
    """Free energies (G,) float64, posteriors (E,) or (0,), best paths as padded entries."""

    free: NDArray[np.float64]
    posteriors: NDArray[np.floating]
    paths: Ints
    path_lengths: Ints


def sweep(dags: Dags, energies: NDArray[np.floating], beta: float, gradient: bool) -> Swept:
    """Free energies of all graphs, with posteriors if wanted, and best paths at beta = inf."""
    arrays = [t.numpy() for t in dags]
    count = dags.graphs
    nodes = int(arrays[1][-1])
    hard = math.isinf(beta)
    result = Swept(
        np.empty(count, np.float64),
        np.zeros(len(energies) if gradient else 0, energies.dtype),
        np.zeros(nodes + 2 * count if hard else 0, np.int64),
        np.zeros(count, np.int64),
    )
    launch(
        dag_worker, count, *arrays, energies, beta, gradient, result.posteriors, result.free,
        result.paths, result.path_lengths, WIDTH, work=len(energies),
    )  # fmt: skip
    return result
