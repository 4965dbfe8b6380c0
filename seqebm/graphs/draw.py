"""Pictures of small graphs: Graphviz DOT text, and drawings on matplotlib axes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from seqebm.errors import GraphError
from seqebm.graphs.graph import Floats, Graph
from seqebm.graphs.symbols import EPSILON, Symbols

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EMPTY = "ε"
_RADIUS = 0.18  # of a state, where columns are _COLUMN and states of a column 1 apart
_COLUMN = 1.5


def dot(graph: Graph, weights: ArrayLike | None = None, title: str = "") -> str:
    """The graph in Graphviz's DOT language.

    Start states are bold, final ones have a double circle; arcs show what they read and write,
    ``a`` or ``a:b``, and their energy where it is not 0. An arc whose tied weights have no values
    (``weights`` is None) shows their ids, ``+w3``.

    Args:
        graph: the graph.
        weights: values ``(W,)`` of the tied weights.
        title: caption.
    """
    notes = _notes(graph, weights)
    begin, end = graph.arcs, graph.arcs + len(graph.starts)
    first = dict(zip(graph.starts.tolist(), notes[begin:end], strict=True))
    last = dict(zip(graph.finals.tolist(), notes[end:], strict=True))
    lines = ["digraph {", "  rankdir = LR;", "  node [shape = circle];"]
    if title:
        lines.append(f"  label = {_quoted(title)};")
    for state in range(graph.states):
        shape = "doublecircle" if state in last else "circle"
        style = "bold" if state in first else "solid"
        label = _state_label(state, first, last)
        lines.append(f"  {state} [shape = {shape}, style = {style}, label = {_quoted(label)}];")
    for arc, (src, dst) in enumerate(zip(graph.src, graph.dst, strict=True)):
        label = _arc_label(graph, arc, notes[arc])
        lines.append(f"  {src} -> {dst} [label = {_quoted(label)}];")
    return "\n".join([*lines, "}", ""])


def plot(graph: Graph, axes: Axes, weights: ArrayLike | None = None, max_states: int = 200) -> None:
    """Draw the graph on matplotlib axes, from left to right, with the labels that DOT has.

    States stand in columns: each to the right of all states that lead to it, arcs that close a
    cycle not counted. Arcs between the same two states share one arrow.

    Args:
        graph: the graph.
        axes: where to draw; ``Figure().subplots()`` gives some without pyplot's global state.
        weights: values ``(W,)`` of the tied weights.
        max_states: most states of a picture that can be read.

    Raises :class:`GraphError` for more than ``max_states`` states.
    """
    from matplotlib.patches import Circle, FancyArrowPatch
    from matplotlib.path import Path as MatplotlibPath

    if graph.states > max_states:
        raise GraphError(
            f"a picture of {graph.states:,} states cannot be read; prune the graph, "
            f"or give max_states (it is {max_states})"
        )
    notes = _notes(graph, weights)
    places = layout(graph)
    begin, end = graph.arcs, graph.arcs + len(graph.starts)
    first = dict(zip(graph.starts.tolist(), notes[begin:end], strict=True))
    last = dict(zip(graph.finals.tolist(), notes[end:], strict=True))
    together: dict[tuple[int, int], list[str]] = defaultdict(list)
    for arc, pair in enumerate(zip(graph.src.tolist(), graph.dst.tolist(), strict=True)):
        together[pair].append(_arc_label(graph, arc, notes[arc]))
    for (src, dst), labels in together.items():
        shown = "\n".join([*labels[:4], *([f"... {len(labels) - 4} more"] if labels[4:] else [])])
        curve, spot = _curve(places[src], places[dst], (dst, src) in together)
        axes.add_patch(
            FancyArrowPatch(
                path=MatplotlibPath(curve, [1, *[len(curve)] * (len(curve) - 1)]),  # 3 or 4: Bezier
                arrowstyle="-|>", mutation_scale=10, color="tab:gray", zorder=1,
            )
        )  # fmt: skip
        axes.text(
            spot[0], spot[1], shown, ha="center", va="center", fontsize=8, zorder=3,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
        )  # fmt: skip
    for state, (x, y) in enumerate(places):
        width = 2.5 if state in first else 1.0
        axes.add_patch(
            Circle((x, y), _RADIUS, facecolor="white", linewidth=width, ec="k", zorder=2)
        )
        if state in last:
            axes.add_patch(Circle((x, y), 0.8 * _RADIUS, fill=False, linewidth=width, zorder=2))
        label = _state_label(state, first, last)
        axes.text(x, y, label, ha="center", va="center", fontsize=8, zorder=4)
    axes.set_aspect("equal")
    axes.margins(0.05)
    axes.autoscale_view()
    axes.set_axis_off()


def layout(graph: Graph) -> Floats:
    """``(S, 2)`` places of the states: the column, and the height within it, around 0.

    A state's column is the length of the longest path to it from a start state (or, if none leads
    to it, from any state) without the arcs that close a cycle.
    """
    after: dict[int, list[int]] = defaultdict(list)
    for src, dst in zip(graph.src.tolist(), graph.dst.tolist(), strict=True):
        after[src].append(dst)
    order: list[int] = []
    status = np.zeros(graph.states, dtype=np.int8)  # 1: on the path being walked, 2: done
    forward: dict[int, list[int]] = defaultdict(list)
    for root in [*graph.starts.tolist(), *range(graph.states)]:
        if status[root]:
            continue
        status[root] = 1
        stack = [(root, iter(after[root]))]
        while stack:
            state, rest = stack[-1]
            for other in rest:
                if status[other] != 1:
                    forward[state].append(other)
                if not status[other]:
                    status[other] = 1
                    stack.append((other, iter(after[other])))
                    break
            else:
                status[state] = 2
                order.append(state)
                stack.pop()
    column = np.zeros(graph.states, dtype=np.int64)
    height = np.zeros(graph.states)
    before: dict[int, list[int]] = defaultdict(list)
    for state in reversed(order):
        for other in forward[state]:
            column[other] = max(column[other], column[state] + 1)
            before[other].append(state)
    for x in range(int(column.max(initial=-1)) + 1):
        members = np.flatnonzero(column == x).tolist()
        # States stand in the order of the states that lead to them, so that arrows cross less.
        wish = {m: float(np.mean(height[before[m]])) if before[m] else 0.0 for m in members}
        ranked = sorted(members, key=lambda state: -wish[state])
        height[ranked] = (len(members) - 1) / 2 - np.arange(len(members))
    return np.stack([_COLUMN * column, height], 1)


def _curve(source: Floats, target: Floats, both_ways: bool) -> tuple[Floats, Floats]:
    """Bezier points of an arrow between the rims of two states, and the place of its label.

    Three points make a quadratic curve, four a cubic one (a loop above a state).
    """
    if (source == target).all():
        rim = _RADIUS * np.array([[-0.5, 0.87], [0.5, 0.87]])
        out = _RADIUS * np.array([[-2.0, 3.5], [2.0, 3.5]])
        curve = source + np.stack([rim[0], out[0], out[1], rim[1]])
        return curve, source + np.array([0.0, 3.2 * _RADIUS])
    along = target - source
    straight = 0 < abs(along[0]) < 1.1 * _COLUMN
    bend = (0.3 if both_ways else 0.0) if straight else 0.5
    middle = (source + target) / 2 + bend * np.array([along[1], -along[0]])
    ends = [p + _RADIUS * (middle - p) / np.linalg.norm(middle - p) for p in (source, target)]
    return np.stack([ends[0], middle, ends[1]]), (source + target) / 4 + middle / 2


def _notes(graph: Graph, weights: ArrayLike | None) -> list[str]:
    """What to say of each entry's energy: a number, the ids of its weights, or nothing."""
    energy = graph.energies(weights)
    said = [[] if value == 0 else [f"{value:.4g}"] for value in energy]
    if weights is None:
        ties = graph.ties.tocoo()
        rows, columns = ties.coords
        for row, column, times in zip(rows, columns, ties.data, strict=True):
            factor = "" if times == 1 else f"{times:g} "
            said[row].append(f"{factor}w{column}")
    return [" + ".join(parts) for parts in said]


def _arc_label(graph: Graph, arc: int, note: str) -> str:
    reads = _label_name(int(graph.ilabel[arc]), graph.isymbols)
    writes = _label_name(int(graph.olabel[arc]), graph.osymbols)
    label = reads if reads == writes else f"{reads}:{writes}"
    return f"{label} / {note}" if note else label


def _label_name(label: int, symbols: Symbols | None) -> str:
    if label == EPSILON:
        return _EMPTY
    return str(label) if symbols is None else symbols.name(label)


def _state_label(state: int, first: dict[int, str], last: dict[int, str]) -> str:
    notes = [note for note in (first.get(state), last.get(state)) if note]
    return "\n".join([str(state), *notes])


def _quoted(text: str) -> str:
    """A DOT string: backslashes and quotes escaped, line breaks as ``\\n``."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
