"""Removal of epsilon arcs, path by path, so that it is exact for every beta."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqebm.errors import GraphError
from seqebm.graphs._walks import expand, group, negative_cycle
from seqebm.graphs.graph import Derived, Graph, Ints, arc_map, derive
from seqebm.graphs.trim import chained, connect, on_cycle

_NO_ROWS = np.zeros(0, dtype=np.int64)
_MOST = 10_000_000  # numbers that paths of one length may take: 80 MB


def remove_epsilon(graph: Graph, inputs_only: bool = False) -> Derived:
    """An equivalent graph without epsilon arcs; its entries are sums of the old ones.

    Each path of epsilon arcs that an arc follows becomes an arc of its own, whose energy is the
    sum of what it went through. Parallel ones are not merged: the result has a path for each old
    path, with the same energy, so its free energy is the same at every beta and for any weights.
    (Mohri 2002, "Generic epsilon-removal", merges them in a semiring; with weights that are still
    to be learned that cannot be done.) Where several ways lead from a state to the end, the state
    is copied, since a state has one final energy. Graphs with many parallel epsilon paths in a
    row can grow exponentially, which is an error before it fills the memory.

    Args:
        graph: graph whose epsilon arcs form no cycle.
        inputs_only: False: remove arcs that read and write nothing. True: remove all arcs that
            read nothing; the output of one moves to the arc that follows it.

    Returns:
        The trimmed graph and one map, with several entries in a row.

    Raises :class:`GraphError` for a cycle of epsilon arcs (a cycle of negative energy has no
    lowest path; others are infinitely many paths, which the trellis sums but no finite graph of
    sums can hold), and with ``inputs_only`` where two outputs would share an arc or an output has
    no arc to move to; and for far too many epsilon paths.
    """
    trimmed = connect(graph)
    return chained(trimmed, _removed(trimmed.graph, inputs_only))


def _removed(graph: Graph, inputs_only: bool) -> Derived:
    silent = graph.ilabel == 0
    if not inputs_only:
        silent &= graph.olabel == 0
    if graph.arcs and silent.any():
        check_epsilon_cycles(graph, silent)
    ends = _closure(graph, silent)
    loud = np.flatnonzero(~silent)
    offsets, order = group(graph.states, graph.src[loud])
    at_final = np.full(graph.states, -1, dtype=np.int64)
    at_final[graph.finals] = np.arange(len(graph.finals))
    # Blocks of new arcs, one for each length of an epsilon path: all its paths, then an arc.
    origin, arc, written, sums = [], [], [], []
    done: list[tuple[Ints, Ints, Ints]] = []  # (state, place in finals, epsilon arcs)
    for begins, state, path in ends:
        row, which = expand(offsets, state)
        follows = loud[order[which]]
        if inputs_only:
            outputs = np.concatenate((graph.olabel[path[row]], graph.olabel[follows, None]), 1)
            _check_outputs(graph, begins[row], follows, outputs)
            written.append(outputs.sum(axis=1))
        else:
            written.append(graph.olabel[follows])
        origin.append(begins[row])
        arc.append(follows)
        sums.append(path[row])
        ended = np.flatnonzero(at_final[state] >= 0)
        if inputs_only and np.any(graph.olabel[path[ended]]):
            bad = int(begins[ended[graph.olabel[path[ended]].any(axis=1)][0]])
            raise GraphError(
                f"remove_epsilon: from state {bad} an arc that reads nothing writes a label and "
                "leads to the end, so there is no arc that could write it instead"
            )
        done.append((begins[ended], at_final[state[ended]], path[ended]))
    return _assemble(graph, origin, arc, written, sums, done)


def _closure(graph: Graph, silent: NDArray[np.bool_]) -> list[tuple[Ints, Ints, Ints]]:
    """All epsilon paths from the states where something else than an epsilon arc arrives.

    A list over path lengths k = 0, 1, ... of: where the paths begin ``(N,)``, where they end
    ``(N,)``, their arcs ``(N, k)``.
    """
    arcs = np.flatnonzero(silent)
    offsets, order = group(graph.states, graph.src[arcs])
    needed = np.zeros(graph.states, dtype=bool)
    needed[graph.starts] = True
    needed[graph.dst[~silent]] = True
    begins = np.flatnonzero(needed)
    state, path = begins, np.zeros((len(begins), 0), dtype=np.int64)
    found = []
    while len(state):
        found.append((begins, state, path))
        row, which = expand(offsets, state)
        follows = arcs[order[which]]
        begins, state = begins[row], graph.dst[follows]
        if len(row) * (path.shape[1] + 1) > _MOST:
            raise GraphError(
                f"remove_epsilon: there are {len(row)} paths of {path.shape[1] + 1} epsilon arcs; "
                "each would become arcs of its own. Leave the epsilon arcs in"
            )
        path = np.concatenate((path[row], follows[:, None]), axis=1)
    return found


def _assemble(
    graph: Graph,
    origin: list[Ints],
    arc: list[Ints],
    written: list[Ints],
    sums: list[Ints],
    done: list[tuple[Ints, Ints, Ints]],
) -> Derived:
    """Put the blocks together; copy states for second and further ways to the end."""
    src = np.concatenate([_NO_ROWS, *origin])
    follows = np.concatenate([_NO_ROWS, *arc])
    olabel = np.concatenate([_NO_ROWS, *written])
    dst = graph.dst[follows]
    final_at = np.concatenate([_NO_ROWS, *(d[0] for d in done)])
    final_of = np.concatenate([_NO_ROWS, *(d[1] for d in done)])
    # The first way to the end belongs to the state itself; each other one gets a copy of the
    # state with no arcs out, and all arcs that enter the state enter the copy as well.
    _, first = np.unique(final_at, return_index=True)
    extra = np.delete(np.arange(len(final_at)), first)
    copied = final_at[extra]
    final_state = final_at.copy()
    final_state[extra] = graph.states + np.arange(len(extra))
    offsets, order = group(graph.states, dst)
    copy, which = expand(offsets, copied)
    repeated = order[which]
    start_of = np.full(graph.states, -1, dtype=np.int64)
    start_of[graph.starts] = np.arange(len(graph.starts))
    started = np.flatnonzero(start_of[copied] >= 0)
    base = np.concatenate((np.arange(len(src)), repeated))  # the row of each new arc
    arcs = len(base)
    starts = np.concatenate((graph.starts, graph.states + started))
    entries = arcs + len(starts) + len(final_state)
    # Map: the arc (or start, or final) itself, then the epsilon arcs of each block.
    new = [np.arange(entries)]
    old = [
        follows[base],
        graph.arcs + np.arange(len(graph.starts)),
        graph.arcs + start_of[copied[started]],
        graph.arcs + len(graph.starts) + final_of,
    ]
    row = 0
    for path in sums:
        inside = np.flatnonzero((base >= row) & (base < row + len(path)))
        new.append(np.repeat(inside, path.shape[1]))
        old.append(path[base[inside] - row].reshape(-1))
        row += len(path)
    row = arcs + len(starts)
    for _, _, path in done:
        new.append(np.repeat(row + np.arange(len(path)), path.shape[1]))
        old.append(path.reshape(-1))
        row += len(path)
    result = derive(
        [graph],
        [arc_map(np.concatenate(new), np.concatenate(old), (entries, graph.entries))],
        graph.states + len(extra),
        (
            src[base],
            np.concatenate((dst, graph.states + copy)),
            graph.ilabel[follows[base]],
            olabel[base],
        ),
        starts,
        final_state,
        graph.isymbols,
        graph.osymbols,
    )
    return chained(result, connect(result.graph))


def _check_outputs(graph: Graph, begins: Ints, follows: Ints, outputs: Ints) -> None:
    crowded = np.flatnonzero((outputs != 0).sum(axis=1) > 1)
    if len(crowded):
        row = int(crowded[0])
        labels = [int(x) for x in outputs[row] if x]
        raise GraphError(
            f"remove_epsilon: from state {begins[row]} to state {graph.dst[follows[row]]} one arc "
            f"would have to write the labels {labels}; an arc writes one label at most"
        )


def check_epsilon_cycles(graph: Graph, silent: NDArray[np.bool_]) -> None:
    """Raise :class:`GraphError` if the arcs that the mask ``silent`` ``(A,)`` names form a cycle.

    A cycle of negative energy is told apart: no lowest energy exists then.
    """
    arcs = np.flatnonzero(silent)
    cyclic = on_cycle(graph.states, graph.src[arcs], graph.dst[arcs])
    if not cyclic.any():
        return
    arcs = arcs[cyclic]
    tied = np.diff(graph.ties.indptr)[arcs] > 0
    loose = arcs[~tied]
    cycle = negative_cycle(graph.states, graph.src[loose], graph.dst[loose], graph.energy[loose])
    if cycle:
        found = [int(loose[k]) for k in cycle]
        round_trip = " -> ".join(str(int(graph.src[arc])) for arc in (*found, found[0]))
        raise GraphError(
            f"the epsilon arcs {round_trip} form a cycle of energy "
            f"{graph.energy[found].sum():g}: it is negative, so no path has the lowest energy"
        )
    states = sorted({int(s) for s in graph.src[arcs]})
    shown = ", ".join(map(str, states[:5])) + (", ..." if len(states) > 5 else "")
    raise GraphError(
        f"epsilon arcs form a cycle (states {shown}): infinitely many paths, which no graph of "
        "sums can hold. The trellis treats such cycles; leave the epsilon arcs in"
    )
