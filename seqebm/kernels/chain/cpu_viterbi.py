"""Best labellings of the dense chain, and the best one that differs from a given labelling.

The forward pass stores the least energies only. The traceback computes the arg min again, along
the traced path alone: T S operations, where storing back pointers costs T S^2 comparisons and
as many selects. Four sequences share each read of the matrix (``cpu_blocks``).

The best *incorrect* labelling is found by a chain of two layers: "equal to the target so far",
which holds a single state in each frame, and "differs". A path leaves the first layer at its
first wrong label and never comes back; it must end in the second.

Energies in the table are relative to the least of the frame before, so float32 keeps its digits at
any length. The energy of the path found is summed in float64.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.compiled import compiled
from seqebm.kernels.chain.cpu_blocks import PANEL, QUAD, fold_min, min_quad
from seqebm.kernels.machine import cells
from seqebm.kernels.machine.jit import JIT, LEAF, take
from seqebm.kernels.machine.lanes import load, splat, store, where_less, zero_like


@njit(**LEAF)
def _next_row(out, out_at, row, row_at, shift, wide, table, table_at, buffer, width):
    """``table = out + (row - shift)``; returns the least of it."""
    least = splat(math.inf, out, width)
    base = splat(shift, out, width)
    for j in range(0, wide, len(width)):
        value = load(out, out_at + j, width) + (load(row, row_at + j, width) - base)
        store(table, table_at + j, value)
        least = cells.smaller(least, value)
    return fold_min(least, buffer, width)


@njit(**LEAF)
def _leave(out, out_at, wide, same, transitions, source, label, width):
    """Let paths leave the target at this frame: from ``source`` to any label but ``label``."""
    own = out[out_at + label]
    base = splat(same, out, width)
    for j in range(0, wide, len(width)):
        value = base + load(transitions, source * wide + j, width)
        store(out, out_at + j, cells.smaller(load(out, out_at + j, width), value))
    out[out_at + label] = own


@njit(**LEAF)
def _charge(row, states, label, cost):
    """Emissions less the cost of a wrong label."""
    for j in range(states):
        if j != label:
            row[j] -= cost


@njit(**LEAF)
def _least_sum(a, a_at, b, b_at, wide, least, first, width):
    """The least of ``a + b`` and its first index; ``least`` and ``first`` (W) are scratch."""
    lanes = len(width)
    best = load(a, a_at, width) + load(b, b_at, width)
    index = zero_like(best)
    for j in range(lanes, wide, lanes):
        value = load(a, a_at + j, width) + load(b, b_at + j, width)
        index = where_less(value, best, splat(j, a, width), index)
        best = cells.smaller(best, value)
    store(first, 0, index)
    lowest = fold_min(best, least, width)
    place = wide
    for lane in range(lanes):
        here = int(first[lane]) + lane if least[lane] == lowest else wide
        place = min(place, here)
    return lowest, place


@njit(**LEAF)
def _trace(table, begin, wide, length, columns, final, targets, same, path, least, first, width):
    """Labels of the best path from the table of an item; ``path`` (T,) is written.

    ``targets`` and ``same`` are empty where there is no target; ``same[t]`` is the energy of the
    target up to frame t, relative as the table is. Returns whether a path exists.
    """
    best, label = _least_sum(
        table, begin + (length - 1) * wide, final, 0, wide, least, first, width
    )
    if math.isinf(best):
        return False
    path[length - 1] = label
    for t in range(length - 1, 0, -1):
        column = label * wide
        best, source = _least_sum(
            table, begin + (t - 1) * wide, columns, column, wide, least, first, width
        )
        if targets.size > 0 and label != targets[t]:
            other = same[t - 1] + columns[column + targets[t - 1]]
            if other < best:
                for before in range(t):
                    path[before] = targets[before]
                return True
        label = source
        path[t - 1] = label
    return True


@compiled(**JIT)
def viterbi_worker(
    next_squad, squads, emissions, lengths, frames, states, wide, panels, rows, columns, start,
    final, targets, cost, table, paths, energies, width,
):  # fmt: skip
    """Take squads of items until none is left.

    Args:
        squads: (squads, slots) items, longest first; -1 for none.
        emissions: flat (B, T, S); lengths: (B,); frames: T; states: S; wide: S in whole panels.
        panels: of the transitions; rows, columns: flat (S, wide) transitions and their transpose.
        start, final: (wide,); +inf beyond S, as in panels, rows and columns.
        targets: (B, T) labellings that are not allowed, or (0, T); cost: subtracted from the
            energy for every label that differs from the target's.
        table: flat (B, T, wide): written: energies of the best paths, relative.
        paths: (B, T): written. energies: (B,) float64: written: energy of the path less its
            cost; inf where there is none.
    """
    lanes = len(width)
    slots = squads.shape[1]
    avoid = targets.shape[0] > 0
    out = np.empty(slots * wide, table.dtype)
    row = np.full(wide, math.inf, table.dtype)
    buffer = np.empty(lanes, table.dtype)
    first = np.empty(lanes, table.dtype)
    at = np.empty(slots, np.int64)
    same = np.empty(slots * frames if avoid else 0, table.dtype)
    exact = np.zeros(slots, np.float64)
    shift = np.zeros(slots, np.float64)
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
                quads = (active + QUAD - 1) // QUAD
                for slot in range(quads * QUAD):
                    item = squads[squad, min(slot, active - 1)]
                    at[slot] = (item * frames + t - 1) * wide
                for panel in range(wide // PANEL):
                    for quad in range(quads):
                        min_quad(
                            table, at, quad * QUAD, panels, panel * states * PANEL, states,
                            out, quad * QUAD * wide + panel * PANEL, wide, width,
                        )  # fmt: skip
            for slot in range(active):
                item = squads[squad, slot]
                here = slot * wide
                table_at = (item * frames + t) * wide
                begin = (item * frames + t) * states
                if t == 0:
                    shift[slot] = 0.0
                    for j in range(wide):
                        out[here + j] = start[j]
                if not avoid and states == wide:
                    least = _next_row(
                        out, here, emissions, begin, shift[slot], wide, table, table_at, buffer,
                        width,
                    )  # fmt: skip
                else:
                    for j in range(states):
                        row[j] = emissions[begin + j]
                    if avoid:
                        label = targets[item, t]
                        own = row[label] - shift[slot]
                        _charge(row, states, label, cost)
                        if t == 0:
                            out[here + label] = math.inf
                            exact[slot] = start[label] + own
                        else:
                            source = targets[item, t - 1]
                            _leave(out, here, wide, same[slot * frames + t - 1], rows, source,
                                   label, width)  # fmt: skip
                            exact[slot] += rows[source * wide + label] + own
                        same[slot * frames + t] = exact[slot]
                    least = _next_row(
                        out, here, row, 0, shift[slot], wide, table, table_at, buffer, width
                    )
                # What this frame's energies are above will be taken off at the next one.
                shift[slot] = 0.0 if math.isinf(least) else least
        for slot in range(members):
            item = squads[squad, slot]
            length = lengths[item]
            target = targets[item, :length] if avoid else targets[:0].reshape(-1)
            path = paths[item]
            found = _trace(
                table, item * frames * wide, wide, length, columns, final, target,
                same[slot * frames : (slot + 1) * frames], path, buffer, first, width,
            )  # fmt: skip
            if not found:
                energies[item] = math.inf
                continue
            energy = np.float64(start[path[0]]) + np.float64(final[path[length - 1]])
            for t in range(length):
                energy += emissions[(item * frames + t) * states + path[t]]
                if t > 0:
                    energy += rows[path[t - 1] * wide + path[t]]
                if avoid and path[t] != target[t]:
                    energy -= cost
            energies[item] = energy
