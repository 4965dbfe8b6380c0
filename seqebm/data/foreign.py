"""Text files of other tools that are easily taken for Kaldi's ``id words``: trn, ctm and stm."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from seqebm.data.tables import Table
from seqebm.errors import DataError
from seqebm.text import fields, number

_TRN = re.compile(r"(?:(.*)[ \t])?\(([^\s()]+)\)")


def foreign(table: Table) -> str:
    """What a table looks like, if it is a file of sclite's; otherwise an empty string."""
    rows = [*table.rows.values(), *table.rivals]
    return kind_of([f"{row.id} {row.value}".rstrip() for row in rows])


def kind_of(lines: Iterable[str]) -> str:
    """As :func:`foreign` of lines: every one that says something must look like it."""
    said = [line.strip() for line in lines if line.strip() and not line.startswith(";;")]
    parts = [fields(line) for line in said]
    if not said:
        return ""
    if _distinct(said):
        return "is a trn file of sclite's, 'words (utterance)'"
    if all(5 <= len(part) <= 8 and _times(part[2:4]) for part in parts):
        return "is a ctm file, 'recording channel start duration word'"
    if all(len(part) >= 5 and _times(part[3:5]) for part in parts):
        return "is an stm file, 'recording channel speaker start stop words'"
    return ""


def _distinct(said: Sequence[str]) -> bool:
    """Every line ends in an id of its own in brackets; '(noise)' would come again."""
    ids = [match[2] for line in said if (match := _TRN.fullmatch(line))]
    alike = len(said) > 2 or all(re.search("[-_0-9]", name) for name in ids)
    return alike and len(ids) == len(said) == len(set(ids))


def _times(pair: Sequence[str]) -> bool:
    """Two numbers with a point: transcripts may hold numbers, but hardly such in every line."""
    try:
        return all("." in field and number(field) >= 0 for field in pair)
    except ValueError:
        return False


def read_trn(lines: Sequence[str], name: str) -> dict[str, str]:
    """Utterance id -> words of the lines ``words (utterance)``.

    Raises :class:`DataError`, with the line, for one of another form, an id that is listed twice,
    and alternatives ``{ a / b }``, which are no one transcript.
    """
    found: dict[str, str] = {}
    for count, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(";;"):
            continue
        match = _TRN.fullmatch(line.strip())
        if not match:
            raise DataError(f"{name}:{count}: has no '(utterance)' at its end; add it")
        words = fields(match[1] or "")
        if "{" in words:
            raise DataError(
                f"{name}:{count}: has alternatives '{{ ... / ... }}', which are not scored; "
                "keep one of them"
            )
        if match[2] in found:
            raise DataError(f"{name}:{count}: {match[2]} is listed twice; keep one line")
        found[match[2]] = " ".join(words)
    return found
