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

from seqebm.kernels.cpu_rows import ENTRY, JIT, take


@njit(**JIT)
def longer(values):
    """An array with room for twice as many numbers or rows."""
    return np.concatenate((values, values))


@njit(**ENTRY)
def beam_worker(
    counter, jobs, packed, graph_of, emissions, lengths, energies, beam, best, path_arcs,
    path_frames, counts, ends, failed, width,
):  # fmt: skip
    """Take items until none is left; ``width`` is but the fingerprint of the sources.

    Args:
        jobs: (n,) items.
        beam: energies above the best of a frame, >= 0.
        failed: (B,) int64, written where the beam left nothing: frames consumed by then.
            The other arguments as in :func:`seqebm.kernels.trellis_best.best_worker`.
    """
    size = 1024
    score, before = np.empty(size), np.empty(size, np.int64)
    state_of, arc_of = np.empty(size, np.int32), np.empty(size, np.int32)
    while True:
        job = take(counter)
        if job >= jobs.size:
            break
        b = jobs[job]
        graph = graph_of[b]
        T = lengths[b]
        e0, a0, g0 = (
            packed.entry_offsets[graph], packed.arc_offsets[graph], packed.group_offsets[graph]
        )  # fmt: skip
        s0, c0 = packed.state_offsets[graph], packed.class_offsets[graph]
        arcs = packed.arc_offsets[graph + 1] - a0
        b0, f0 = packed.start_offsets[graph], packed.final_offsets[graph]
        starts, finals = packed.start_offsets[graph + 1] - b0, packed.final_offsets[graph + 1] - f0
        emitting = packed.emitting_arcs[graph]
        epsilon = arcs > emitting
        # Token of each state: of this frame if not less than the first token of the frame.
        token = np.full(packed.state_offsets[graph + 1] - s0, -1)
        queue = np.empty(16, np.int64)
        pruned = False
        count = 0
        first = 0
        last = 0
        lowest = math.inf
        counts[b] = 0
        failed[b] = -1
        for t in range(T + 1):
            first, last = last, count
            cutoff = lowest + beam
            lowest = math.inf
            # Where new tokens come from: starts, then tokens of the frame before.
            for n in range(first, starts if t == 0 else last):
                here = -math.inf
                begin, end = 0, 1
                if t > 0:
                    here = score[n]
                    if here > cutoff:
                        pruned = True
                        continue
                    state = state_of[n]
                    begin = packed.push_end[s0 + state - 1] if state > 0 else 0
                    end = packed.push_end[s0 + state]
                for a in range(begin, end):
                    arc, dst = -1, 0
                    if t == 0:
                        energy = energies[e0 + arcs + n]
                        dst = packed.starts[b0 + n]
                    else:
                        g = g0 + packed.push_group[a0 + a]
                        arc = packed.push_arc[a0 + a]
                        label = packed.classes[c0 + packed.group_label[g]]
                        energy = here + energies[e0 + arc] + emissions[b, t - 1, label]
                        dst = packed.group_dst[g]
                    if not energy <= lowest + beam or energy == math.inf:
                        pruned |= energy < math.inf
                        continue
                    lowest = min(lowest, energy)
                    k = token[dst]
                    if k < last:
                        k = count
                        if count == score.size:
                            score, before = longer(score), longer(before)
                            state_of, arc_of = longer(state_of), longer(arc_of)
                        token[dst] = k
                        state_of[k] = dst
                        count += 1
                    elif not (energy < score[k] or (energy == score[k] and arc < arc_of[k])):
                        continue
                    score[k] = energy
                    before[k] = n
                    arc_of[k] = arc
            if epsilon:
                waiting = 0
                for k in range(last, count):
                    if waiting == queue.size:
                        queue = longer(queue)
                    queue[waiting] = k
                    waiting += 1
                done = 0
                while done < waiting:
                    n = queue[done]
                    done += 1
                    here = score[n]
                    state = state_of[n]
                    begin = packed.epsilon_push_end[s0 + state - 1] if state > 0 else emitting
                    for a in range(begin, packed.epsilon_push_end[s0 + state]):
                        arc = packed.push_arc[a0 + a]
                        dst = packed.group_dst[g0 + packed.push_group[a0 + a]]
                        energy = here + energies[e0 + arc]
                        if not energy <= lowest + beam or energy == math.inf:
                            pruned |= energy < math.inf
                            continue
                        lowest = min(lowest, energy)
                        k = token[dst]
                        better = True
                        if k < last:
                            k = count
                            if count == score.size:
                                score, before = longer(score), longer(before)
                                state_of, arc_of = longer(state_of), longer(arc_of)
                            token[dst] = k
                            state_of[k] = dst
                            count += 1
                        elif energy > score[k] or (energy == score[k] and arc >= arc_of[k]):
                            continue
                        else:
                            better = energy < score[k]
                        score[k] = energy
                        before[k] = n
                        arc_of[k] = arc
                        if better:
                            # It may have been visited: whatever follows from it is better, too.
                            if waiting == queue.size:
                                queue = longer(queue)
                            queue[waiting] = k
                            waiting += 1
            if count == last:
                if pruned:
                    failed[b] = t
                break
        best[b] = math.inf
        if count == last:
            continue
        chosen = -1
        for n in range(finals):
            k = token[packed.finals[f0 + n]]
            if k >= last and score[k] <= lowest + beam:
                energy = score[k] + energies[e0 + arcs + starts + n]
                if energy < best[b]:
                    best[b] = energy
                    ends[b, 1] = n
                    chosen = k
        if chosen < 0:
            if pruned:
                failed[b] = T
            continue
        place = path_arcs.shape[1]
        t = T
        k = chosen
        while arc_of[k] >= 0:
            place -= 1
            arc = arc_of[k]
            t -= packed.labels[a0 + arc] >= 0
            path_arcs[b, place] = arc
            path_frames[b, place] = t
            k = before[k]
        ends[b, 0] = before[k]
        counts[b] = path_arcs.shape[1] - place
