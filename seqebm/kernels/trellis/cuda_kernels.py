"""CUDA kernels of the trellis: free energies with posteriors, and best paths.

One launch a batch, with the loop over frames inside. An item has ``width`` threads, of a block that
it may share with others if they are small, or of several blocks if it is large and alone. Threads
share out the states, which pull over the arcs that enter them (arcs are sorted by the state they
enter), so nothing is added atomically but class posteriors.

Tables are float64, whatever the emissions are: no running offset is needed, and a frame has one
barrier. Backward, a row of energies of the ways on is kept for two frames only. Forward rows are
all kept, or, where ``segment`` is less than the frames, every ``segment``-th, and those between are
computed again when they are needed (checkpointing).
"""

from __future__ import annotations

import math

from seqebm.kernels.machine.cuda import (
    barrier,
    cuda,
    device_function,
    gibbs,
    kernel,
    place,
    soft_minimum,
)

# The places of a graph in the flat arrays, as columns of ``bounds`` (G, 9), and whether its labels
# are on states.
ENTRY, ARC, STATE, START, FINAL, EMITTING, ARCS, STATES, BY_STATE = range(9)


@device_function
def _pulled(b, t, first, last, arrays, energies, emissions, e0, a0, row, beta):
    """Free energy of reaching a state over its emitting arcs ``first .. last`` of the pull arrays.

    ``beta`` = inf gives the least energy.
    """
    pull_src, pull_arc, pull_class = arrays
    least = math.inf
    for a in range(first, last):
        energy = row[pull_src[a0 + a]] + (
            energies[e0 + pull_arc[a0 + a]] + emissions[b, t, pull_class[a0 + a]]
        )
        if energy < least:
            least = energy
    if math.isinf(beta) or least == math.inf:
        return least
    total = 0.0
    for a in range(first, last):
        energy = row[pull_src[a0 + a]] + (
            energies[e0 + pull_arc[a0 + a]] + emissions[b, t, pull_class[a0 + a]]
        )
        total += gibbs(energy, least, beta, emissions)
    return soft_minimum(least, total, beta, emissions)


@device_function
def _either(one, two, beta, like):
    """Free energy of two energies."""
    least = two if two < one else one
    if math.isinf(beta) or least == math.inf:
        return least
    total = gibbs(one, least, beta, like) + gibbs(two, least, beta, like)
    return soft_minimum(least, total, beta, like)


@device_function
def _epsilons(forwards, bounds, g, arrays, dst_of, energies, row, beta):
    """Epsilon arcs, in topological order or against it. They are few: one thread does them."""
    pull_src, pull_arc, _ = arrays
    a0, e0 = bounds[g, ARC], bounds[g, ENTRY]
    first, last = bounds[g, EMITTING], bounds[g, ARCS]
    for n in range(last - first):
        a = a0 + (first + n if forwards else last - 1 - n)
        source, target = pull_src[a], dst_of[a]
        energy = energies[e0 + pull_arc[a]]
        if forwards:
            row[target] = _either(row[target], row[source] + energy, beta, energies)
        else:
            row[source] = _either(row[source], row[target] + energy, beta, energies)


@device_function
def _step(b, t, g, lane, width, bounds, pull_end, arrays, energies, emissions, before, row, beta):
    """Row of energies after frame ``t``, of emitting arcs; each thread has its states."""
    for s in range(lane, bounds[g, STATES], width):
        own = bounds[g, STATE] + s
        first = pull_end[own - 1] if s > 0 else 0
        row[s] = _pulled(
            b, t, first, pull_end[own], arrays, energies, emissions, bounds[g, ENTRY],
            bounds[g, ARC], before, beta,
        )  # fmt: skip


@kernel
def trellis_forward_backward(
    emissions, lengths, graph_of, energies, bounds, starts, finals, pull_end, pull_src, pull_arc,
    pull_class, dst_of, state_class, push_end, push_dst, push_class, push_arc, beta, longest,
    segment, kept, rows, ways, free, posterior, counts, count_offsets_, with_posterior, with_counts,
):  # fmt: skip
    """Free energies, and expected uses of classes (B, T, C) and of entries.

    Args:
        bounds: (G, 9), see the constants; pull_end, push_end: (S,) ends of the emitting arcs.
        state_class: (S,) class of the arcs into each state, where labels are on states; or -1.
        longest: frames of the longest item; segment: rows of ``kept`` that are consecutive.
        kept: (B, n, S) rows that are kept: one a segment, if there are several.
        rows: (B, segment + 1, S) forward rows of a segment; ways: (B, 2, S), backward.
        posterior, counts: zero before; sizes 0 where not wanted.
    """
    b, lane, width = place()
    here = b < lengths.size
    if not here:
        b = 0  # goes through the barriers, writes nothing
    g = graph_of[b]
    T = lengths[b] if here else -1
    arrays = (pull_src, pull_arc, pull_class)
    e0, a0, states = bounds[g, ENTRY], bounds[g, ARC], bounds[g, STATES]
    arcs = bounds[g, ARCS]
    first_start, count_starts = bounds[g, START], bounds[g + 1, START] - bounds[g, START]
    first_final, count_finals = bounds[g, FINAL], bounds[g + 1, FINAL] - bounds[g, FINAL]
    keep = with_posterior or with_counts
    several = longest + 1 > segment
    epsilon = bounds[g, EMITTING] < arcs
    # One sum for each state, and not for each arc, where all arcs into a state have one label.
    by_state = with_posterior and bounds[g, BY_STATE] == 1
    by_arc = with_posterior and not by_state

    # Forward.
    for t in range(longest + 1):
        at = t % (segment + 1) if several or not keep else t
        last_at = (t - 1) % (segment + 1) if several or not keep else t - 1
        if t <= T:
            if t == 0:
                for s in range(lane, states, width):
                    rows[b, 0, s] = math.inf
            else:
                _step(
                    b, t - 1, g, lane, width, bounds, pull_end, arrays, energies, emissions,
                    rows[b, last_at], rows[b, at], beta,
                )  # fmt: skip
        barrier()
        if t <= T and lane == 0 and (t == 0 or epsilon):
            if t == 0:
                for n in range(count_starts):
                    rows[b, 0, starts[first_start + n]] = energies[e0 + arcs + n]
            _epsilons(True, bounds, g, arrays, dst_of, energies, rows[b, at], beta)
        barrier()
        if keep and several and t <= T and t % segment == 0:
            for s in range(lane, states, width):
                kept[b, t // segment, s] = rows[b, at, s]
    # The free energy, by the final states; each thread computes it for itself.
    end_at = T % (segment + 1) if several or not keep else T
    least = math.inf
    if here:
        for n in range(count_finals):
            energy = (
                rows[b, end_at, finals[first_final + n]] + energies[e0 + arcs + count_starts + n]
            )
            if energy < least:
                least = energy
    total = least
    if least < math.inf and not math.isinf(beta):
        amount = 0.0
        for n in range(count_finals):
            amount += gibbs(
                rows[b, end_at, finals[first_final + n]] + energies[e0 + arcs + count_starts + n],
                least, beta, emissions,
            )  # fmt: skip
        total = soft_minimum(least, amount, beta, emissions)
    if here and lane == 0:
        free[b] = total
    if not keep:
        return  # of all threads of all blocks alike
    alive = total < math.inf
    first_count = count_offsets_[b] if with_counts else 0
    barrier()

    # Backward, segment by segment from the last.
    for part in range(longest // segment, -1, -1):
        begin = part * segment
        stop = begin + segment if begin + segment < longest + 1 else longest + 1
        if several:
            for s in range(lane, states, width):
                if begin <= T:
                    rows[b, 0, s] = kept[b, part, s]
            barrier()
            for t in range(begin + 1, stop):
                if t <= T:
                    _step(
                        b, t - 1, g, lane, width, bounds, pull_end, arrays, energies, emissions,
                        rows[b, t - 1 - begin], rows[b, t - begin], beta,
                    )  # fmt: skip
                barrier()
                if epsilon and t <= T and lane == 0:
                    _epsilons(True, bounds, g, arrays, dst_of, energies, rows[b, t - begin], beta)
                barrier()
        for t in range(stop - 1, begin - 1, -1):
            now, later = t % 2, (t + 1) % 2
            if t <= T and alive:
                for s in range(lane, states, width):
                    if t == T:
                        ways[b, now, s] = math.inf
                        continue
                    own = bounds[g, STATE] + s
                    first = push_end[own - 1] if s > 0 else 0
                    least = math.inf
                    for a in range(first, push_end[own]):
                        energy = ways[b, later, push_dst[a0 + a]] + (
                            energies[e0 + push_arc[a0 + a]] + emissions[b, t, push_class[a0 + a]]
                        )
                        if energy < least:
                            least = energy
                    amount = 0.0
                    if least < math.inf:
                        for a in range(first, push_end[own]):
                            energy = ways[b, later, push_dst[a0 + a]] + (
                                energies[e0 + push_arc[a0 + a]]
                                + emissions[b, t, push_class[a0 + a]]
                            )
                            amount += gibbs(energy, least, beta, emissions)
                            if not (by_arc or with_counts):
                                continue
                            # The probability of the arc at this frame.
                            used = gibbs(energy + rows[b, t - begin, s], total, beta, emissions)
                            if used > 0.0:
                                if by_arc:
                                    cuda.atomic.add(posterior, (b, t, push_class[a0 + a]), used)
                                if with_counts:
                                    counts[first_count + push_arc[a0 + a]] += used
                    ways[b, now, s] = soft_minimum(least, amount, beta, emissions)
            barrier()
            if t <= T and alive and lane == 0:
                if t == T:
                    for n in range(count_finals):
                        state = finals[first_final + n]
                        energy = energies[e0 + arcs + count_starts + n]
                        ways[b, now, state] = energy
                        if with_counts:
                            counts[first_count + arcs + count_starts + n] = gibbs(
                                energy + rows[b, t - begin, state], total, beta, emissions
                            )
                if epsilon:
                    _epsilons(False, bounds, g, arrays, dst_of, energies, ways[b, now], beta)
                    if with_counts:
                        for a in range(a0 + bounds[g, EMITTING], a0 + arcs):
                            energy = energies[e0 + pull_arc[a]] + ways[b, now, dst_of[a]]
                            counts[first_count + pull_arc[a]] += gibbs(
                                energy + rows[b, t - begin, pull_src[a]], total, beta, emissions
                            )
                if t == 0 and with_counts:
                    for n in range(count_starts):
                        energy = energies[e0 + arcs + n] + ways[b, now, starts[first_start + n]]
                        counts[first_count + arcs + n] = gibbs(energy, total, beta, emissions)
            barrier()
            if by_state and alive and 0 < t <= T:
                for s in range(lane, states, width):
                    label = state_class[bounds[g, STATE] + s]
                    if label >= 0:
                        energy = rows[b, t - begin, s] + ways[b, now, s]
                        used = gibbs(energy, total, beta, emissions)
                        if used > 0.0:
                            cuda.atomic.add(posterior, (b, t - 1, label), used)


@kernel
def trellis_best(
    emissions, lengths, graph_of, energies, bounds, starts, finals, pull_end, pull_src, pull_arc,
    pull_class, dst_of, place_of, longest, rows, back, free, arcs_out, frames_out, sizes, ends,
):  # fmt: skip
    """Least energies and best paths.

    Args:
        place_of: (A,) place of each arc in the pull arrays.
        rows: (B, 2, S); back: (B, T + 1, S) of a signed integer type that holds all arc numbers:
            the last arc into a state, -1 for none.
        arcs_out, frames_out: (B, n) int64, written from the right; sizes: (B,); ends: (B, 2).
    """
    b, lane, width = place()
    here = b < lengths.size
    if not here:
        b = 0
    g = graph_of[b]
    T = lengths[b] if here else -1
    e0, a0, states = bounds[g, ENTRY], bounds[g, ARC], bounds[g, STATES]
    arcs = bounds[g, ARCS]
    first_start, count_starts = bounds[g, START], bounds[g + 1, START] - bounds[g, START]
    first_final, count_finals = bounds[g, FINAL], bounds[g + 1, FINAL] - bounds[g, FINAL]
    for t in range(longest + 1):
        now, before = t % 2, (t + 1) % 2
        if t <= T:
            for s in range(lane, states, width):
                least, chosen = math.inf, -1
                if t > 0:
                    own = bounds[g, STATE] + s
                    first = pull_end[own - 1] if s > 0 else 0
                    for a in range(first, pull_end[own]):
                        energy = rows[b, before, pull_src[a0 + a]] + (
                            energies[e0 + pull_arc[a0 + a]]
                            + emissions[b, t - 1, pull_class[a0 + a]]
                        )
                        arc = pull_arc[a0 + a]
                        # Of ties, the arc that is listed first.
                        if energy < least or (energy == least and chosen > arc):
                            least, chosen = energy, arc
                rows[b, now, s] = least
                back[b, t, s] = chosen
        barrier()
        if t <= T and lane == 0:
            if t == 0:
                for n in range(count_starts):
                    rows[b, now, starts[first_start + n]] = energies[e0 + arcs + n]
            for a in range(a0 + bounds[g, EMITTING], a0 + arcs):
                target = dst_of[a]
                energy = rows[b, now, pull_src[a]] + energies[e0 + pull_arc[a]]
                if energy < rows[b, now, target]:
                    rows[b, now, target] = energy
                    back[b, t, target] = pull_arc[a]
        barrier()
    if here and lane == 0:
        least, chosen = math.inf, -1
        for n in range(count_finals):
            energy = (
                rows[b, T % 2, finals[first_final + n]] + energies[e0 + arcs + count_starts + n]
            )
            if energy < least:
                least, chosen = energy, n
        free[b] = least
        sizes[b] = 0
        if chosen >= 0 and arcs_out.shape[1] > 0:
            ends[b, 1] = chosen
            state, t = finals[first_final + chosen], T
            at = arcs_out.shape[1]
            arc = back[b, t, state]
            while arc >= 0:
                at -= 1
                a = place_of[a0 + arc]
                if a < bounds[g, EMITTING]:
                    t -= 1
                arcs_out[b, at], frames_out[b, at] = arc, t
                state = pull_src[a0 + a]
                arc = back[b, t, state]
            sizes[b] = arcs_out.shape[1] - at
            for n in range(count_starts):
                if starts[first_start + n] == state:
                    ends[b, 0] = n
