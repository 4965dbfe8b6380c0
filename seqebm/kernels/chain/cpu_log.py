"""Free energy and gradient of the dense chain in the log domain: any beta, any range of energies.

An exponential per arc, all in float64. The caller uses it for the items that the scaled domain
cannot hold. The backward pass distributes the posterior of each state over the arcs into it by
their *shares* (the Gibbs weight of an arc among those into the same state), which sum to 1 however
large beta is.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.compiled import compiled
from seqebm.kernels.chain.cpu_blocks import copy_row, fold_min, fold_sum
from seqebm.kernels.machine import cells
from seqebm.kernels.machine.jit import JIT, LEAF, fill, take
from seqebm.kernels.machine.lanes import (
    gibbs,
    infinity_like,
    load,
    one_like,
    soft_minimum,
    splat,
    store,
    where_less,
    zero_like,
)


@njit(**LEAF)
def _forward(alphas, before, here, row, transitions, states, wide, beta, least, shares, width):
    """alphas[here] from alphas[before] and the emissions ``row``.

    ``least`` and ``shares``, at ``here``, get the least energy into each state and one over the
    sum of the Gibbs weights relative to it.
    """
    lanes = len(width)
    beta_lanes = splat(beta, row, width)
    temperature = splat(1.0 / beta, row, width)
    for j in range(0, wide, lanes):
        e = load(row, j, width)
        inf = infinity_like(e)
        zero = zero_like(e)
        one = one_like(e)
        best = inf
        for i in range(states):
            arc = splat(alphas[before + i], row, width) + load(transitions, i * wide + j, width)
            best = cells.smaller(best, arc)
        finite = where_less(best, inf, best, zero)
        total = zero
        for i in range(states):
            arc = splat(alphas[before + i], row, width) + load(transitions, i * wide + j, width)
            total = total + gibbs(arc, finite, beta_lanes)
        store(alphas, here + j, e + soft_minimum(best, total, temperature))
        store(least, here + j, finite)
        store(shares, here + j, where_less(zero, total, one / total, zero))


@njit(**LEAF)
def _backward(alphas, before, at, transitions, states, wide, beta, least, shares, posterior,
              previous, counts, buffer, width):  # fmt: skip
    """Spread ``posterior`` over the arcs into its states: ``counts``, and ``previous`` (wide)."""
    lanes = len(width)
    beta_lanes = splat(beta, posterior, width)
    for i in range(states):
        alpha = splat(alphas[before + i], posterior, width)
        total = zero_like(alpha)
        for j in range(0, wide, lanes):
            arc = alpha + load(transitions, i * wide + j, width)
            weight = gibbs(arc, load(least, at + j, width), beta_lanes)
            weight = weight * load(shares, at + j, width) * load(posterior, j, width)
            store(counts, i * wide + j, load(counts, i * wide + j, width) + weight)
            total = total + weight
        previous[i] = fold_sum(total, buffer, width)


@njit(**LEAF)
def _end(alphas, here, final, wide, beta, posterior, buffer, width):
    """Free energy at the end, and the ``posterior`` (wide) of the last label."""
    lanes = len(width)
    least = splat(math.inf, final, width)
    for j in range(0, wide, lanes):
        energy = load(alphas, here + j, width) + load(final, j, width)
        store(posterior, j, energy)
        least = cells.smaller(least, energy)
    best = fold_min(least, buffer, width)
    if math.isinf(best):
        fill(posterior, 0, wide, 0.0)
        return best
    base = splat(best, final, width)
    beta_lanes = splat(beta, final, width)
    sums = zero_like(base)
    for j in range(0, wide, lanes):
        weight = gibbs(load(posterior, j, width), base, beta_lanes)
        store(posterior, j, weight)
        sums = sums + weight
    total = fold_sum(sums, buffer, width)
    for j in range(wide):
        posterior[j] /= total
    return best - math.log(total) / beta


@compiled(**JIT)
def log_worker(
    next_item, items, emissions, lengths, frames, states, wide, transitions, start, final, beta,
    gradient, gamma, counts, energies, width,
):  # fmt: skip
    """Take items until none is left.

    Args:
        items: items to compute; emissions: flat (B, T, S), float32 or float64; lengths: (B,).
        transitions: flat (S, wide), start, final: (wide,); float64, +inf beyond S.
        gamma: flat (B, T, S), counts: flat (B, S, S): written with ``gradient``.
        energies: (B,) float64: written.
    """
    lanes = len(width)
    row = np.empty(wide, np.float64)
    narrow = np.empty(wide, emissions.dtype)
    narrow_buffer = np.empty(lanes, emissions.dtype)
    buffer = np.empty(lanes, np.float64)
    posterior = np.empty(wide, np.float64)
    previous = np.empty(wide, np.float64)
    own_counts = np.empty(states * wide if gradient else 0, np.float64)
    while True:
        number = take(next_item)
        if number >= items.size:
            break
        item = items[number]
        length = lengths[item]
        ring = length if gradient else 2
        alphas = np.empty(ring * wide, np.float64)
        least = np.empty(ring * wide, np.float64)
        shares = np.empty(ring * wide, np.float64)
        for t in range(length):
            copy_row(emissions, (item * frames + t) * states, states, narrow, wide,
                     narrow_buffer, width)  # fmt: skip
            for j in range(wide):
                row[j] = narrow[j]
            here = (t % ring) * wide
            if t == 0:
                for j in range(wide):
                    alphas[here + j] = row[j] + start[j]
            else:
                _forward(alphas, ((t - 1) % ring) * wide, here, row, transitions, states, wide,
                         beta, least, shares, width)  # fmt: skip
        free = _end(alphas, ((length - 1) % ring) * wide, final, wide, beta, posterior,
                    buffer, width)  # fmt: skip
        energies[item] = free
        if not gradient:
            continue
        fill(own_counts, 0, own_counts.size, 0.0)
        fill(previous, 0, wide, 0.0)
        for t in range(length - 1, -1, -1):
            for j in range(states):
                gamma[(item * frames + t) * states + j] = posterior[j]
            if t > 0 and not math.isinf(free):
                _backward(
                    alphas, (t - 1) * wide, t * wide, transitions, states, wide, beta, least,
                    shares, posterior, previous, own_counts, buffer, width,
                )  # fmt: skip
                for j in range(states):
                    posterior[j] = previous[j]
        fill(gamma, (item * frames + length) * states, (item + 1) * frames * states, 0.0)
        for i in range(states):
            for j in range(states):
                counts[(item * states + i) * states + j] = own_counts[i * wide + j]
