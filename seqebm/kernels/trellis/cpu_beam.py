"""CPU kernel: best path by a beam search over the active states alone.

A *token* is a state that was reached after some number of frames, with its least energy, the arc
that reached it and the token where that arc begins. Tokens of a frame whose energy exceeds that of
the best by more than the beam are not followed. Within the beam the search is exact, and its result
does not depend on the order in which tokens are visited: of equals, the arc listed first wins.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from seqebm.compiled import compiled
from seqebm.kernels.machine.jit import JIT, LEAF, take

#: Energies above are impossible, however wide the beam.
HIGHEST = 1.7976931348623157e308


@njit(**JIT)
def longer(values):
    """An array with room for twice as many numbers or rows."""
    return np.concatenate((values, values))


@njit(**LEAF)
def _put(dst, energy, arc, source, first, count, token, score, before, state_of, arc_of):
    """Let an arc reach state ``dst``; returns the number of tokens, and whether it improved.

    Written without branches: which way is better is a coin toss, which processors predict badly.
    """
    k = token[dst]
    fresh = k < first
    k = count if fresh else k
    old = math.inf if fresh else score[k]
    better = (energy < old) | ((energy == old) & (arc < arc_of[k]))
    token[dst] = k
    state_of[k] = dst
    score[k] = energy if better else old
    before[k] = source if better else before[k]
    arc_of[k] = arc if better else arc_of[k]
    return count + fresh, energy < old


@njit(**LEAF)
def _room(first, last, score, state_of, push_end, cutoff):
    """Arcs that leave the tokens of a frame that are within the beam."""
    total = 0
    for n in range(first, last):
        s = state_of[n]
        if score[n] <= cutoff:
            total += push_end[s] - (push_end[s - 1] if s > 0 else 0)
    return total


@njit(**LEAF)
def _follow(
    first, last, score, state_of, cutoff, push_end, push_arc, push_dst, push_label, weights, frame,
    energy, arc, source, state,
):  # fmt: skip
    """Write the ways that arcs lead from the tokens; returns their number and least energy."""
    lowest = math.inf
    ways = 0
    for n in range(first, last):
        here = score[n]
        if here > cutoff:
            continue
        s = state_of[n]
        for a in range(push_end[s - 1] if s > 0 else 0, push_end[s]):
            total = here + weights[push_arc[a]] + frame[push_label[a]]
            lowest = min(lowest, total)
            energy[ways] = total
            arc[ways] = push_arc[a]
            source[ways] = n
            state[ways] = push_dst[a]
            ways += 1
    return ways, lowest


@njit(**LEAF)
def _enter(
    ways, cutoff, energy, arc, source, state, near, last, count, token, score, before, state_of,
    arc_of,
):  # fmt: skip
    """Make tokens of the ways within the beam; returns their number and whether any was cut."""
    kept, possible = 0, 0
    for m in range(ways):
        near[kept] = m
        kept += energy[m] <= cutoff
        possible += energy[m] <= HIGHEST
    for n in range(kept):
        m = near[n]
        count, _ = _put(
            state[m], energy[m], arc[m], source[m], last, count, token, score, before, state_of,
            arc_of,
        )  # fmt: skip
    return count, kept < possible


@njit(**LEAF)
def _spread(
    done, waiting, queue, last, count, lowest, beam, emitting, epsilon_push_end, push_arc, push_dst,
    weights, token, score, before, state_of, arc_of,
):  # fmt: skip
    """Follow epsilon arcs from the tokens in ``queue[done:waiting]``, until done or out of room.

    Epsilon arcs have no cycle: a token that became better is visited again, and that ends.
    """
    cut = False
    while done < waiting:
        n = queue[done]
        s = state_of[n]
        begin = epsilon_push_end[s - 1] if s > 0 else emitting
        end = epsilon_push_end[s]
        if waiting + end - begin > queue.size or count + end - begin > score.size:
            break
        done += 1
        for a in range(begin, end):
            total = score[n] + weights[push_arc[a]]
            if not total <= min(lowest + beam, HIGHEST):
                cut |= total <= HIGHEST
                continue
            lowest = min(lowest, total)
            count, better = _put(
                push_dst[a], total, push_arc[a], n, last, count, token, score, before, state_of,
                arc_of,
            )  # fmt: skip
            if better:
                queue[waiting] = token[push_dst[a]]
                waiting += 1
    return count, done, waiting, lowest, cut


@compiled(**JIT)
def beam_worker(
    counter, jobs, packed, graph_of, emissions, lengths, energies, beam, best, path_arcs,
    path_frames, counts, ends, failed, width,
):  # fmt: skip
    """Take items until none is left; ``width`` is but the fingerprint of the sources.

    Args:
        jobs: (n,) items.
        beam: energies above the best of a frame, >= 0.
        failed: (B,) int64, written where the beam left nothing: frames consumed by then.
            The other arguments as in :func:`seqebm.kernels.trellis.cpu_best.best_worker`.
    """
    # Tokens of all frames: energy, token before, state, arc (-1: a start, whose number is before).
    score, before = np.empty(1024), np.empty(1024, np.int64)
    state_of, arc_of = np.empty(1024, np.int32), np.empty(1024, np.int32)
    # Ways into the tokens of a frame: energy, arc, token before, state; and those within the beam.
    energy, arc, source = np.empty(1024), np.empty(1024, np.int32), np.empty(1024, np.int64)
    state, near = np.empty(1024, np.int32), np.empty(1024, np.int32)
    queue = np.empty(1024, np.int64)
    while True:
        job = take(counter)
        if job >= jobs.size:
            break
        b = jobs[job]
        graph = graph_of[b]
        T = lengths[b]
        e0, a0, s0 = (
            packed.entry_offsets[graph], packed.arc_offsets[graph], packed.state_offsets[graph]
        )  # fmt: skip
        arcs = packed.arc_offsets[graph + 1] - a0
        b0, c0 = packed.start_offsets[graph], packed.final_offsets[graph]
        starts, finals = packed.start_offsets[graph + 1] - b0, packed.final_offsets[graph + 1] - c0
        emitting = packed.emitting_arcs[graph]
        weights = energies[e0 : e0 + arcs]
        push_arc, push_dst, push_label = (
            packed.push_arc[a0 : a0 + arcs], packed.push_dst[a0 : a0 + arcs],
            packed.push_label[a0 : a0 + arcs],
        )  # fmt: skip
        push_end = packed.push_end[s0 : packed.state_offsets[graph + 1]]
        epsilon_push_end = packed.epsilon_push_end[s0 : packed.state_offsets[graph + 1]]
        # Token of each state: of this frame if not less than the first token of the frame.
        token = np.full(packed.state_offsets[graph + 1] - s0, -1)
        pruned = False
        first, last, count = 0, 0, 0
        lowest = math.inf
        counts[b] = 0
        failed[b] = -1
        for t in range(T + 1):
            first, last = last, count
            cutoff = lowest + beam
            lowest = math.inf
            need = _room(first, last, score, state_of, push_end, cutoff) + starts
            while need > energy.size:
                energy, arc, source = longer(energy), longer(arc), longer(source)
                state, near = longer(state), longer(near)
            while count + need > score.size:
                score, before = longer(score), longer(before)
                state_of, arc_of = longer(state_of), longer(arc_of)
            if t == 0:
                ways = starts
                for n in range(starts):
                    energy[n] = energies[e0 + arcs + n]
                    arc[n], source[n], state[n] = -1, n, packed.starts[b0 + n]
                    lowest = min(lowest, energy[n])
            else:
                for n in range(first, last):
                    pruned |= score[n] > cutoff
                ways, lowest = _follow(
                    first, last, score, state_of, cutoff, push_end, push_arc, push_dst, push_label,
                    weights, emissions[b, t - 1], energy, arc, source, state,
                )  # fmt: skip
            count, cut = _enter(
                ways, min(lowest + beam, HIGHEST), energy, arc, source, state, near, last, count,
                token, score, before, state_of, arc_of,
            )  # fmt: skip
            pruned |= cut
            waiting = count - last if emitting < arcs else 0
            while waiting > queue.size:
                queue = longer(queue)
            for n in range(waiting):
                queue[n] = last + n
            done = 0
            while done < waiting:
                count, done, waiting, lowest, cut = _spread(
                    done, waiting, queue, last, count, lowest, beam, emitting, epsilon_push_end,
                    push_arc, push_dst, weights, token, score, before, state_of, arc_of,
                )  # fmt: skip
                pruned |= cut
                if done < waiting:
                    queue = longer(queue)
                    score, before = longer(score), longer(before)
                    state_of, arc_of = longer(state_of), longer(arc_of)
            if count == last:
                if pruned:
                    failed[b] = t
                break
        best[b] = math.inf
        if count == last:
            continue
        k = -1
        for n in range(finals):
            m = token[packed.finals[c0 + n]]
            if m >= last and score[m] <= lowest + beam:
                total = score[m] + energies[e0 + arcs + starts + n]
                if total < best[b]:
                    best[b] = total
                    ends[b, 1] = n
                    k = m
        if k < 0:
            if pruned:
                failed[b] = T
            continue
        place = path_arcs.shape[1]
        t = T
        while arc_of[k] >= 0:
            place -= 1
            t -= packed.labels[a0 + arc_of[k]] >= 0
            path_arcs[b, place] = arc_of[k]
            path_frames[b, place] = t
            k = before[k]
        ends[b, 0] = before[k]
        counts[b] = path_arcs.shape[1] - place
