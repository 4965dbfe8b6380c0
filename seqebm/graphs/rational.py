"""Rational operations: union, concat, closure; and reverse and project."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from seqebm.errors import GraphError
from seqebm.graphs.graph import Derived, Graph, Ints, arc_map, derive
from seqebm.graphs.product import check_symbols
from seqebm.graphs.symbols import Symbols


def _arcs_of(graph: Graph) -> Ints:
    return np.arange(graph.arcs)


def _starts_of(graph: Graph) -> Ints:
    return graph.arcs + np.arange(len(graph.starts))


def _finals_of(graph: Graph) -> Ints:
    return graph.arcs + len(graph.starts) + np.arange(len(graph.finals))


def _selection(old: Ints, graph: Graph, entries: int) -> csr_array:
    """The arc map whose row k counts entry ``old[k]``, or nothing where that is -1."""
    new = np.flatnonzero(old >= 0)
    return arc_map(new, old[new], (entries, graph.entries))


def _shared(tables: list[Symbols | None], what: str) -> Symbols | None:
    named = [table for table in tables if table is not None]
    for table in named[1:]:
        check_symbols(named[0], table, what)
    return named[0] if named else None


def union(*graphs: Graph) -> Derived:
    """All the paths of all the graphs.

    Raises :class:`GraphError` if no graph is given, or their labels have different names.
    """
    if not graphs:
        raise GraphError("union needs at least one graph")
    offsets = np.cumsum([0, *(g.states for g in graphs)])

    def side_by_side(parts: list[Ints]) -> Ints:
        return np.concatenate([part + at for part, at in zip(parts, offsets, strict=False)])

    src, dst = side_by_side([g.src for g in graphs]), side_by_side([g.dst for g in graphs])
    starts = side_by_side([g.starts for g in graphs])
    finals = side_by_side([g.finals for g in graphs])
    entries = len(src) + len(starts) + len(finals)
    maps, arc, start, final = [], 0, len(src), len(src) + len(starts)
    for g in graphs:
        new = np.concatenate((
            arc + np.arange(g.arcs), start + np.arange(len(g.starts)),
            final + np.arange(len(g.finals)),
        ))  # fmt: skip
        maps.append(arc_map(new, np.arange(g.entries), (entries, g.entries)))
        arc, start, final = arc + g.arcs, start + len(g.starts), final + len(g.finals)
    return derive(
        graphs,
        maps,
        int(offsets[-1]),
        (
            src,
            dst,
            np.concatenate([g.ilabel for g in graphs]),
            np.concatenate([g.olabel for g in graphs]),
        ),
        starts,
        finals,
        _shared([g.isymbols for g in graphs], "union"),
        _shared([g.osymbols for g in graphs], "union"),
    )


def concat(a: Graph, b: Graph) -> Derived:
    """Each path of ``a`` followed by each path of ``b``.

    An epsilon arc leads from every final state of ``a`` to every start state of ``b``; its energy
    is that of the final plus that of the start. Raises :class:`GraphError` if their labels have
    different names.
    """
    pairs = len(a.finals) * len(b.starts)
    nothing = np.zeros(pairs, dtype=np.int64)
    last, first = np.repeat(a.finals, len(b.starts)), np.tile(b.starts, len(a.finals))
    arcs = (
        np.concatenate((a.src, b.src + a.states, last)),
        np.concatenate((a.dst, b.dst + a.states, first + a.states)),
        np.concatenate((a.ilabel, b.ilabel, nothing)),
        np.concatenate((a.olabel, b.olabel, nothing)),
    )
    entries = len(arcs[0]) + len(a.starts) + len(b.finals)
    none_a = np.full(b.arcs, -1), np.full(len(b.finals), -1)
    none_b = np.full(a.arcs, -1), np.full(len(a.starts), -1)
    of_a = (_arcs_of(a), none_a[0], np.repeat(_finals_of(a), len(b.starts)), _starts_of(a))
    of_b = (none_b[0], _arcs_of(b), np.tile(_starts_of(b), len(a.finals)), none_b[1])
    return derive(
        [a, b],
        [
            _selection(np.concatenate((*of_a, none_a[1])), a, entries),
            _selection(np.concatenate((*of_b, _finals_of(b))), b, entries),
        ],
        a.states + b.states,
        arcs,
        a.starts,
        b.finals + a.states,
        _shared([a.isymbols, b.isymbols], "concat"),
        _shared([a.osymbols, b.osymbols], "concat"),
    )


def closure(graph: Graph, plus: bool = False) -> Derived:
    """Kleene closure: paths of ``graph`` one after the other, any number of times.

    A new state, the hub, is reached by an epsilon arc from each final state (with its final
    energy) and leaves by one to each start state (with its start energy). If ``graph`` has a
    path without labels, this gives a cycle of epsilon arcs.

    Args:
        graph: what is repeated.
        plus: False: zero times or more, the hub being the only start and final state (energy 0).
            True: once or more; start and final states stay as they are.
    """
    hub = graph.states
    first, last = len(graph.starts), len(graph.finals)
    nothing = np.zeros(first + last, dtype=np.int64)
    arcs = (
        np.concatenate((graph.src, np.full(first, hub), graph.finals)),
        np.concatenate((graph.dst, graph.starts, np.full(last, hub))),
        np.concatenate((graph.ilabel, nothing)),
        np.concatenate((graph.olabel, nothing)),
    )
    # The arcs are then, in this order, what the entries of the operand were.
    ends = np.arange(graph.arcs, graph.entries) if plus else np.full(2, -1)
    old = np.concatenate((np.arange(graph.entries), ends))
    at_hub = np.array([hub])
    return derive(
        [graph],
        [_selection(old, graph, len(old))],
        graph.states + 1,
        arcs,
        graph.starts if plus else at_hub,
        graph.finals if plus else at_hub,
        graph.isymbols,
        graph.osymbols,
    )


def reverse(graph: Graph) -> Derived:
    """Every path backwards: arcs turned round, start and final states exchanged."""
    old = np.concatenate((_arcs_of(graph), _finals_of(graph), _starts_of(graph)))
    return derive(
        [graph],
        [_selection(old, graph, graph.entries)],
        graph.states,
        (graph.dst, graph.src, graph.ilabel, graph.olabel),
        graph.finals,
        graph.starts,
        graph.isymbols,
        graph.osymbols,
    )


def project(graph: Graph, side: Literal["input", "output"] = "input") -> Derived:
    """The acceptor of what ``graph`` reads (``"input"``) or writes (``"output"``)."""
    if side not in ("input", "output"):
        raise GraphError(f"project: side is {side!r}; it must be 'input' or 'output'")
    label = graph.ilabel if side == "input" else graph.olabel
    symbols = graph.isymbols if side == "input" else graph.osymbols
    return derive(
        [graph],
        [_selection(np.arange(graph.entries), graph, graph.entries)],
        graph.states,
        (graph.src, graph.dst, label, label),
        graph.starts,
        graph.finals,
        symbols,
        symbols,
    )
