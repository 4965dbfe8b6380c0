"""Finding every problem of a data directory, and mending what can be mended without loss."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqebm.data.datadir import Scan, Utterance
from seqebm.data.reader import Reader
from seqebm.data.readers import ReaderPool
from seqebm.data.tables import Problem, Table, read_table, write_table
from seqebm.errors import DataError

BACKUP = ".backup"

_ANY_RATE = 16000  # to read at where the reader cannot tell the file's own


def validate(
    path: str | os.PathLike[str],
    check_files: bool = True,
    *,
    reader: Reader | None = None,
    options: Mapping[str, Any] | None = None,
    rate: int | None = None,
    limit: float | None = 3600.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """Return every problem of a data directory, in the order of its files and lines.

    Args:
        path: the directory.
        check_files: also read every utterance, to find files that are corrupt, truncated, empty,
            of another kind, or hold NaN. Only utterances without other errors are read.
        reader: a reader to use instead of the registered ones.
        options: of the registered reader, as under ``frontend.reader`` of a config.
        rate: samples per second to read at; default: each file's own, where the reader tells it.
        limit: longest utterance in seconds; None: any.
        progress: called with (number read, number to read).

    Raises :class:`DataError` if ``path`` is no data directory at all.
    """
    scan = Scan(Path(path))
    problems = list(scan.problems)
    if not check_files:
        return problems
    try:
        pool = ReaderPool(scan.kind, [reader] if reader is not None else None, options)
        utterances = _sound(scan, None if reader is None else pool.file_rate)
    except DataError as error:
        return [*problems, Problem("error", scan.scp.path, None, None, str(error))]
    source = scan.segments or scan.scp
    for number, utterance in enumerate(utterances, 1):
        if (message := _try_reading(pool, utterance, rate, limit)) is not None:
            row = source.rows[utterance.id]
            problems.append(Problem("error", source.path, row.line, row.id, message))
        if progress:
            progress(number, len(utterances))
    return problems


def _sound(scan: Scan, rate_of: Callable[[Path], int] | None) -> list[Utterance]:
    """The utterances that have no error so far."""
    bad = {p.id for p in scan.problems if p.severity == "error"}
    good = [
        name
        for name in scan.ids
        if name not in bad and (scan.segments is None or scan.spans[name][0] not in bad)
    ]
    return list(scan.utterances(rate_of, good))


def _try_reading(
    pool: ReaderPool, utterance: Utterance, rate: int | None, limit: float | None
) -> str | None:
    reader = pool.for_path(utterance.path)
    try:
        if rate is None:
            rate = reader.file_rate(utterance.path) or _ANY_RATE
        samples = reader.read(utterance.path, rate, utterance.start, utterance.stop, limit)
    except DataError as error:
        return str(error)
    if len(samples) == 0:
        return f"{utterance.path}: holds no samples"
    if not np.isfinite(samples).all():
        return f"{utterance.path}: holds NaN or infinite samples"
    return None


def fix(path: str | os.PathLike[str]) -> list[str]:
    """Mend a data directory and return what was done, one sentence each.

    Sorts in byte order; writes UTF-8 without byte-order mark, with Unix line ends; drops repeated
    lines (of those that differ, the first stays), lines without value, and utterances that are
    not in all of the tables or have no transcript; adds utterances that ``utt2spk`` lacks, each
    as its own speaker; rebuilds ``spk2utt``. A file that changes is first copied to ``.backup/``
    below the directory, under a name that is free. Media files are never touched.

    Raises :class:`DataError`, before anything is changed, if a line is not UTF-8 or no utterance
    would be left.
    """
    scan = Scan(Path(path))
    for table in scan.tables():
        if table.unreadable:
            fault = next(p for p in table.problems if "not UTF-8" in p.message)
            raise DataError(f"nothing was changed: {fault}")
    keep = _keep(scan)
    if not keep:
        raise DataError(
            f"nothing was changed: no utterance of {scan.path} would be left; its tables have no "
            "id in common"
        )
    actions = [_describe(p) for p in scan.problems if p.fixable]
    for table in scan.tables():
        rows = _mended(scan, table, keep)
        if table.problems or rows != {n: r.value for n, r in table.rows.items()}:
            _rewrite(table.path, rows, actions)
    if scan.speakers is not None:
        _mend_spk2utt(scan.path, actions)
    return actions


def _keep(scan: Scan) -> set[str]:
    keep = {
        name
        for name, row in scan.ids.items()
        if row.value and (scan.segments is None or _recording_is_there(scan, name))
    }
    if scan.text is not None:
        keep &= {name for name, row in scan.text.rows.items() if row.value}
    return keep


def _recording_is_there(scan: Scan, name: str) -> bool:
    if name not in scan.spans:
        return False  # its line could not be understood
    row = scan.scp.rows.get(scan.spans[name][0])
    return row is not None and bool(row.value)


def _mended(scan: Scan, table: Table, keep: set[str]) -> dict[str, str]:
    """The rows that stay. Recordings are not utterances where there are segments."""
    if table is scan.rates or (table is scan.scp and scan.segments is not None):
        return {name: row.value for name, row in table.rows.items() if row.value}
    if table is scan.speakers:
        return {name: _speaker(table, name) for name in keep}
    return {name: row.value for name, row in table.rows.items() if name in keep}


def _speaker(table: Table, name: str) -> str:
    row = table.rows.get(name)
    return row.value if row and len(row.value.split()) == 1 else name


def _describe(problem: Problem) -> str:
    place = problem.file.name + (f":{problem.line}" if problem.line else "")
    subject = f"{place}: {problem.id}" if problem.id else place
    return f"{subject} {problem.message}: mended"


def _rewrite(path: Path, rows: dict[str, str], actions: list[str]) -> None:
    before = path.read_bytes() if path.exists() else None
    saved = None
    if before is not None:
        saved = _back_up(path)
    write_table(path, rows)
    if saved is not None and path.read_bytes() == before:
        saved.unlink()  # nothing changed after all
    elif saved is not None:
        actions.append(f"{path.name}: written anew with {len(rows)} lines; the original is {saved}")
    else:
        actions.append(f"{path.name}: written")


def _back_up(path: Path) -> Path:
    folder = path.parent / BACKUP
    try:
        folder.mkdir(exist_ok=True)
        target, count = folder / path.name, 0
        while target.exists():
            count += 1
            target = folder / f"{path.name}.{count}"
        shutil.copy2(path, target)
    except OSError as error:
        raise DataError(f"{path}: cannot be backed up to {folder}: {error.strerror}") from error
    return target


def _mend_spk2utt(path: Path, actions: list[str]) -> None:
    inverse = Scan(path).utterances_of_speakers()
    wanted = {name: " ".join(sorted(ids, key=str.encode)) for name, ids in inverse.items()}
    target = path / "spk2utt"
    if target.exists():
        have = {name: row.value for name, row in read_table(target).rows.items()}
        if have == wanted:
            return
    _rewrite(target, wanted, actions)
