"""Pronunciation dictionaries as text: the lines that Kaldi, Sphinx, CMUdict and MFA write."""

from __future__ import annotations

import logging
import math
import re
from typing import NamedTuple

from seqebm.errors import DataError
from seqebm.text import fields, lines, number, shown

logger = logging.getLogger(__name__)

Pronunciation = tuple[str, ...]

_ALTERNATIVE = re.compile(r"(.+)\([0-9]+\)")
_DISAMBIGUATION = re.compile(r"#[0-9]+")
_MFA = 4  # numbers of a pronunciation: its own probability, and three of silences


class _Line(NamedTuple):
    number: int
    word: str
    rest: list[str]


def read_pronunciations(
    text: str, name: str, comment: str = "#"
) -> dict[str, dict[Pronunciation, float]]:
    """The pronunciations of each word, and the energy of each: minus ln of its probability.

    Args:
        text: lines ``WORD PHONE PHONE ...``, as :meth:`seqebm.graphs.lexicon.Lexicon.from_text`
            describes them.
        name: what messages call the text.
        comment: the mark of a comment; empty: there are none.

    Raises :class:`DataError`, with the line, for a word without phones, a probability that is none
    or is missing, or a text without words.
    """
    found = _lines(text, name, comment)
    if not found:
        raise DataError(f"{name}: has no words; each line is a word and its phones")
    columns = _columns(found, name)
    entries: dict[str, dict[Pronunciation, float]] = {}
    twice: list[_Line] = []
    for line in found:
        phones = tuple(line.rest[columns:])
        if not phones:
            raise DataError(
                f"{name}:{line.number}: word {line.word!r} has no phones; "
                "write them after the word, or take the line out"
            )
        known = entries.setdefault(line.word, {})
        if phones in known:
            twice.append(line)
        else:
            known[phones] = _energy(line, name) if columns else 0.0
    _tell(name, twice, "repeat a pronunciation of their word, and are passed over")
    return entries


def _lines(text: str, name: str, comment: str) -> list[_Line]:
    """What is a word and something after it, without comments and disambiguation symbols."""
    found, commented, marked = [], [], []
    for count, line in enumerate(lines(text), 1):
        word, *rest = fields(line) or [""]
        if not word or line.startswith(";;;") or (comment and not word.strip(comment)):
            continue
        numbered = _ALTERNATIVE.fullmatch(word)
        entry = _Line(count, numbered[1] if numbered else word, rest)
        if rest and comment == "#" and _DISAMBIGUATION.fullmatch(rest[-1]):
            rest.pop()
            marked.append(entry)
        # A mark at the very end is the unit of that name: there is no comment after it.
        starts = [i for i, field in enumerate(rest) if comment and field.startswith(comment)]
        if starts and not (rest[starts[0]] == comment and starts[0] == len(rest) - 1):
            del rest[starts[0] :]
            commented.append(entry)
        found.append(entry)
    _tell(name, commented, f"have a comment after {comment}, which is left out")
    _tell(name, marked, "end in a disambiguation symbol such as #1, which is left out")
    return found


def _columns(found: list[_Line], name: str) -> int:
    """How many numbers stand before the phones: of lexiconp.txt one, of MFA's dictionaries four."""
    counts = [_numbers(line.rest) for line in found]
    most, least = max(counts), min(counts)
    if most != least:
        odd, even = found[counts.index(least)], found[counts.index(most)]
        raise DataError(
            f"{name}:{odd.number}: word {odd.word!r} has {least or 'no'} numbers before its "
            f"phones, but on line {even.number} there are {most}; give every pronunciation its "
            "probability, or none"
        )
    if most not in (0, 1, _MFA):
        raise DataError(
            f"{name}:{found[0].number}: word {found[0].word!r} has {most} numbers before its "
            "phones; known are one, a probability (lexiconp.txt), and four, that of MFA's "
            "dictionaries and three of silences; take the others out"
        )
    if most == _MFA:
        logger.warning(
            "%s: has four numbers a pronunciation, as MFA writes them; the first is its "
            "probability, the three of silences are passed over", name,
        )  # fmt: skip
    return most


def _numbers(rest: list[str]) -> int:
    """Leading fields that are numbers with a point: no unit is called 0.5, but one may be 5."""
    for count, field in enumerate(rest):
        try:
            if "." not in field:
                return count
            number(field)
        except ValueError:
            return count
    return len(rest)


def _energy(line: _Line, name: str) -> float:
    probability = number(line.rest[0])
    if not 0 < probability <= 1:
        raise DataError(
            f"{name}:{line.number}: word {line.word!r} has the probability {shown(line.rest[0])}; "
            "it must be above 0 and at most 1"
        )
    return -math.log(probability) + 0.0


def _tell(name: str, which: list[_Line], what: str) -> None:
    if which:
        first = which[0]
        logger.warning(
            "%s: %d lines %s; the first is line %d: %s",
            name, len(which), what, first.number, first.word,
        )  # fmt: skip
