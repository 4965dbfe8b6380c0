"""Pronunciation dictionaries, and the graphs from phones (or letters) to words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from seqebm.errors import DataError, GraphError
from seqebm.graphs.builders import _ids, _values
from seqebm.graphs.dictionary import Pronunciation, read_pronunciations
from seqebm.graphs.graph import Graph
from seqebm.graphs.sources import read_source
from seqebm.graphs.symbols import EPSILON, Symbols
from seqebm.spelling import nearest


class Lexicon:
    """Words and their pronunciations, each a tuple of phones (or letters).

    Args:
        pronunciations: the pronunciations of each word.
        name: what error messages call the lexicon, e.g. its file.
        energies: of some words the energies of their pronunciations; of others they are 0.

    Raises :class:`DataError` for a word without pronunciation, or an empty one.
    """

    def __init__(
        self,
        pronunciations: Mapping[str, Sequence[Sequence[str]]],
        name: str = "lexicon",
        energies: Mapping[str, Mapping[Pronunciation, float]] | None = None,
    ) -> None:
        self.name = name
        self._energies = dict(energies or {})
        self._entries: dict[str, list[Pronunciation]] = {}
        for word, alternatives in pronunciations.items():
            distinct = list(dict.fromkeys(tuple(phones) for phones in alternatives))
            if not distinct or () in distinct:
                raise DataError(
                    f"{name}: word {word!r} has an empty pronunciation; give its phones"
                )
            self._entries[word] = distinct

    @classmethod
    def from_text(cls, text: str, name: str = "lexicon", comment: str = "#") -> Lexicon:
        """Read lines ``WORD PHONE PHONE ...``, as Kaldi, Sphinx, CMUdict and MFA write them.

        A word on several lines, or numbered as in ``WORD(2)``, has alternative pronunciations.
        Empty lines, and those that start with ``;;;``, are passed over. Left out, with a warning
        that counts them, are pronunciations that are listed twice, disambiguation symbols
        (``#1``) at the end of lines, and comments.

        Numbers with a point before the phones of every line are probabilities, as in Kaldi's
        ``lexiconp.txt`` (one) and MFA's dictionaries (four, of which the first is the
        pronunciation's): a pronunciation has the energy -ln p.

        Args:
            text: the lines.
            name: what messages call the text.
            comment: a mark from which on the rest of a line is a comment; it counts where it
                begins a field. ``""``: there are none.

        Raises :class:`DataError`, with the line, for a word without phones, a probability that is
        none or that only some lines have, or an empty text.
        """
        entries = read_pronunciations(text, name, comment)
        return cls({word: list(known) for word, known in entries.items()}, name, entries)

    @classmethod
    def read(cls, path: str | Path, comment: str = "#") -> Lexicon:
        """Read a file of the lines that :meth:`from_text` describes. Raises :class:`DataError`."""
        text, name = read_source(Path(path), None, "")
        return cls.from_text(text, name, comment)

    @classmethod
    def spelled(
        cls,
        words: Iterable[str],
        characters: Mapping[str, str] | None = None,
        name: str = "spelling",
    ) -> Lexicon:
        """A lexicon whose "phones" are the letters of each word.

        Args:
            words: the words; a word listed twice counts once.
            characters: what to write in place of some characters: one symbol, or "" for nothing,
                e.g. ``{"'": ""}``.
            name: what error messages call the lexicon.
        """
        table = characters or {}
        spelling = {w: [[s for s in (table.get(c, c) for c in w) if s]] for w in words}
        return cls(spelling, name)

    @property
    def words(self) -> list[str]:
        """All words, sorted."""
        return sorted(self._entries)

    @property
    def phones(self) -> list[str]:
        """All phones that some pronunciation uses, sorted."""
        return sorted({phone for _, phones in self for phone in phones})

    def pronunciations(self, word: str) -> list[Pronunciation]:
        """The pronunciations of a word, in the order in which they were listed.

        Raises :class:`DataError` for a word that the lexicon lacks.
        """
        if word not in self._entries:
            raise DataError(
                f"{self.name}: has no word {word!r}.{nearest(word, self._entries)} "
                "Add its pronunciation, or leave the word out."
            )
        return list(self._entries[word])

    def energies(self, word: str) -> list[float]:
        """The energy of each of :meth:`pronunciations`. Raises as it does."""
        table = self._energies.get(word, {})
        return [table.get(phones, 0.0) for phones in self.pronunciations(word)]

    def restricted(self, words: Iterable[str]) -> Lexicon:
        """The lexicon of these words only. Raises :class:`DataError` for one that it lacks."""
        entries = {word: self.pronunciations(word) for word in words}
        return Lexicon(entries, self.name, self._energies)

    def __contains__(self, word: object) -> bool:
        return word in self._entries

    def __iter__(self) -> Iterator[tuple[str, Pronunciation]]:
        """All pairs (word, pronunciation), words sorted."""
        for word in self.words:
            for phones in self._entries[word]:
                yield word, phones

    def __len__(self) -> int:
        """Number of pronunciations."""
        return sum(map(len, self._entries.values()))


def word_graph(
    pronunciations: Sequence[Sequence[str]],
    phones: Symbols,
    weight: ArrayLike | None = None,
    weights: int = 0,
    energy: ArrayLike | None = None,
) -> Graph:
    """The acceptor of one word's pronunciations, which ``replace`` puts in place of the word.

    State 0 is the start and state 1 the end; the alternatives share no other state.

    Args:
        pronunciations: tuples of phones, none empty.
        phones: numbers of the phones.
        weight: tied weight id of each pronunciation, on its first arc.
        weights: number of tied weights that exist.
        energy: fixed energy of each pronunciation, on its first arc.
    """
    return _beside([pronunciations], phones, weight, weights, energy)


def word_graphs(lexicon: Lexicon, phones: Symbols, weights: int = 0) -> Graph:
    """The graphs of all words of a lexicon side by side: no arc leads from one to another.

    Operations on it work on all words at once, and :func:`seqebm.graphs.trim.separate` gives the
    graph of each, in the order of ``lexicon.words``. Pronunciations have the lexicon's energies.
    """
    words = [lexicon.pronunciations(word) for word in lexicon.words]
    energy = [cost for word in lexicon.words for cost in lexicon.energies(word)]
    return _beside(words, phones, None, weights, energy)


def _beside(
    words: Sequence[Sequence[Sequence[str]]],
    phones: Symbols,
    weight: ArrayLike | None,
    weights: int,
    energy: ArrayLike | None,
) -> Graph:
    """The chains of each word's pronunciations, from a start to an end of its own."""
    count = sum(map(len, words))
    ids, costs = _ids(weight, (count,), "weight"), _values(energy, (count,), "energy")
    arcs: list[tuple[int, int, int, int]] = []
    states, begins, ends, entries, entry = 0, [], [], [], 0
    for pronunciations in words:
        spellings = [[phones.id(phone) for phone in p] for p in pronunciations]
        if not spellings or [] in spellings:
            raise GraphError("a word needs a pronunciation, and a pronunciation needs phones")
        begins.append(states)
        ends.append(states + 1)
        chain, states = _chains(spellings, states, states + 1, states + 2)
        arcs += [(src, dst, phone, phone) for src, dst, phone, _ in chain]
        entries += [entry + which if which >= 0 else -1 for *_, which in chain]
        entry += len(spellings)
    tells = np.array(entries, dtype=np.int64)
    return Graph.make(
        states, arcs, begins, ends,
        np.where(tells >= 0, costs[tells], 0.0), np.where(tells >= 0, ids[tells], -1), weights,
        phones, phones,
    )  # fmt: skip


def lexicon_graph(
    lexicon: Lexicon,
    phones: Symbols | None = None,
    words: Symbols | None = None,
    prefix_tree: bool = False,
    loop: bool = False,
    silence: str | None = None,
    energy: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    weights: int = 0,
    silence_weight: int = -1,
) -> Graph:
    """The transducer that reads phones and writes words.

    Each word is written by the first arc of its pronunciation. With ``prefix_tree`` words share
    the arcs of common prefixes, and a word is written where it becomes the only one: on the first
    arc that no other pronunciation uses or, for homophones and for words that are a prefix of
    another, on an epsilon arc after the last phone.

    Args:
        lexicon: words and pronunciations; iterating over it gives the order of ``energy`` and
            ``weight``.
        phones, words: numbers of the phones and words; by default all of the lexicon, sorted,
            and then the silence.
        prefix_tree: share prefixes.
        loop: read any string of words instead of one word: state 0, where a word begins, follows
            state 1, where a word ends, by an epsilon arc.
        silence: phone of an optional silence before, between and after words, beside that epsilon
            arc. It needs ``loop``.
        energy: fixed energy of each pronunciation, on the arc that writes the word; by default
            that of the lexicon.
        weight: tied weight id of each pronunciation, on the same arc.
        weights: number of tied weights that exist.
        silence_weight: tied weight id of the silence.

    Raises :class:`GraphError` for a phone or word that the symbols lack.
    """
    if phones is None:
        phones = Symbols([*lexicon.phones, *([] if silence is None else [silence])])
    if words is None:
        words = Symbols(lexicon.words)
    if silence is not None and not loop:
        raise GraphError(f"silence {silence!r} stands between words: give loop=True with it")
    olabels = [words.id(word) for word, _ in lexicon]
    spellings = [[phones.id(phone) for phone in spelling] for _, spelling in lexicon]
    if energy is None:
        energy = [cost for word in lexicon.words for cost in lexicon.energies(word)]
    costs = _values(energy, (len(spellings),), "energy")
    ids = _ids(weight, (len(spellings),), "weight")
    begin, end = 0, 1
    table, states = (_tree if prefix_tree else _chains)(spellings, begin, end, 2)
    arcs, energies, used = [], [], []
    for src, dst, phone, entry in table:
        arcs.append((src, dst, phone, olabels[entry] if entry >= 0 else EPSILON))
        energies.append(costs[entry] if entry >= 0 else 0.0)
        used.append(ids[entry] if entry >= 0 else -1)
    if loop:
        arcs.append((end, begin, EPSILON, EPSILON))
        used.append(-1)
        if silence is not None:
            arcs.append((end, begin, phones.id(silence), EPSILON))
            used.append(silence_weight)
    # A loop starts where a word has ended, so that silence may come first, and ends where one may
    # begin, so that silence may come last; no words at all are accepted too.
    first, last = ([end], [begin]) if loop else ([begin], [end])
    return Graph.make(states, arcs, first, last, energies, used, weights, phones, words)


def _chains(
    spellings: Sequence[Sequence[int]], begin: int, end: int, free: int
) -> tuple[list[tuple[int, int, int, int]], int]:
    """Arcs (src, dst, phone, spelling that this arc tells of or -1), and the number of states."""
    arcs = []
    for entry, spelling in enumerate(spellings):
        state = begin
        for index, phone in enumerate(spelling):
            last = index == len(spelling) - 1
            arcs.append((state, end if last else free, phone, -1 if index else entry))
            state = free
            free += not last
    return arcs, free


def _tree(
    spellings: Sequence[Sequence[int]], begin: int, end: int, free: int
) -> tuple[list[tuple[int, int, int, int]], int]:
    """As :func:`_chains`, but spellings share the arcs of their common prefixes."""
    step: dict[tuple[int, int], int] = {}  # node of the tree, phone -> node
    users = [0]  # of each node
    paths = []
    for spelling in spellings:
        node, path = 0, []
        for phone in spelling:
            node = step.setdefault((node, phone), len(users))
            if node == len(users):
                users.append(0)
            users[node] += 1
            path.append(node)
        paths.append(path)
    arcs = []
    state = {0: begin}
    for entry, (spelling, path) in enumerate(zip(spellings, paths, strict=True)):
        told, src = False, begin
        for phone, node in zip(spelling, path, strict=True):
            if node not in state:
                alone = users[node] == 1
                tells = alone and not told
                told = told or tells
                if alone and node == path[-1]:
                    state[node] = end
                else:
                    state[node] = free
                    free += 1
                arcs.append((src, state[node], phone, entry if tells else -1))
            src = state[node]
        if not told:
            arcs.append((src, end, EPSILON, entry))
    return arcs, free
