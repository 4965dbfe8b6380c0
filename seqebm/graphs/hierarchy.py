"""Hierarchy: arcs of an outer graph replaced by whole graphs, level by level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy.sparse import csr_array, hstack, vstack

from seqebm.errors import GraphError
from seqebm.graphs.graph import Derived, Graph, Ints, arc_map
from seqebm.graphs.symbols import Symbols


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
        label by label in the dict's order all entries, all inner arcs and all exits. Symbols: the
        input names are the inner graphs', if they all have the same; the output names are
        ``outer``'s, or with ``keep_output=False`` the inner graphs'.

    Raises :class:`GraphError` if epsilon is to be replaced.
    """
    if on not in ("output", "input"):
        raise GraphError(f"replace: on is {on!r}; it must be 'output' or 'input'")
    if 0 in inner:
        raise GraphError("replace: label 0 is epsilon, it cannot be replaced")
    labels = outer.olabel if on == "output" else outer.ilabel
    staying = np.flatnonzero(~np.isin(labels, np.fromiter(inner, np.int64, len(inner))))
    columns: list[list[Ints]] = [
        [c[staying]] for c in (outer.src, outer.dst, outer.ilabel, outer.olabel)
    ]
    from_outer = [staying]
    from_inner: list[tuple[int, Ints, Ints]] = []  # (first new arc, rows, entries of the inner)
    states, count = outer.states, len(staying)
    order = np.argsort(labels, kind="stable")
    where = {
        label: order[low:high]
        for label, low, high in zip(
            inner,
            np.searchsorted(labels[order], list(inner), "left"),
            np.searchsorted(labels[order], list(inner), "right"),
            strict=True,
        )
    }
    for label, graph in inner.items():
        arcs = where[label]
        copies = len(arcs)
        base = states + graph.states * np.arange(copies)[:, None]
        states += graph.states * copies
        entry, exits = (copies, len(graph.starts)), (copies, len(graph.finals))
        inside = (copies, graph.arcs)
        kept = outer.olabel[arcs][:, None] if keep_output else np.zeros((copies, 1), np.int64)
        nothing = np.zeros((1, 1), np.int64)
        parts = (
            (outer.src[arcs][:, None], base + graph.starts, nothing, kept, entry),
            (base + graph.src, base + graph.dst, graph.ilabel,
             nothing if keep_output else graph.olabel, inside),
            (base + graph.finals, outer.dst[arcs][:, None], nothing, nothing, exits),
        )  # fmt: skip
        for part in parts:
            for column, values in zip(columns, part[:4], strict=True):
                column.append(np.broadcast_to(values, part[4]).reshape(-1))
        of_outer = np.full(copies * graph.entries, -1, dtype=np.int64)
        of_outer[: copies * len(graph.starts)] = np.repeat(arcs, len(graph.starts))
        from_outer.append(of_outer)
        first = graph.arcs + np.arange(len(graph.starts))
        last = graph.arcs + len(graph.starts) + np.arange(len(graph.finals))
        old = np.concatenate((
            np.tile(first, copies), np.tile(np.arange(graph.arcs), copies), np.tile(last, copies)
        ))  # fmt: skip
        from_inner.append((count, np.arange(len(old)) + count, old))
        count += len(old)
    entries = count + len(outer.starts) + len(outer.finals)
    from_outer.append(np.arange(outer.arcs, outer.entries))
    old = np.concatenate(from_outer)
    new = np.flatnonzero(old >= 0)
    outer_map = arc_map(new, old[new], (entries, outer.entries))
    offsets = np.cumsum([0, *(g.entries for g in inner.values())])
    inner_map = arc_map(
        np.concatenate([rows for _, rows, _ in from_inner] or [np.zeros(0, np.int64)]),
        np.concatenate(
            [olds + at for (_, _, olds), at in zip(from_inner, offsets, strict=False)]
            or [np.zeros(0, np.int64)]
        ),
        (entries, int(offsets[-1])),
    )
    inputs = [g.isymbols for g in inner.values()]
    outputs = [g.osymbols for g in inner.values()]
    src, dst, ilabel, olabel = (np.concatenate(column) for column in columns)
    # One sum over all inner graphs at once: hundreds of sparse sums would take far longer.
    operands, sums = [outer, *inner.values()], [outer_map, inner_map]
    stacked = hstack(sums, format="csr")
    width = max(g.weights for g in operands)
    ties = vstack([_wide(g.ties, width) for g in operands], format="csr")
    graph = Graph(
        states, src, dst, ilabel, olabel, outer.starts, outer.finals,
        stacked @ np.concatenate([g.energy for g in operands]),
        csr_array(stacked @ ties),
        _common(inputs) if inner else outer.isymbols,
        outer.osymbols if keep_output or not inner else _common(outputs),
    )  # fmt: skip
    maps = [
        _block_map(at, olds, (entries, g.entries))
        for (at, _, olds), g in zip(from_inner, inner.values(), strict=True)
    ]
    return Derived(graph, (outer_map, *maps))


def _wide(ties: csr_array, width: int) -> csr_array:
    return csr_array((ties.data, ties.indices, ties.indptr), shape=(ties.shape[0], width))


def _block_map(at: int, old: Ints, shape: tuple[int, int]) -> csr_array:
    """The arc map by which rows ``at``, ``at + 1``, ... each count one entry of ``old``."""
    ends = np.clip(np.arange(shape[0] + 1) - at, 0, len(old))
    return csr_array((np.ones(len(old)), old, ends), shape=shape)


def _common(tables: list[Symbols | None]) -> Symbols | None:
    first = tables[0]
    if first is None:
        return None
    same = all(t is first or (t is not None and list(t) == list(first)) for t in tables)
    return first if same else None
