"""Graphs and symbol tables as the text that OpenFst reads and prints.

A line ``src dst ilabel olabel [weight]`` is an arc (an acceptor leaves the olabel out), a line
``state [weight]`` a final state; the source of the first line is the start state. Weights are
energies, as in OpenFst's tropical and log semirings; one that is not written is 0.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from seqebm.errors import DataError, GraphError
from seqebm.graphs.graph import Graph
from seqebm.graphs.sources import read_source
from seqebm.graphs.symbols import EPSILON, EPSILON_NAME, Symbols
from seqebm.text import fields as parted
from seqebm.text import lines as lines_of
from seqebm.text import number as finite
from seqebm.text import shown, whole


def read_text(
    source: str | Path,
    isymbols: Symbols | None = None,
    osymbols: Symbols | None = None,
    acceptor: bool = False,
    name: str | None = None,
) -> Graph:
    """The graph of an OpenFst text, with fixed energies.

    Args:
        source: the text, or the :class:`~pathlib.Path` of a file.
        isymbols, osymbols: names of the labels; without them labels are numbers. For an acceptor
            ``osymbols`` is ``isymbols`` by default.
        acceptor: arcs have one label, which they read and write.
        name: what error messages call the source; by default its path.

    A final state of weight ``Infinity`` is none, as in OpenFst. Raises :class:`DataError`, with the
    line, for a wrong number of fields, a state that is no number, an unknown label, a weight that
    is no energy (NaN, minus infinity), or a state that is final twice.
    """
    text, name = read_source(source, name, "graph")
    if acceptor:
        osymbols = isymbols if osymbols is None else osymbols
    labels = 1 if acceptor else 2
    arcs: list[tuple[int, int, int, int]] = []
    energies: list[float] = []
    finals: dict[int, float] = {}
    start, top = None, -1
    for number, line in enumerate(lines_of(text), 1):
        fields, place = parted(line), f"{name}:{number}"
        if not fields:
            continue
        if len(fields) in (1, 2):
            states = [_state(fields[0], place)]
            weight = _weight(fields[1:], place)
            if states[0] in finals:
                raise DataError(f"{place}: state {states[0]} is final twice; take a line out")
            finals[states[0]] = weight
        elif len(fields) in (2 + labels, 3 + labels):
            states = [_state(field, place) for field in fields[:2]]
            reads = _label(fields[2], isymbols, place)
            writes = _label(fields[1 + labels], osymbols, place)
            arcs.append((states[0], states[1], reads, writes))
            energies.append(_weight(fields[2 + labels :], place))
        else:
            form = "src dst label" if acceptor else "src dst ilabel olabel"
            other = "" if acceptor else " (an acceptor's has one label: acceptor=True)"
            raise DataError(
                f"{place}: {shown(line.strip())} has {len(fields)} fields; "
                f"an arc is '{form} [weight]'{other}, a final state 'state [weight]'"
            )
        start = states[0] if start is None else start
        top = max(top, *states)
    ends = [state for state, weight in finals.items() if weight < math.inf]
    starts = [] if start is None else [start]
    energy = [*energies, *(0.0 for _ in starts), *(finals[state] for state in ends)]
    return Graph.make(top + 1, arcs, starts, ends, energy, isymbols=isymbols, osymbols=osymbols)


def write_text(graph: Graph, weights: ArrayLike | None = None, acceptor: bool = False) -> str:
    """The OpenFst text of a graph.

    Labels are written as names where the graph has symbols, otherwise as numbers. OpenFst has one
    start state without energy: where the graph has several, or one with an energy, a state is
    added from which epsilon arcs lead to them. States keep their numbers.

    Args:
        graph: the graph.
        weights: values ``(W,)`` of its tied weights.
        acceptor: write one label per arc.

    Raises :class:`GraphError` if the graph has tied weights and no values are given, or for an
    ``acceptor`` that writes something else than it reads.
    """
    if weights is None and graph.ties.nnz:
        raise GraphError(
            f"the graph has {graph.weights} tied weights, which a text cannot keep: "
            "give their values"
        )
    if acceptor and (graph.ilabel != graph.olabel).any():
        raise GraphError("an arc writes something else than it reads: this is no acceptor")
    energy = graph.energies(weights)
    begin, end = graph.arcs, graph.arcs + len(graph.starts)
    lines: list[tuple[int, str]] = []

    def arc(src: int, dst: int, reads: int, writes: int, cost: float) -> None:
        fields = [str(src), str(dst), _name(reads, graph.isymbols)]
        fields += [] if acceptor else [_name(writes, graph.osymbols)]
        lines.append((src, "\t".join(fields + _cost(cost))))

    starts, entering = graph.starts.tolist(), energy[begin:end]
    first = starts[0] if starts else None
    if len(starts) > 1 or entering.any():
        first = graph.states
        for state, cost in zip(starts, entering, strict=True):
            arc(first, state, EPSILON, EPSILON, cost)
    rows = zip(graph.src, graph.dst, graph.ilabel, graph.olabel, energy, strict=False)
    for src, dst, reads, writes, cost in rows:
        arc(int(src), int(dst), int(reads), int(writes), float(cost))
    for state, cost in zip(graph.finals.tolist(), energy[end:], strict=True):
        lines.append((state, "\t".join([str(state), *_cost(cost)])))
    if first is None:
        return ""  # nothing is accepted, and OpenFst has no other way of saying so
    if not any(state == first for state, _ in lines):
        lines.append((first, f"{first}\tInfinity"))
    lines.sort(key=lambda line: line[0] != first)
    return "".join(f"{line}\n" for _, line in lines)


def read_symbols(source: str | Path, name: str | None = None) -> Symbols:
    """The table of lines ``name number``, in any order; 0 must be ``<eps>`` or missing.

    Raises :class:`DataError`, with the line, unless the numbers are 1, 2, ... without gaps and
    each number and name stands once.
    """
    text, name = read_source(source, name, "symbols")
    names: dict[int, str] = {}
    seen: set[str] = set()
    for number, line in enumerate(lines_of(text), 1):
        fields, place = parted(line), f"{name}:{number}"
        if not fields:
            continue
        try:
            symbol, count = fields
            label = whole(count)
        except ValueError:
            message = f"{place}: {shown(line.strip())} should be 'name number'"
            raise DataError(message) from None
        if label in names or symbol in seen:
            raise DataError(f"{place}: {symbol!r} or {label} stands in an earlier line already")
        if (label == EPSILON) != (symbol == EPSILON_NAME):
            raise DataError(
                f"{place}: label 0, and no other, is called {EPSILON_NAME}: "
                f"rename or renumber {symbol!r}"
            )
        names[label] = symbol
        seen.add(symbol)
    names.pop(EPSILON, None)
    gap = next((label for label in range(1, len(names) + 1) if label not in names), None)
    if gap is not None:
        raise DataError(f"{name}: has no label {gap}; number the names 1, 2, ... without gaps")
    return Symbols(names[label] for label in range(1, len(names) + 1))


def write_symbols(symbols: Symbols) -> str:
    """Lines ``name number``, epsilon first. Raises :class:`GraphError` for a name with a space."""
    return "".join(f"{_name(label, symbols)}\t{label}\n" for label in range(len(symbols) + 1))


def _state(field: str, place: str) -> int:
    try:
        return whole(field)
    except ValueError as fault:
        raise DataError(f"{place}: state {fault}") from None


def _label(field: str, symbols: Symbols | None, place: str) -> int:
    if symbols is None:
        try:
            return whole(field)
        except ValueError:
            raise DataError(
                f"{place}: label {shown(field)} is a name; give the symbols that number it"
            ) from None
    try:
        return symbols.id(field)
    except GraphError as fault:
        raise DataError(f"{place}: {fault}") from None


def _weight(fields: list[str], place: str) -> float:
    if not fields:
        return 0.0
    if fields[0].lower().removeprefix("+") in ("inf", "infinity"):
        return math.inf
    try:
        return finite(fields[0])
    except ValueError:
        raise DataError(
            f"{place}: weight {shown(fields[0])} is no energy: that is a number, or Infinity"
        ) from None


def _name(label: int, symbols: Symbols | None) -> str:
    if symbols is None:
        return str(label)
    name = symbols.name(label)
    if not name or name.split() != [name]:
        raise GraphError(f"symbol {name!r} is empty or has a space in it: rename it")
    return name


def _cost(cost: float) -> list[str]:
    """The weight's field: none for 0, otherwise the shortest number that reads back the same."""
    if cost == 0:
        return []
    return ["Infinity" if np.isposinf(cost) else repr(float(cost))]
