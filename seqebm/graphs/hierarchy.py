"""Hierarchy: arcs of an outer graph replaced by whole graphs, level by level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse import csc_array, csr_array, hstack, vstack

from seqebm.errors import GraphError
from seqebm.graphs._walks import expand
from seqebm.graphs.graph import Derived, Graph, Ints, arc_map
from seqebm.graphs.symbols import Symbols

_NONE = np.zeros(0, dtype=np.int64)


def replace(
    outer: Graph,
    inner: Mapping[int, Graph],
    on: Literal["output", "input"] = "output",
    keep_output: bool = True,
) -> Derived:
    """Replace each arc of ``outer`` whose label has an inner graph by a copy of that graph.

    An arc p -> q becomes: epsilon arcs from p into the copy's start states (energy: the arc's
    plus the start's), the copy's own arcs, and epsilon arcs from the copy's final states to q
    (energy: the final's). Inside a copy the input labels are those of the inner graph. Tied
    weights of an inner graph stay tied in all its copies. Inner graphs are not expanded in turn:
    a hierarchy of several levels is several calls, from the sentence down or from the states up.

    Source: Mohri 1997 (replacement in recursive transition networks); the arc maps as in k2.

    Args:
        outer: graph whose arcs are replaced; arcs whose label is not in ``inner`` stay.
        inner: label -> graph. A graph may stand under several labels.
        on: which label of an outer arc is looked up: ``"output"`` (olabel), or ``"input"``
            (ilabel: what the level above wrote, words say, is passed through untouched).
        keep_output: True: each entry arc of a copy writes the outer arc's olabel and nothing
            else in the copy writes, so word labels sit where words begin. False: the copy writes
            what the inner graph writes.

    Returns:
        The graph with one map for ``outer``, then one for each inner graph in the dict's order.
        States of ``outer`` keep their numbers, the copies' follow. Arcs: those that stay, then
        the entries of all copies, their inner arcs, their exits. Symbols: the input names are
        the inner graphs', if they all have the same; the output names are ``outer``'s, or with
        ``keep_output=False`` the inner graphs'.

    Raises :class:`GraphError` if epsilon is to be replaced.
    """
    if on not in ("output", "input"):
        raise GraphError(f"replace: on is {on!r}; it must be 'output' or 'input'")
    if 0 in inner:
        raise GraphError("replace: label 0 is epsilon, it cannot be replaced")
    labels = outer.olabel if on == "output" else outer.ilabel
    operands = [outer, *inner.values()]
    parts = _Parts.of(list(inner.values()))
    # The copies, in the dict's order and then in that of the outer arcs.
    number = np.full(max([*inner, labels.max(initial=0)], default=0) + 1, -1, dtype=np.int64)
    number[list(inner)] = np.arange(len(inner))
    chosen = number[labels]
    staying = np.flatnonzero(chosen < 0)
    copied = np.argsort(chosen, kind="stable")[len(staying) :]
    graph_of = chosen[copied]
    sizes = parts.states[graph_of]
    base = outer.states + np.cumsum(sizes) - sizes
    of_start, start = expand(parts.starts.offsets, graph_of)
    of_arc, arc = expand(parts.arcs.offsets, graph_of)
    of_final, final = expand(parts.finals.offsets, graph_of)
    written = outer.olabel[copied][of_start]
    src, dst, ilabel, olabel = (
        np.concatenate(columns)
        for columns in (
            (outer.src[staying], outer.src[copied][of_start],
             base[of_arc] + parts.src[arc], base[of_final] + parts.finals.state[final]),
            (outer.dst[staying], base[of_start] + parts.starts.state[start],
             base[of_arc] + parts.dst[arc], outer.dst[copied][of_final]),
            (outer.ilabel[staying], 0 * start, parts.ilabel[arc], 0 * final),
            (outer.olabel[staying], written if keep_output else 0 * start,
             0 * arc if keep_output else parts.olabel[arc], 0 * final),
        )
    )  # fmt: skip
    entries = len(src) + len(outer.starts) + len(outer.finals)
    entered = len(staying) + np.arange(len(start))
    rows = np.arange(len(staying), len(src))
    outer_map = arc_map(
        np.concatenate((np.arange(len(staying)), entered, np.arange(len(src), entries))),
        np.concatenate((staying, copied[of_start], np.arange(outer.arcs, outer.entries))),
        (entries, outer.entries),
    )
    # One sum over all inner graphs at once: hundreds of sparse sums would take far longer.
    old = np.concatenate(
        (parts.starts.entry[start], parts.arcs.entry[arc], parts.finals.entry[final])
    )
    inner_map = arc_map(rows, old, (entries, int(parts.offsets[-1])))
    stacked = hstack([outer_map, inner_map], format="csr")
    width = max(g.weights for g in operands)
    ties = vstack([_wide(g.ties, width) for g in operands], format="csr")
    tables = [outer.osymbols] if keep_output or not inner else [g.osymbols for g in operands[1:]]
    graph = Graph(
        outer.states + int(sizes.sum()), src, dst, ilabel, olabel, outer.starts, outer.finals,
        stacked @ np.concatenate([g.energy for g in operands]),
        csr_array(stacked @ ties),
        _common([g.isymbols for g in operands[1:]] or [outer.isymbols]),
        _common(tables),
    )  # fmt: skip
    belongs = np.concatenate((graph_of[of_start], graph_of[of_arc], graph_of[of_final]))
    return Derived(graph, (outer_map, *_split(rows, belongs, old, parts.offsets, entries)))


class _Items(NamedTuple):
    """The starts, finals or arcs of several graphs in a row.

    ``state`` is numbered within its graph (none for arcs), ``entry`` among all the entries.
    """

    offsets: Ints
    state: Ints
    entry: Ints

    @classmethod
    def of(cls, states: list[Ints], at: Ints) -> _Items:
        sizes = [len(s) for s in states]
        offsets = np.cumsum([0, *sizes])
        entry = np.arange(offsets[-1]) + np.repeat(at - offsets[:-1], sizes)
        return cls(offsets, np.concatenate([_NONE, *states]), entry)


class _Parts(NamedTuple):
    """Several graphs in a row, as :func:`replace` copies them."""

    states: Ints
    offsets: Ints  # where each graph's entries begin
    src: Ints
    dst: Ints
    ilabel: Ints
    olabel: Ints
    arcs: _Items
    starts: _Items
    finals: _Items

    @classmethod
    def of(cls, graphs: list[Graph]) -> _Parts:
        offsets = np.cumsum([0, *(g.entries for g in graphs)])
        arcs = np.array([g.arcs for g in graphs], dtype=np.int64)
        first = offsets[:-1] + arcs
        last = first + np.array([len(g.starts) for g in graphs], dtype=np.int64)
        src, dst, ilabel, olabel = (
            np.concatenate([_NONE, *columns])
            for columns in (
                [g.src for g in graphs], [g.dst for g in graphs],
                [g.ilabel for g in graphs], [g.olabel for g in graphs],
            )
        )  # fmt: skip
        return cls(
            np.array([g.states for g in graphs], dtype=np.int64),
            offsets, src, dst, ilabel, olabel,
            _Items.of([g.src for g in graphs], offsets[:-1]),
            _Items.of([g.starts for g in graphs], first),
            _Items.of([g.finals for g in graphs], last),
        )  # fmt: skip


def _split(rows: Ints, belongs: Ints, old: Ints, offsets: Ints, entries: int) -> list[csc_array]:
    """One arc map for each inner graph, given for each row its graph and its entry.

    They are stored by column: by row, thousands of words would each take memory for all rows.
    """
    order = np.argsort(old, kind="stable")
    bounds = np.searchsorted(belongs[order], np.arange(len(offsets)))
    maps = []
    for k in range(len(offsets) - 1):
        mine = order[bounds[k] : bounds[k + 1]]
        width = int(offsets[k + 1] - offsets[k])
        columns = np.searchsorted(old[mine] - offsets[k], np.arange(width + 1))
        maps.append(csc_array((np.ones(len(mine)), rows[mine], columns), shape=(entries, width)))
    return maps


def _wide(ties: csr_array, width: int) -> csr_array:
    return csr_array((ties.data, ties.indices, ties.indptr), shape=(ties.shape[0], width))


def _common(tables: list[Symbols | None]) -> Symbols | None:
    first = tables[0]
    if first is None:
        return None
    same = all(t is first or (t is not None and list(t) == list(first)) for t in tables)
    return first if same else None
