"""Text files of other tools that are easily taken for Kaldi's ``id words``: trn, ctm and stm."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from seqebm.data import tables
from seqebm.data.tables import Table
from seqebm.errors import DataError
from seqebm.text import fields, lines, number
from seqebm.text import read_text as text_of

_TRN = re.compile(r"(?:(.*)[ \t])?\(([^\s()]+)\)")


def foreign(table: Table) -> str:
    """What a table looks like, if it is a file of sclite's; otherwise an empty string."""
    rows = [*table.rows.values(), *table.rivals]
    return kind_of([f"{row.id} {row.value}".rstrip() for row in rows])


def kind_of(content: Iterable[str]) -> str:
    """As :func:`foreign` of lines: every one that says something must look like it."""
    said = [line.strip() for line in content if line.strip() and not line.startswith(";;")]
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


def read_transcripts(path: str | os.PathLike[str], what: str = "text file") -> dict[str, str]:
    """Utterance id -> words of a Kaldi text file, or of a trn file of sclite's.

    ``what`` is what messages call it. Raises :class:`DataError` as
    :func:`seqebm.data.tables.read_text` and :func:`read_trn` do, and for a file in another form
    that :func:`kind_of` knows.
    """
    if Path(path).is_file():
        content = lines(text_of(path))
        kind = kind_of(content)
        if "trn" in kind:
            return read_trn(content, str(path))
        if kind:
            raise DataError(
                f"{what} {path} {kind}; write lines 'utterance words' (Kaldi) or "
                "'words (utterance)' (trn)"
            )
    return tables.read_text(path, what)


def read_trn(content: Sequence[str], name: str) -> dict[str, str]:
    """Utterance id -> words of the lines ``words (utterance)``; ``name`` is their file's.

    Raises :class:`DataError`, with the line, for one of another form, an id that is listed twice,
    and alternatives ``{ a / b }``, which are no one transcript.
    """
    found: dict[str, str] = {}
    for count, line in enumerate(content, 1):
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
