"""CUDA kernel of acyclic graphs: their nodes level by level.

The nodes of a level (of equal longest distance from a start) do not depend on each other. Backward,
a node spreads its probability over the entries into it by their shares, which sum to 1 whatever
beta is; sums into one node come from several threads, and are added atomically, in float64.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from seqebm.kernels.dag.packed import Dags, level_of
from seqebm.kernels.machine.checks import kernel_beta
from seqebm.kernels.machine.cuda import (
    barrier,
    cuda,
    gibbs,
    kernel,
    on_device,
    place,
    shape,
    soft_minimum,
)


@kernel
def dag_sweep(
    entry_offsets, node_offsets, fan_offsets, final_offsets, fan_ends, fan_sources, fan_entries,
    final_nodes, level_offsets, level_ends, level_nodes, energies, beta, hard, keep, most_levels,
    alphas, least, totals, choice, gamma, posteriors, free,
):  # fmt: skip
    """Free energies (G,), and with ``keep`` posteriors (E,), zero before.

    Args:
        entry_offsets ... final_nodes: see :class:`seqebm.kernels.dag.packed.Dags`.
        level_offsets: (G + 1,) where the levels of a graph begin; level_ends: where its nodes end
            in ``level_nodes`` (N,), relative to the graph.
        hard: the least energy and the indicator of the best path, whatever beta.
        alphas, least, totals, gamma: (N,) float64; gamma zero before; choice: (N,) int64.
    """
    g, lane, width = place()
    e0, n0, f0 = entry_offsets[g], node_offsets[g], fan_offsets[g]
    z0, finals = final_offsets[g], final_offsets[g + 1] - final_offsets[g]
    first_final = entry_offsets[g + 1] - finals
    v0, levels = level_offsets[g], level_offsets[g + 1] - level_offsets[g]
    for level in range(most_levels):
        if level < levels:
            begin = level_ends[v0 + level - 1] if level > 0 else 0
            for at in range(begin + lane, level_ends[v0 + level], width):
                n = level_nodes[n0 + at]
                first = fan_ends[n0 + n - 1] if n > 0 else 0
                best, chosen = math.inf, -1
                for k in range(first, fan_ends[n0 + n]):
                    energy = energies[e0 + fan_entries[f0 + k]] + 0.0
                    if fan_sources[f0 + k] >= 0:
                        energy += alphas[n0 + fan_sources[f0 + k]]
                    if energy < best:
                        best, chosen = energy, k
                amount = 1.0
                if not hard and best < math.inf:
                    amount = 0.0
                    for k in range(first, fan_ends[n0 + n]):
                        energy = energies[e0 + fan_entries[f0 + k]] + 0.0
                        if fan_sources[f0 + k] >= 0:
                            energy += alphas[n0 + fan_sources[f0 + k]]
                        amount += gibbs(energy, best, beta, energies)
                least[n0 + n], totals[n0 + n], choice[n0 + n] = best, amount, chosen
                alphas[n0 + n] = best if hard else soft_minimum(best, amount, beta, energies)
        barrier()
    best, chosen = math.inf, -1
    for k in range(finals):
        energy = alphas[n0 + final_nodes[z0 + k]] + energies[first_final + k]
        if energy < best:
            best, chosen = energy, k
    amount = 1.0
    if not hard and best < math.inf:
        amount = 0.0
        for k in range(finals):
            amount += gibbs(
                alphas[n0 + final_nodes[z0 + k]] + energies[first_final + k], best, beta, energies
            )
    if lane == 0:
        free[g] = best if hard else soft_minimum(best, amount, beta, energies)
        if keep and chosen >= 0:
            for k in range(finals):
                weight = 1.0 if k == chosen else 0.0
                if not hard:
                    energy = alphas[n0 + final_nodes[z0 + k]] + energies[first_final + k]
                    weight = gibbs(energy, best, beta, energies) / amount
                posteriors[first_final + k] = weight
                gamma[n0 + final_nodes[z0 + k]] += weight
    if not keep:
        return  # of all threads alike
    barrier()
    for level in range(most_levels - 1, -1, -1):
        if level < levels:
            begin = level_ends[v0 + level - 1] if level > 0 else 0
            for at in range(begin + lane, level_ends[v0 + level], width):
                n = level_nodes[n0 + at]
                if gamma[n0 + n] > 0.0:
                    first = fan_ends[n0 + n - 1] if n > 0 else 0
                    for k in range(first, fan_ends[n0 + n]):
                        source = fan_sources[f0 + k]
                        if hard:
                            weight = gamma[n0 + n] if k == choice[n0 + n] else 0.0
                        else:
                            energy = energies[e0 + fan_entries[f0 + k]] + 0.0
                            if source >= 0:
                                energy += alphas[n0 + source]
                            share = gibbs(energy, least[n0 + n], beta, energies) / totals[n0 + n]
                            weight = gamma[n0 + n] * share
                        posteriors[e0 + fan_entries[f0 + k]] = weight
                        if source >= 0 and weight > 0.0:
                            cuda.atomic.add(gamma, n0 + source, weight)
        barrier()


def _by_level(dags: Dags) -> tuple[list[np.ndarray], int]:
    """Offsets and ends of levels and the nodes by level; and the most nodes of a level."""
    begins, fans = dags.node_offsets.numpy(), dags.fan_offsets.numpy()
    offsets, ends, nodes, widest = [0], [], [], 1
    for g in range(dags.graphs):
        fan_end = dags.fan_end.numpy()[begins[g] : begins[g + 1]]
        own = level_of(fan_end, dags.fan_source.numpy()[fans[g] : fans[g + 1]])
        sizes = np.bincount(own)
        widest = max(widest, int(np.max(sizes, initial=1)))
        ends.append(np.cumsum(sizes))
        nodes.append(np.argsort(own, kind="stable"))
        offsets.append(offsets[-1] + len(sizes))
    joined = [np.concatenate([*parts, []]).astype(np.int64) for parts in (ends, nodes)]
    return [np.array(offsets, np.int64), *joined], widest


def free_energies(
    energies: Tensor, packed: list[Tensor], beta: float, with_posterior: bool
) -> tuple[Tensor, Tensor]:
    """The operator ``seqebm::dag_free_energies`` on a device."""
    dags = Dags(*packed)
    device, new = energies.device, torch.float64
    levels, widest = _by_level(dags)
    count = len(levels[2])
    alphas, least, totals = torch.empty(3, count, dtype=new, device=device).unbind()
    gamma = torch.zeros(count, dtype=new, device=device)
    choice = torch.empty(count, dtype=torch.int64, device=device)
    posteriors = torch.zeros(len(energies) if with_posterior else 0, dtype=new, device=device)
    free = torch.empty(dags.graphs, dtype=new, device=device)
    on = on_device([*dags, *levels], device)
    beta = kernel_beta(beta, torch.finfo(energies.dtype).max)
    hard = math.isinf(beta)
    most_levels = int(np.diff(levels[0]).max(initial=0))
    fan = len(dags.fan_source) / max(1, count)
    dag_sweep.launch(
        shape(dags.graphs, widest, fan, device), *on, energies.detach().contiguous(),
        1.0 if hard else beta, hard, with_posterior, most_levels, alphas, least, totals, choice,
        gamma, posteriors, free,
    )  # fmt: skip
    return free.to(energies.dtype), posteriors.to(energies.dtype)
