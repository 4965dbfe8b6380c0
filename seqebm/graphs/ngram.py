"""n-gram language models: ARPA files as acceptors of words with back-off arcs."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field as attribute
from pathlib import Path

import numpy as np

from seqebm.errors import DataError, GraphError
from seqebm.graphs.graph import Graph
from seqebm.graphs.sources import read_source
from seqebm.graphs.symbols import EPSILON, Symbols
from seqebm.spelling import alike, nearest
from seqebm.text import BLANKS, fields, lines, number, shown

logger = logging.getLogger(__name__)

BEGIN, END = "<s>", "</s>"

Gram = tuple[str, ...]

_IMPOSSIBLE = -99.0  # log10, as the files write a probability of zero
_SECTION = re.compile(r"\\([0-9]{1,15})-grams:")
_COUNT = re.compile(r"ngram[ \t]+([0-9]{1,15})[ \t]*=[ \t]*([0-9]{1,15})")
_LARGEST = 100  # order; a longer history than any that was ever estimated is a damaged number


@dataclass(frozen=True)
class Arpa:
    """What an ARPA file lists, as energies (-ln of a probability or back-off weight).

    Attributes:
        order: the largest n.
        energy: energy of the last word of each n-gram, given the words before it.
        backoff: energy of backing off from an n-gram as history; only those that are not 0.
        name: what error messages call the file.
    """

    order: int
    energy: dict[Gram, float]
    backoff: dict[Gram, float] = attribute(default_factory=dict)
    name: str = "language model"

    @property
    def words(self) -> list[str]:
        """The words of the unigrams, sorted, without the marks of a sentence's ends."""
        return sorted(g[0] for g in self.energy if len(g) == 1 and g[0] not in (BEGIN, END))

    def restricted(self, words: Iterable[str]) -> tuple[Arpa, list[str]]:
        """The n-grams of these words only, and the words that are left out, sorted.

        Nothing is renormalised: the probability of what is left out is lost.
        """
        kept = {*words, BEGIN, END}
        energy = {gram: value for gram, value in self.energy.items() if kept.issuperset(gram)}
        backoff = {gram: value for gram, value in self.backoff.items() if gram in energy}
        left_out = [word for word in self.words if word not in kept]
        return Arpa(self.order, energy, backoff, self.name), left_out

    def conditional(self, history: Gram, word: str) -> float:
        """-ln P(word | history), backing off where the n-gram is not listed (Katz 1987)."""
        history = history[max(0, len(history) - self.order + 1) :]
        energy = 0.0
        while (*history, word) not in self.energy:
            if not history:
                return math.inf
            energy += self.backoff.get(history, 0.0)
            history = history[1:]
        return energy + self.energy[*history, word]


def read_arpa(source: str | Path, name: str | None = None) -> Arpa:
    """Read an n-gram model in ARPA format.

    Args:
        source: the text, or the :class:`~pathlib.Path` of a file. What stands before the line
            ``\\\\data\\\\`` is free text.
        name: what error messages call the source; by default its path.

    Probabilities of log10 -99 or less count as zero. Raises :class:`DataError`, with the line, for
    a missing section, a wrong count of n-grams, a line that is not an n-gram, one listed twice, or
    an n-gram whose words are no unigrams.
    """
    text, name = read_source(source, name, "language model")
    stripped = [line.strip(BLANKS) for line in lines(text)]
    if "\\data\\" not in stripped:
        # One line is perhaps a path that was meant to be a Path.
        hint = " (Give the path of a file as a Path.)" if len(stripped) == 1 else ""
        raise DataError(
            f"{name}: has no line \\data\\: is it an n-gram model in ARPA format?{hint}"
        )
    declared: dict[int, int] = {}
    energy: dict[Gram, float] = {}
    backoff: dict[Gram, float] = {}
    order, found, ended = 0, 0, False
    seen: set[int] = set()

    def close(place: str) -> None:
        if order and found != declared[order]:
            raise DataError(
                f"{place}: the {order}-grams end here and are {found}, but \\data\\ "
                f"declares {declared[order]}; mend the count, or the file is incomplete"
            )

    start = stripped.index("\\data\\") + 1
    for at, line in enumerate(stripped[start:], start + 1):
        if not line:
            continue
        place = f"{name}:{at}"
        section = _SECTION.fullmatch(line)
        if section or line == "\\end\\":
            close(place)
            if not section:
                ended = True
                break
            order, found = int(section[1]), 0
            if order not in declared:
                raise DataError(
                    f"{place}: section {line} is not declared; add 'ngram {order}=...' under "
                    "\\data\\"
                )
            seen.add(order)
        elif not order:
            count = _COUNT.fullmatch(line)
            if not count or not 1 <= int(count[1]) <= _LARGEST:
                raise DataError(
                    f"{place}: {shown(line)} should be 'ngram ORDER=COUNT', the order from 1 to "
                    f"{_LARGEST}"
                )
            declared[int(count[1])] = int(count[2])
        else:
            gram, cost, back = _entry(line, order, place)
            if gram in energy:
                raise DataError(f"{place}: n-gram {shown(' '.join(gram))} is listed twice")
            unknown = [word for word in gram if order > 1 and (word,) not in energy]
            if unknown:
                known = (g[0] for g in energy if len(g) == 1)
                raise DataError(
                    f"{place}: {shown(unknown[0])} is not among the 1-grams; add it there."
                    + nearest(unknown[0], known)
                )
            energy[gram] = cost
            if back:
                backoff[gram] = back
            found += 1
    if not ended:
        raise DataError(f"{name}: has no line \\end\\; the file is incomplete")
    for order, expected in declared.items():
        if expected and order not in seen:
            raise DataError(f"{name}: has no section \\{order}-grams:; the file is incomplete")
    if not energy:
        raise DataError(f"{name}: lists no n-grams")
    largest = max(map(len, energy))
    model = Arpa(largest, energy, {g: b for g, b in backoff.items() if len(g) < largest}, name)
    # A history must be reachable word by word: give what its listed n-gram would have said.
    for length in range(largest - 1, 1, -1):
        for gram in {g[:-1] for g in energy if len(g) == length + 1} - energy.keys():
            energy[gram] = model.conditional(gram[:-1], gram[-1])
    return model


def _entry(line: str, order: int, place: str) -> tuple[Gram, float, float]:
    """n-gram, energy and back-off energy of one line ``LOG10P WORD ... [LOG10BACKOFF]``."""
    parts = fields(line)
    if len(parts) not in (order + 1, order + 2):
        raise DataError(
            f"{place}: {shown(line)} should be a log10 probability, {order} word(s) and, "
            "if it is a history, a log10 back-off weight"
        )
    costs = [_energy(part, place) for part in (parts[0], *parts[order + 1 :])]
    return tuple(parts[1 : order + 1]), costs[0], costs[1] if len(costs) > 1 else 0.0


def _energy(text: str, place: str) -> float:
    """The energy of what a file gives as log10, ``-inf`` among it."""
    try:
        value = -math.inf if text.lower() in ("-inf", "-infinity") else number(text)
    except ValueError as fault:
        raise DataError(f"{place}: {fault}; a log10 probability or weight stands here") from None
    return math.inf if value <= _IMPOSSIBLE else 0.0 - value * math.log(10)


def ngram(
    source: Arpa | str | Path,
    symbols: Symbols | None = None,
    words: Iterable[str] | None = None,
    scale: float = 1.0,
    exact: bool = False,
) -> Graph:
    """The acceptor of an n-gram model; a string's energy is -ln of its probability.

    A state stands for each history that some n-gram continues; the start is that of ``<s>``.
    ``</s>`` has no label: its energy is that of the final states. Where the longest history does
    not list a word, an epsilon arc leads to the next shorter one (back-off). That is the usual
    approximation: a listed n-gram has a second path, through the shorter history, so that the sum
    over paths slightly exceeds the probability, and the best path is the wrong one where backing
    off is cheaper. ``exact`` has no epsilon arcs but one arc for each word in each state.

    Args:
        source: what :func:`read_arpa` gives, or takes.
        symbols: numbers of the words; by default the model's words, sorted.
        words: leave out every other word, e.g. those without pronunciation. A warning in the log
            names them; :meth:`Arpa.restricted` gives them.
        scale: factor of all energies, the weight of a language model.
        exact: one path per string.

    Raises :class:`DataError` if the model is malformed or has none of the words, and
    :class:`GraphError` for a word that ``symbols`` lacks.
    """
    model = source if isinstance(source, Arpa) else read_arpa(source)
    if not 0 <= scale < math.inf:
        raise GraphError(f"scale is {scale}; it must be finite and 0 or more")
    if words is not None:
        words = list(words)
        model, left_out = model.restricted(words)
        if left_out:
            some = ", ".join(left_out[:10]) + (", ..." if len(left_out) > 10 else "")
            logger.warning(
                "%s: %d words are left out: %s.%s",
                model.name, len(left_out), some, alike(left_out, words),
            )  # fmt: skip
    if not model.words:
        raise DataError(f"{model.name}: has none of the words; check their spelling and case")
    if symbols is None:
        symbols = Symbols(model.words)
    histories = sorted(
        {gram[:-1] for gram in model.energy if END not in gram[:-1]} | {()},
        key=lambda history: (len(history), history),
    )
    state = {history: index for index, history in enumerate(histories)}
    arcs, costs = (_exact if exact else _backing_off)(model, state, symbols)
    ends = np.array([
        model.conditional(h, END) if exact else model.energy.get((*h, END), math.inf)
        for h in histories
    ])  # fmt: skip
    finals = np.flatnonzero(np.isfinite(ends))
    first, cost = _shorten(model, state, (BEGIN,)) if (BEGIN,) in model.energy else (0, 0.0)
    energies = scale * np.array(costs)
    entering = scale * cost if cost < math.inf else cost
    return Graph.make(
        len(histories), arcs, [first], finals,
        np.concatenate([energies, [entering], scale * ends[finals]]),
        isymbols=symbols, osymbols=symbols,
    )  # fmt: skip


def _shorten(model: Arpa, state: dict[Gram, int], gram: Gram) -> tuple[int, float]:
    """The state of the longest suffix of ``gram`` that has one, and the cost of getting there.

    A history that nothing continues can only be backed off from, so its back-off weight may be
    paid at once, and it needs no state.
    """
    gram = gram[max(0, len(gram) - model.order + 1) :]
    cost = 0.0
    while gram not in state:
        cost += model.backoff.get(gram, 0.0)
        gram = gram[1:]
    return state[gram], cost


def _backing_off(
    model: Arpa, state: dict[Gram, int], symbols: Symbols
) -> tuple[list[tuple[int, int, int, int]], list[float]]:
    arcs, energies = [], []
    for gram, energy in model.energy.items():
        if gram[-1] != BEGIN and END not in gram and energy < math.inf:
            target, cost = _shorten(model, state, gram)
            if cost < math.inf:
                label = symbols.id(gram[-1])
                arcs.append((state[gram[:-1]], target, label, label))
                energies.append(energy + cost)
    for history, source in state.items():
        cost = model.backoff.get(history, 0.0)
        if history and cost < math.inf:
            target, more = _shorten(model, state, history[1:])
            if more < math.inf:
                arcs.append((source, target, EPSILON, EPSILON))
                energies.append(cost + more)
    return arcs, energies


def _exact(
    model: Arpa, state: dict[Gram, int], symbols: Symbols
) -> tuple[list[tuple[int, int, int, int]], list[float]]:
    arcs, energies = [], []
    for history, source in state.items():
        for word in model.words:
            target, cost = _shorten(model, state, (*history, word))
            energy = model.conditional(history, word) + cost
            if energy < math.inf:
                label = symbols.id(word)
                arcs.append((source, target, label, label))
                energies.append(energy)
    return arcs, energies
