"""The kernel that sweeps acyclic graphs in topological order.

A node's energies are combined in the log domain, in float64: an exponential per arc, which is of
little account beside what made the arcs. The backward sweep spreads the posterior of a node over
the entries into it by their *shares* (the Gibbs weight of an entry among those into the same node),
which sum to 1 whatever beta is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from seqebm.compiled import compiled
from seqebm.kernels.dag.packed import Dags, Ints
from seqebm.kernels.machine.jit import JIT, LEAF, WIDTH, take
from seqebm.kernels.machine.threads import launch


@njit(**LEAF)
def _into(energies, first, fan, source, entry, alphas):
    """Energy of the paths that come by one entry of the fan-in."""
    energy = energies[first + entry[fan]]
    return energy if source[fan] < 0 else energy + alphas[source[fan]]


@compiled(**JIT)
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
