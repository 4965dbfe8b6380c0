"""Pronunciation dictionaries, and the graphs from phones (or letters) to words."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from numpy.typing import ArrayLike

from seqebm.errors import DataError, GraphError, did_you_mean
from seqebm.graphs.builders import _ids, _values
from seqebm.graphs.graph import Graph
from seqebm.graphs.sources import read_source
from seqebm.graphs.symbols import EPSILON, Symbols

logger = logging.getLogger(__name__)

Pronunciation = tuple[str, ...]

_ALTERNATIVE = re.compile(r"(.+)\(\d+\)")


class Lexicon:
    """Words and their pronunciations, each a tuple of phones (or letters).

    Args:
        pronunciations: the pronunciations of each word.
        name: what error messages call the lexicon, e.g. its file.

    Raises :class:`DataError` for a word without pronunciation, or an empty one.
    """

    def __init__(
        self, pronunciations: Mapping[str, Sequence[Sequence[str]]], name: str = "lexicon"
    ) -> None:
        self.name = name
        self._entries: dict[str, list[Pronunciation]] = {}
        for word, alternatives in pronunciations.items():
            distinct = list(dict.fromkeys(tuple(phones) for phones in alternatives))
            if not distinct or () in distinct:
                raise DataError(
                    f"{name}: word {word!r} has an empty pronunciation; give its phones"
                )
            self._entries[word] = distinct

    @classmethod
    def from_text(cls, text: str, name: str = "lexicon", comment: str | None = None) -> Lexicon:
        """Read lines ``WORD PHONE PHONE ...``, as Kaldi, Sphinx and CMUdict write them.

        A word on several lines, or numbered as in ``WORD(2)``, has alternative pronunciations. A
        pronunciation listed twice is counted once, with a warning in the log. Empty lines, and
        lines that start with ``;;;``, are passed over.

        Args:
            text: the lines.
            name: what error messages call the text.
            comment: a mark from which on the rest of a line is a comment, e.g. ``#`` in newer
                versions of CMUdict; it counts where it begins a field.

        Raises :class:`DataError`, with the line, for a word without phones or an empty text.
        """
        entries: dict[str, list[Pronunciation]] = {}
        for number, line in enumerate(text.splitlines(), 1):
            fields = line.split()
            if comment is not None:
                marks = [i for i, field in enumerate(fields) if field.startswith(comment)]
                fields = fields[: marks[0]] if marks else fields
            if not fields or line.startswith(";;;"):
                continue
            numbered = _ALTERNATIVE.fullmatch(fields[0])
            word, phones = numbered[1] if numbered else fields[0], tuple(fields[1:])
            if not phones:
                raise DataError(
                    f"{name}:{number}: word {word!r} has no phones; "
                    "write them after the word, or take the line out"
                )
            known = entries.setdefault(word, [])
            if phones in known:
                logger.warning(
                    "%s:%d: %s %s is listed twice; the second is ignored",
                    name, number, word, " ".join(phones),
                )  # fmt: skip
            else:
                known.append(phones)
        if not entries:
            raise DataError(f"{name}: has no words; each line is a word and its phones")
        return cls(entries, name)

    @classmethod
    def read(cls, path: str | Path, comment: str | None = None) -> Lexicon:
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
                f"{self.name}: has no word {word!r}.{did_you_mean(word, self._entries)} "
                "Add its pronunciation, or leave the word out."
            )
        return list(self._entries[word])

    def restricted(self, words: Iterable[str]) -> Lexicon:
        """The lexicon of these words only. Raises :class:`DataError` for one that it lacks."""
        return Lexicon({word: self.pronunciations(word) for word in words}, self.name)

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
) -> Graph:
    """The acceptor of one word's pronunciations, which ``replace`` puts in place of the word.

    State 0 is the start and state 1 the end; the alternatives share no other state.

    Args:
        pronunciations: tuples of phones, none empty.
        phones: numbers of the phones.
        weight: tied weight id of each pronunciation, on its first arc.
        weights: number of tied weights that exist.
    """
    spellings = [[phones.id(phone) for phone in p] for p in pronunciations]
    if not spellings or [] in spellings:
        raise GraphError("a word needs a pronunciation, and a pronunciation needs phones")
    ids = _ids(weight, (len(spellings),), "weight")
    arcs, states = _chains(spellings, 0, 1, 2)
    return Graph.make(
        states, [(src, dst, phone, phone) for src, dst, phone, _ in arcs], [0], [1],
        weight=[ids[entry] if entry >= 0 else -1 for *_, entry in arcs], weights=weights,
        isymbols=phones, osymbols=phones,
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
        energy, weight: fixed energy and tied weight id of each pronunciation, on the arc that
            writes the word.
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
    users = Counter(tuple(s[:n]) for s in spellings for n in range(1, len(s) + 1))
    arcs = []
    nodes: dict[tuple[int, ...], int] = {(): begin}
    for entry, spelling in enumerate(spellings):
        told = False
        for length in range(1, len(spelling) + 1):
            prefix = tuple(spelling[:length])
            if prefix in nodes:
                continue
            alone = users[prefix] == 1
            if alone and length == len(spelling):
                target = end
            else:
                target = nodes[prefix] = free
                free += 1
            tells = alone and not told
            told = told or tells
            src = nodes[tuple(spelling[: length - 1])]
            arcs.append((src, target, prefix[-1], entry if tells else -1))
        if not told:
            arcs.append((nodes[tuple(spelling)], end, EPSILON, entry))
    return arcs, free
