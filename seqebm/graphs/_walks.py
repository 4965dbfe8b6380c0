"""Compiled walks over one graph: reachability, topological order, distances, free energies.

Everything here works on plain arrays; the modules with public functions wrap it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from seqebm.compiled import compiled
from seqebm.graphs.graph import Floats, Ints

JIT: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


@compiled(**JIT)
def group(groups: int, values: Ints) -> tuple[Ints, Ints]:
    """Counting sort: ``(offsets (groups + 1,), order (N,))``, stable within a group."""
    offsets = np.zeros(groups + 1, np.int64)
    for value in values:
        offsets[value + 1] += 1
    for g in range(groups):
        offsets[g + 1] += offsets[g]
    place = offsets[:-1].copy()
    order = np.empty(values.size, np.int64)
    for i in range(values.size):
        order[place[values[i]]] = i
        place[values[i]] += 1
    return offsets, order


def expand(offsets: Ints, groups: Ints) -> tuple[Ints, Ints]:
    """Every member of every group listed, where the members of group g are offsets[g] and on.

    Returns:
        For each: its place in ``groups``, and the member.
    """
    counts = offsets[groups + 1] - offsets[groups]
    row = np.repeat(np.arange(len(groups)), counts)
    first = np.cumsum(counts) - counts
    return row, np.arange(len(row)) - first[row] + offsets[groups][row]


@compiled(**JIT)
def reach(states: int, src: Ints, dst: Ints, seeds: Ints) -> np.ndarray:
    """``(states,)`` bool: which states some path from ``seeds`` visits."""
    offsets, order = group(states, src)
    seen = np.zeros(states, np.bool_)
    stack = np.empty(states, np.int64)
    top = 0
    for s in seeds:
        if not seen[s]:
            seen[s] = True
            stack[top] = s
            top += 1
    while top:
        top -= 1
        s = stack[top]
        for k in range(offsets[s], offsets[s + 1]):
            d = dst[order[k]]
            if not seen[d]:
                seen[d] = True
                stack[top] = d
                top += 1
    return seen


@compiled(**JIT)
def kahn(states: int, src: Ints, dst: Ints) -> Ints:
    """States in topological order (Kahn 1962); those on or behind a cycle are left out."""
    offsets, order = group(states, src)
    missing = np.zeros(states, np.int64)
    for d in dst:
        missing[d] += 1
    queue = np.empty(states, np.int64)
    end = 0
    for s in range(states):
        if missing[s] == 0:
            queue[end] = s
            end += 1
    at = 0
    while at < end:
        s = queue[at]
        at += 1
        for k in range(offsets[s], offsets[s + 1]):
            d = dst[order[k]]
            missing[d] -= 1
            if missing[d] == 0:
                queue[end] = d
                end += 1
    return queue[:end].copy()


@compiled(**JIT)
def distances(
    states: int, src: Ints, dst: Ints, energy: Floats, initial: Floats
) -> tuple[Floats, Ints, Ints, int]:
    """Lowest energies from ``initial`` to every state (Bellman 1958, with a queue).

    Returns:
        distance: ``(states,)``, +inf where nothing leads.
        back: ``(states,)`` arc on the best path into a state; -1: the path starts there.
        length: ``(states,)`` number of arcs on that path.
        trapped: a state that a negative cycle leads to, or -1.
    """
    offsets, order = group(states, src)
    distance = initial.copy()
    back = np.full(states, -1, np.int64)
    length = np.zeros(states, np.int64)  # arcs on the path found; S or more means a cycle
    queued = np.zeros(states, np.bool_)
    queue = np.empty(states + 1, np.int64)  # a ring
    head, tail = 0, 0
    for s in range(states):
        if distance[s] < math.inf:
            queue[tail] = s
            tail += 1
            queued[s] = True
    while head != tail:
        s = queue[head]
        head = (head + 1) % queue.size
        queued[s] = False
        for k in range(offsets[s], offsets[s + 1]):
            arc = order[k]
            d = dst[arc]
            reached = distance[s] + energy[arc]
            # A gain below the rounding error is no gain: a cycle of energy 0 is no negative one.
            if reached < distance[d] - 1e-12 * (1.0 + abs(distance[s]) + abs(energy[arc])):
                distance[d] = reached
                back[d] = arc
                length[d] = length[s] + 1
                if length[d] >= states:
                    return distance, back, length, d
                if not queued[d]:
                    queued[d] = True
                    queue[tail] = d
                    tail = (tail + 1) % queue.size
    return distance, back, length, -1


@compiled(**JIT)
def _rounds(states: int, src: Ints, dst: Ints, energy: Floats) -> tuple[Ints, int]:
    """S rounds over all arcs: the arc into each state, and a state that the last one changed."""
    distance = np.zeros(states)
    back = np.full(states, -1, np.int64)
    changed = -1
    for _ in range(states):
        changed = -1
        for arc in range(src.size):
            reached = distance[src[arc]] + energy[arc]
            d = dst[arc]
            if reached < distance[d] - 1e-12 * (1.0 + abs(distance[d]) + abs(energy[arc])):
                distance[d] = reached
                back[d] = arc
                changed = d
        if changed < 0:
            break
    return back, changed


def negative_cycle(states: int, src: Ints, dst: Ints, energy: Floats) -> list[int]:
    """Arcs, in order, of some cycle of negative energy; empty if there is none."""
    # What round k changes has a predecessor that round k - 1 changed, or this one. So the way
    # back from what round S changes has no end: it enters a cycle after at most S arcs.
    back, trapped = _rounds(states, src, dst, energy)
    if trapped < 0:
        return []
    state = int(trapped)
    seen: set[int] = set()
    while state not in seen:
        seen.add(state)
        state = int(src[back[state]])
    cycle: list[int] = []
    at = state
    while not cycle or at != state:
        cycle.append(int(back[at]))
        at = int(src[back[at]])
    return cycle[::-1]


@compiled(**JIT)
def potentials(
    topological: Ints, src: Ints, dst: Ints, energy: Floats, initial: Floats, beta: float
) -> Floats:
    """``(states,)`` free energy of all paths from ``initial`` to each state of an acyclic graph."""
    states = initial.size
    offsets, order = group(states, dst)
    free = initial.copy()
    for s in topological:
        least = initial[s]
        for k in range(offsets[s], offsets[s + 1]):
            arc = order[k]
            least = min(least, free[src[arc]] + energy[arc])
        if beta < math.inf and least < math.inf:
            total = math.exp(-beta * (initial[s] - least))
            for k in range(offsets[s], offsets[s + 1]):
                arc = order[k]
                total += math.exp(-beta * (free[src[arc]] + energy[arc] - least))
            least -= math.log(total) / beta
        free[s] = least
    return free
