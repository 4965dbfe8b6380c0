"""Free energy and gradient of the dense chain in the scaled probability domain.

With ``P = exp(-beta A)`` and ``x_t = exp(-beta (e_t - min e_t))``, a step of the forward pass is
``alpha_t = (alpha_t-1 P) x_t``: a vector times a matrix, without an exponential per arc. Each
vector is divided by its maximum, and the logarithms of the maxima add up in float64 (Rabiner 1989,
section V.A, with the maximum instead of the sum).

What underflows is lost, so the worker proves afterwards that it cannot have mattered. All factors
are at most 1. Let ``c_t`` be the maximum that alpha_t was divided by and ``D_t = sum alpha_t
beta_t``, both vectors with maximum 1. Anything that fell below ``floor`` at frame t had a posterior
probability below ``floor / (c_t D_t)``. The worker returns the least ``c_t D_t`` of each item, and
the caller computes an item again in the log domain where it is too small.

Items are worked off in *squads* of several quads in step, so that a panel that has come into the
cache serves them all.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.compiled import compiled
from seqebm.kernels.chain.cpu_blocks import (
    PANEL,
    QUAD,
    copy_row,
    fold_max,
    fold_min,
    fold_sum,
    scale_row,
    sum_quad,
)
from seqebm.kernels.machine.jit import JIT, LEAF, fill, take
from seqebm.kernels.machine.lanes import gibbs, load, splat, store, where_less


@njit(**LEAF)
def _gibbs_row(row, wide, least, beta, out, out_at, width):
    """``out = exp(-beta (row - least))``; zeros where nothing is possible (least = inf)."""
    if math.isinf(least):
        fill(out, out_at, out_at + wide, 0.0)
        return
    base = splat(least, row, width)
    beta_lanes = splat(beta, row, width)
    for j in range(0, wide, len(width)):
        store(out, out_at + j, gibbs(load(row, j, width), base, beta_lanes))


@njit(**LEAF)
def _multiply_row(out, out_at, by, by_at, wide, buffer, width):
    """``out *= by``; returns the greatest product (at least 0)."""
    most = splat(0.0, out, width)
    for j in range(0, wide, len(width)):
        value = load(out, out_at + j, width) * load(by, by_at + j, width)
        store(out, out_at + j, value)
        most = where_less(most, value, value, most)
    return fold_max(most, buffer, width)


@njit(**LEAF)
def _row_max(row, at, wide, buffer, width):
    """The greatest number of a row of numbers >= 0."""
    most = splat(0.0, row, width)
    for j in range(0, wide, len(width)):
        value = load(row, at + j, width)
        most = where_less(most, value, value, most)
    return fold_max(most, buffer, width)


@njit(**LEAF)
def _dot(a, a_at, b, b_at, wide, buffer, width):
    total = splat(0.0, a, width)
    for j in range(0, wide, len(width)):
        total = total + load(a, a_at + j, width) * load(b, b_at + j, width)
    return fold_sum(total, buffer, width)


@njit(**LEAF)
def _posterior_row(a, a_at, b, b_at, states, factor, out, out_at, width):
    """``out[:states] = a * b * factor``, without touching what lies beyond."""
    lanes = len(width)
    whole = states - states % lanes
    by = splat(factor, a, width)
    for j in range(0, whole, lanes):
        store(out, out_at + j, load(a, a_at + j, width) * load(b, b_at + j, width) * by)
    for j in range(whole, states):
        out[out_at + j] = a[a_at + j] * b[b_at + j] * factor


@njit(**LEAF)
def multiply_squad(rows, at, active, panels, states, wide, out, width):
    """``out[slot] = rows[slot] @ matrix`` for the first ``active`` slots, in whole quads."""
    quads = (active + QUAD - 1) // QUAD
    for slot in range(active, quads * QUAD):
        at[slot] = at[active - 1]
    for panel in range(wide // PANEL):
        for quad in range(quads):
            sum_quad(
                rows, at, quad * QUAD, panels, panel * states * PANEL, states,
                out, quad * QUAD * wide + panel * PANEL, wide, width,
            )  # fmt: skip


@njit(**LEAF)
def _inverse(value):
    return 1.0 / value if value > 0.0 else 0.0


@compiled(**JIT)
def scaled_worker(
    next_squad, squads, emissions, lengths, frames, states, wide, forward, backward, start, last,
    constants, beta, floor, keep, gradient, alphas, sides, gamma, energies, worst, width,
):  # fmt: skip
    """Take squads until none is left.

    Args:
        squads: (squads, slots) items, longest first; -1 for none.
        emissions: flat (B, T, S); lengths: (B,); frames: T; states: S; wide: S in whole panels.
        forward, backward: panels of ``exp(-beta (A - a))`` and of its transpose.
        start: (wide,) energies; last: (wide,) ``exp(-beta (final - f))``, 0 beyond S.
        constants: (a, f), the least transition and final energies.
        floor: what is below in a vector with maximum 1 is set to 0, so that no denormal number
            slows a product down.
        keep: keep all vectors and run the backward pass; otherwise two vectors an item.
        gradient: write ``gamma``, and ``alphas`` and ``sides`` for the transitions.
        alphas: flat (B, T or 2, wide): written: forward vectors.
        sides: flat (B, T or 1, wide): written: ``x_t beta_t / (c_t D_t)``, so that the expected
            transitions into frame t are ``alphas[t - 1] P sides[t]``.
        gamma: flat (B, T, S): written: posteriors.
        energies: (B,) float64: written. worst: (B,) float64: written: least ``c_t D_t`` with
            ``keep``, least ``c_t`` without; 0 where an item is out of range or infeasible.
    """
    lanes = len(width)
    slots = squads.shape[1]
    out = np.empty(slots * wide, alphas.dtype)
    tails = np.empty(slots * wide, alphas.dtype)
    sums = np.empty(slots * wide, alphas.dtype)
    row = np.empty(wide, alphas.dtype)
    buffer = np.empty(lanes, alphas.dtype)
    at = np.empty(slots, np.int64)
    total = np.empty(slots, np.float64)
    scales = np.empty(slots * (frames if keep else 1), np.float64)
    ring = frames if keep else 2
    while True:
        squad = take(next_squad)
        if squad >= squads.shape[0]:
            break
        active = 0
        while active < slots and squads[squad, active] >= 0:
            active += 1
        members = active
        for t in range(lengths[squads[squad, 0]]):
            while lengths[squads[squad, active - 1]] <= t:
                active -= 1
            if t > 0:
                for slot in range(active):
                    at[slot] = (squads[squad, slot] * ring + (t - 1) % ring) * wide
                multiply_squad(alphas, at, active, forward, states, wide, out, width)
            for slot in range(active):
                item = squads[squad, slot]
                least = copy_row(
                    emissions, (item * frames + t) * states, states, row, wide, buffer, width
                )
                here = (item * ring + t % ring) * wide
                scale = 1.0
                if t == 0:
                    smallest = splat(math.inf, row, width)
                    for j in range(0, wide, lanes):
                        value = load(row, j, width) + load(start, j, width)
                        store(row, j, value)
                        smallest = where_less(value, smallest, value, smallest)
                    least = fold_min(smallest, buffer, width)
                    _gibbs_row(row, wide, least, beta, alphas, here, width)
                    total[slot] = 0.0
                    worst[item] = 0.0 if math.isinf(least) else 1.0
                    energies[item] = least
                else:
                    side_at = (item * frames + t) * wide if keep else item * wide
                    _gibbs_row(row, wide, least, beta, sides, side_at, width)
                    scale = _multiply_row(out, slot * wide, sides, side_at, wide, buffer, width)
                    scale_row(out, slot * wide, wide, _inverse(scale), floor, alphas, here, width)
                    worst[item] = min(worst[item], scale)
                    if scale > 0.0:
                        total[slot] += math.log(scale)
                        energies[item] += least + constants[0]
                if keep:
                    scales[slot * frames + t] = scale
                if lengths[item] == t + 1:
                    mass = _dot(alphas, here, last, 0, wide, buffer, width)
                    if mass > 0.0:
                        total[slot] += math.log(mass)
                    else:
                        worst[item] = 0.0
                    energies[item] += constants[1] - total[slot] / beta
        if not keep:
            continue
        for slot in range(members):
            for j in range(wide):
                tails[slot * wide + j] = last[j]
        active = members
        for step in range(lengths[squads[squad, 0]]):
            while lengths[squads[squad, active - 1]] <= step:
                active -= 1
            for slot in range(active):
                item = squads[squad, slot]
                t = lengths[item] - 1 - step
                here = (item * frames + t) * wide
                mass = _dot(alphas, here, tails, slot * wide, wide, buffer, width)
                scale = scales[slot * frames + t]
                worst[item] = min(worst[item], mass * scale)
                if gradient:
                    _posterior_row(
                        alphas, here, tails, slot * wide, states, _inverse(mass), gamma,
                        (item * frames + t) * states, width,
                    )  # fmt: skip
                at[slot] = slot * wide
                if t > 0:
                    _multiply_row(tails, slot * wide, sides, here, wide, buffer, width)
                    if gradient:
                        factor = _inverse(mass * scale)
                        scale_row(tails, slot * wide, wide, factor, 0.0, sides, here, width)
            remaining = active
            while remaining > 0 and lengths[squads[squad, remaining - 1]] <= step + 1:
                remaining -= 1
            if remaining > 0:
                multiply_squad(tails, at, remaining, backward, states, wide, sums, width)
            for slot in range(remaining):
                most = _row_max(sums, slot * wide, wide, buffer, width)
                scale_row(sums, slot * wide, wide, _inverse(most), floor, tails, slot * wide, width)
        if gradient:
            for slot in range(members):
                item = squads[squad, slot]
                first, after = item * frames + lengths[item], (item + 1) * frames
                fill(gamma, first * states, after * states, 0.0)
                fill(alphas, first * wide, after * wide, 0.0)
                fill(sides, first * wide, after * wide, 0.0)
