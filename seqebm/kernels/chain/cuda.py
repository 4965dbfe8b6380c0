"""CUDA kernels of the dense chain: free energies with posteriors, and best labellings.

A thread has one label of an item, or several; a frame is one barrier. An item has a block, or
several if its labels are very many and the items few.
Tables are float64, whatever the emissions are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seqebm.kernels.machine.cuda import (
    barrier,
    gibbs,
    kernel,
    on_device,
    place,
    shape,
    soft_minimum,
)
from seqebm.lengths import valid_frames


@kernel
def chain_forward_backward(
    emissions, lengths, transitions, transposed, start, final, beta, longest, alphas, ways,
    energies, posteriors, counts, keep,
):  # fmt: skip
    """Free energies (B,); with ``keep`` posteriors (B, T, S) and counts (B, S, S), zero before.

    Args:
        transposed: the transitions [to, from]: threads that own a label each read neighbours.
        alphas: (B, T or 2, S); ways: (B, 2, S), backward.
        counts: [item, to, from].
    """
    b, lane, width = place()
    T, S = lengths[b], emissions.shape[2]
    for t in range(longest):
        if t < T:
            at, before = (t, t - 1) if keep else (t % 2, (t + 1) % 2)
            for j in range(lane, S, width):
                if t == 0:
                    alphas[b, at, j] = start[j] + emissions[b, 0, j]
                    continue
                least = math.inf
                for i in range(S):
                    energy = alphas[b, before, i] + transitions[i, j]
                    if energy < least:
                        least = energy
                if least < math.inf:
                    total = 0.0
                    for i in range(S):
                        energy = alphas[b, before, i] + transitions[i, j]
                        total += gibbs(energy, least, beta, emissions)
                    least = soft_minimum(least, total, beta, emissions)
                alphas[b, at, j] = least + emissions[b, t, j]
        barrier()
    last = T - 1 if keep else (T - 1) % 2
    least = math.inf
    for j in range(S):
        energy = alphas[b, last, j] + final[j]
        if energy < least:
            least = energy
    free = least
    if least < math.inf:
        total = 0.0
        for j in range(S):
            total += gibbs(alphas[b, last, j] + final[j], least, beta, emissions)
        free = soft_minimum(least, total, beta, emissions)
    if lane == 0:
        energies[b] = free
    if not keep:
        return  # of all threads alike
    for t in range(longest - 1, -1, -1):
        if t < T and free < math.inf:
            now, later = t % 2, (t + 1) % 2
            for i in range(lane, S, width):
                if t == T - 1:
                    ways[b, now, i] = final[i]
                else:
                    least = math.inf
                    for j in range(S):
                        energy = transposed[j, i] + emissions[b, t + 1, j] + ways[b, later, j]
                        if energy < least:
                            least = energy
                    total = 0.0
                    if least < math.inf:
                        for j in range(S):
                            energy = transposed[j, i] + emissions[b, t + 1, j] + ways[b, later, j]
                            total += gibbs(energy, least, beta, emissions)
                            used = gibbs(energy + alphas[b, t, i], free, beta, emissions)
                            counts[b, j, i] += used
                    ways[b, now, i] = soft_minimum(least, total, beta, emissions)
                energy = alphas[b, t, i] + ways[b, now, i]
                posteriors[b, t, i] = gibbs(energy, free, beta, emissions)
        barrier()


@kernel
def chain_best(
    emissions, lengths, transitions, start, final, targets, cost, avoid, longest, rows, on_target,
    back, energies, labels,
):  # fmt: skip
    """Best labellings; with ``avoid`` the best one that differs from ``targets`` (B, T).

    A label is reached by a labelling that has left the target, or leaves it here: ``rows``
    (B, 2, S) are the former; the only labelling that has not left it is the target's beginning,
    whose energy is ``on_target`` (B, 2). Each wrong label lessens the energy by ``cost``.

    Args:
        back: (B, T, S) of a signed integer type that holds all labels and S: the label before; -1
            for none; S for the target's.
        labels: (B, T), zero before, written where there is a labelling.
    """
    b, lane, width = place()
    T, S = lengths[b], emissions.shape[2]
    for t in range(longest):
        if t < T:
            now, before = t % 2, (t + 1) % 2
            wanted = targets[b, t] if avoid else -1
            previous = targets[b, t - 1] if avoid and t > 0 else 0
            for j in range(lane, S, width):
                least, chosen = math.inf, -1
                if t == 0:
                    if j != wanted:
                        least = start[j] + 0.0
                else:
                    for i in range(S):
                        energy = rows[b, before, i] + transitions[i, j]
                        if energy < least:
                            least, chosen = energy, i
                    if avoid and j != wanted:
                        energy = on_target[b, before] + transitions[previous, j]
                        if energy < least:
                            least, chosen = energy, S
                less = cost if avoid and j != wanted else 0.0
                rows[b, now, j] = least + (emissions[b, t, j] - less)
                back[b, t, j] = chosen
            if avoid and lane == 0:
                own = start[wanted] + 0.0
                if t > 0:
                    own = on_target[b, before] + transitions[previous, wanted]
                on_target[b, now] = own + emissions[b, t, wanted]
        barrier()
    if lane == 0:
        least, chosen = math.inf, -1
        for j in range(S):
            energy = rows[b, (T - 1) % 2, j] + final[j]
            if energy < least:
                least, chosen = energy, j
        energies[b] = least
        if chosen >= 0:
            left = False
            label = chosen
            for t in range(T - 1, -1, -1):
                if left:
                    labels[b, t] = targets[b, t]
                else:
                    labels[b, t] = label
                    before_ = back[b, t, label]
                    if before_ == S:
                        left = True
                    else:
                        label = before_


def free_energies(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor,
    beta: float, with_posterior: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The operator ``seqebm::chain_free_energies`` on a device."""
    B, T, S = emissions.shape
    longest = int(lengths.max()) if B else 0
    device, dtype, new = emissions.device, emissions.dtype, torch.float64
    alphas = torch.empty(B, T if with_posterior else 2, S, dtype=new, device=device)
    ways = torch.empty(B, 2 if with_posterior else 0, S, dtype=new, device=device)
    energies = torch.empty(B, dtype=new, device=device)
    size = (B, T, S) if with_posterior else (0, 0, 0)
    posteriors = torch.zeros(size, dtype=dtype, device=device)
    # Counts add up over very many frames, in float64.
    counts = torch.zeros((B, S, S) if with_posterior else (0, 0, 0), dtype=new, device=device)
    (on,) = on_device([lengths], device)
    chain_forward_backward.launch(
        shape(B, S, S, device), emissions.detach().contiguous(), on,
        *(t.detach().contiguous() for t in (transitions, transitions.t(), start, final)),
        min(beta, torch.finfo(dtype).max), longest, alphas, ways, energies, posteriors, counts,
        with_posterior,
    )  # fmt: skip
    if not with_posterior:
        return energies.to(dtype), emissions.new_empty(0), emissions.new_empty(0)
    # In the order that the operator's rule for tracing promises.
    return energies.to(dtype), posteriors, counts.transpose(1, 2).to(dtype).contiguous()


def best_paths(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor,
    targets: Tensor, cost: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The operator ``seqebm::chain_best_paths`` on a device; labels (B, T) stay there."""
    B, T, S = emissions.shape
    longest = int(lengths.max()) if B else 0
    device, new = emissions.device, torch.float64
    avoid = len(targets) > 0
    small = torch.int8 if S < 127 else torch.int16 if S < 1 << 15 else torch.int32
    rows = torch.empty(B, 2, S, dtype=new, device=device)
    on_target = torch.empty(B, 2, dtype=new, device=device)
    back = torch.empty(B, T, S, dtype=small, device=device)
    energies = torch.empty(B, dtype=new, device=device)
    labels = torch.zeros(B, T, dtype=torch.int64, device=device)
    on, goal = on_device([lengths, targets if avoid else targets.new_empty(0, T)], device)
    chain_best.launch(
        shape(B, S, S, device), emissions.detach().contiguous(), on,
        *(t.detach().contiguous() for t in (transitions, start, final)), goal, cost, avoid,
        longest, rows, on_target, back, energies, labels,
    )  # fmt: skip
    return energies.to(emissions.dtype), labels


def path_energies(
    emissions: Tensor, lengths: Tensor, labels: Tensor, transitions: Tensor, start: Tensor,
    final: Tensor,
) -> Tensor:  # fmt: skip
    """The operator ``seqebm::chain_path_energies`` on a device."""
    ends, y = on_device([lengths, labels], emissions.device)
    valid = valid_frames(ends, y.shape[1])
    scores = emissions.gather(2, y[:, :, None]).squeeze(2).double().where(valid, 0.0)
    pairs = transitions[y[:, :-1], y[:, 1:]].double().where(valid[:, 1:], 0.0)
    last = y.gather(1, ends[:, None] - 1).squeeze(1)
    total = scores.sum(1) + pairs.sum(1) + start[y[:, 0]] + final[last]
    return total.to(emissions.dtype)
