"""Answers as files: CTM, JSON lines, n-best lists and lattices. Each is written atomically."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from seqebm.data.tables import byte_order
from seqebm.decoding.results import Transcription
from seqebm.files import write_text
from seqebm.graphs import Symbols
from seqebm.graphs import text as openfst
from seqebm.inference.found import Floats, Segment


class _Jsonable(Protocol):
    def as_dict(self) -> dict[str, Any]: ...


def ctm_lines(
    name: str, segments: Sequence[Segment], shift: float, spans: Floats | None = None
) -> list[str]:
    """NIST's CTM: ``id channel start duration word [confidence]``, times in seconds.

    Times count from the start of the utterance, the channel is 1. The confidence is left out where
    it is unknown, as in a forced alignment.

    Args:
        name: the utterance's id.
        segments: words or units.
        shift: seconds between frames.
        spans: ``(T, 2)`` seconds at which each frame begins and ends, where they are not equally
            spaced.
    """
    lines = []
    for segment in segments:
        start, end = segment.seconds(shift, spans)
        known = "" if segment.confidence is None else f" {segment.confidence:.4f}"
        lines.append(f"{name} 1 {start:.3f} {end - start:.3f} {segment.label}{known}")
    return lines


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines, atomically. Raises :class:`DataError` if the place cannot be written."""
    write_text(path, "".join(f"{line}\n" for line in lines))


def write_json(path: Path, answers: Iterable[_Jsonable]) -> None:
    """Write one JSON object a line. Raises :class:`DataError`."""
    write_lines(path, (json.dumps(a.as_dict(), ensure_ascii=False) for a in answers))


def write_nbest(path: Path, answers: Iterable[Transcription]) -> None:
    """Write lines ``id-RANK energy words...``, RANK from 1, in byte order of the ids.

    Raises :class:`DataError`.
    """
    write_lines(
        path,
        (
            f"{answer.id}-{rank} {other.energy:.6f} {other.text}".rstrip()
            for answer in sorted(answers, key=lambda a: byte_order(a.id))
            for rank, other in enumerate(answer.alternatives, 1)
        ),
    )


def write_lattice(directory: Path, answer: Transcription, classes: Symbols) -> None:
    """Write the lattice of an answer as OpenFst text, ``ID.fst.txt``.

    An arc reads an emission class (one such arc for every frame) or nothing, and writes a word or
    nothing; its weight is its whole energy. Characters of an id that a file's name should not
    have are written as in a URL. Raises :class:`DataError`.

    Args:
        directory: where the file goes.
        answer: its lattice was asked for.
        classes: names of the emission classes + 1.
    """
    assert answer.lattice is not None
    graph = replace(answer.lattice.graph, isymbols=classes)
    write_text(directory / f"{quote(answer.id, safe='')}.fst.txt", openfst.write_text(graph))


def write_symbol_tables(directory: Path, classes: Symbols, words: Symbols) -> None:
    """Write the names of a lattice's labels: classes.txt, words.txt. Raises :class:`DataError`."""
    write_text(directory / "classes.txt", openfst.write_symbols(classes))
    write_text(directory / "words.txt", openfst.write_symbols(words))
