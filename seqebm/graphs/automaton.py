"""The smallest automaton of a list of strings: what a large lexicon is searched with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from seqebm.errors import GraphError
from seqebm.graphs.graph import Graph
from seqebm.graphs.symbols import Symbols


def minimal_acceptor(strings: Iterable[Sequence[int]], symbols: Symbols | None = None) -> Graph:
    """The minimal deterministic acyclic acceptor of a finite set of strings.

    Strings that begin alike share their first arcs and those that end alike their last, so that
    50,000 words of English need about as many arcs as they are words. Built string by string, in
    sorted order: J. Daciuk et al. (2000), "Incremental construction of minimal acyclic
    finite-state automata", algorithm 1.

    Args:
        strings: labels (1 and up) of each; repeated ones count once; an empty one is allowed.
        symbols: names of the labels.

    Raises :class:`GraphError` if there are no strings, or a label is below 1.
    """
    ordered = sorted({tuple(string) for string in strings})
    if not ordered:
        raise GraphError("an automaton needs at least one string")
    if any(label < 1 for string in ordered for label in string):
        raise GraphError("labels of strings must be 1 or more (0 is epsilon)")
    builder = _Builder()
    for string in ordered:
        builder.add(string)
    return builder.finish(symbols)


class _Builder:
    """States are numbered as they are registered; ``path`` is what is still open."""

    def __init__(self) -> None:
        self.register: dict[tuple[bool, tuple[tuple[int, int], ...]], int] = {}
        # Of each open state along the last string: final, arcs so far, label that leads on.
        self.final: list[bool] = [False]
        self.arcs: list[list[tuple[int, int]]] = [[]]
        self.last: tuple[int, ...] = ()

    def add(self, string: tuple[int, ...]) -> None:
        common = 0
        while common < min(len(string), len(self.last)) and string[common] == self.last[common]:
            common += 1
        self._close(common)
        for _ in string[common:]:
            self.final.append(False)
            self.arcs.append([])
        self.final[-1] = True
        self.last = string

    def _close(self, depth: int) -> None:
        """Register the open states below ``depth``; equal ones become one."""
        while len(self.final) > depth + 1:
            state = self._number(self.final.pop(), self.arcs.pop())
            self.arcs[-1].append((self.last[len(self.final) - 1], state))

    def _number(self, final: bool, arcs: list[tuple[int, int]]) -> int:
        return self.register.setdefault((final, tuple(arcs)), len(self.register))

    def finish(self, symbols: Symbols | None) -> Graph:
        self._close(0)
        start = self._number(self.final[0], self.arcs[0])
        arcs = [
            (state, target, label, label)
            for (_, leaving), state in self.register.items()
            for label, target in leaving
        ]
        finals = [state for (final, _), state in self.register.items() if final]
        table = np.array(arcs, np.int64).reshape(-1, 4)
        return Graph.make(
            len(self.register), table, [start], finals, isymbols=symbols, osymbols=symbols
        )
