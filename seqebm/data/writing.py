"""Writing Kaldi data directories."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from seqebm.data.datadir import SCP_FILES, UNITS, DataDir, Utterance
from seqebm.data.tables import byte_order, write_table
from seqebm.errors import DataError
from seqebm.text import fields, spaced


def write_data_dir(
    directory: str | os.PathLike[str],
    utterances: Iterable[Utterance],
    kind: Literal["audio", "ink", "image", "features"] = "audio",
) -> DataDir:
    """Write a data directory, sorted, each file atomically, and return it.

    Files below the parent of ``directory`` are listed relative to ``directory``, so that both
    can be moved together; others by their absolute path. ``text`` is written if every utterance
    has a transcript, ``target.scp`` if every one has an array. ``segments`` is written if an
    utterance has ``start``, ``stop`` or ``channel``.

    Raises :class:`DataError` for no utterances, ids listed twice or with blanks, transcripts that
    are given to some utterances only, and a disk that refuses.
    """
    directory = Path(directory)
    items = sorted(utterances, key=lambda u: byte_order(u.id))
    if not items:
        raise DataError(f"{directory}: there are no utterances to write")
    for first, second in itertools.pairwise(items):
        if first.id == second.id:
            raise DataError(f"{directory}: the id {first.id!r} is given twice")
    silent = [u.id for u in items if u.text is None]
    if silent and len(silent) < len(items):
        raise DataError(f"{directory}: {silent[0]}: has no transcript, but others have")
    cut = any((u.start, u.stop, u.channel) != (None, None, None) for u in items)
    names = _recording_names(items) if cut else {}
    paths = {names[u.path] if cut else u.id: _listed(u.path, directory) for u in items}
    speakers = {u.id: u.speaker if u.speaker is not None else u.id for u in items}
    inverse: dict[str, str] = {}
    for name, speaker in speakers.items():
        inverse[speaker] = f"{inverse[speaker]} {name}" if speaker in inverse else name
    tables = {"utt2spk": speakers, "spk2utt": inverse}
    if not silent:
        tables["text"] = {u.id: spaced(u.text or "") for u in items}
    if all(u.array is not None for u in items):
        tables["target.scp"] = {u.id: _listed(u.array, directory) for u in items if u.array}
    if cut:
        unit = UNITS.get(kind, "samples")
        tables["segments"] = {u.id: f"{names[u.path]} {_span(u, unit)}" for u in items}
    scp = next(name for name, of in SCP_FILES.items() if of == kind)
    for name, rows in tables.items():
        write_table(directory / name, rows)
    # The list of files comes last: until it is there, this is no data directory.
    write_table(directory / scp, paths)
    for stale in ({"text", "segments", "target.scp"} - set(tables)) | (set(SCP_FILES) - {scp}):
        (directory / stale).unlink(missing_ok=True)
    return DataDir(directory, kind, tuple(items))


def _span(item: Utterance, unit: str) -> str:
    stop = "-1" if item.stop is None else f"{item.stop}{unit}"
    channel = "" if item.channel is None else f" {item.channel}"
    return f"{item.start or 0}{unit} {stop}{channel}"


def _recording_names(items: list[Utterance]) -> dict[Path, str]:
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for item in items:
        if item.path not in names:
            stem = "_".join(fields(item.path.stem)) or "recording"
            name, count = stem, 1
            while name in taken:
                count += 1
                name = f"{stem}-{count}"
            names[item.path] = name
            taken.add(name)
    return names


def _listed(path: Path, directory: Path) -> str:
    absolute = Path(os.path.abspath(path))
    home = Path(os.path.abspath(directory))
    if absolute.is_relative_to(home.parent) and home.parent != Path(home.anchor):
        return os.path.relpath(absolute, home)
    return str(absolute)
