"""Finding every problem of a data directory, repairing it, and dropping what is past repair."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from seqebm.data.datadir import Scan, Utterance
from seqebm.data.reader import Reader
from seqebm.data.readers import ReaderPool
from seqebm.data.signals import read_signal
from seqebm.data.tables import Problem, Table, byte_order, read_table, write_lines
from seqebm.errors import DataError
from seqebm.spelling import plain
from seqebm.text import fields, spaced

BACKUP = ".backup"

_NAMED = 10  # ids listed of those that are dropped
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
        row = source.rows[utterance.id]
        for severity, message in _try_reading(pool, utterance, rate, limit):
            problems.append(Problem(severity, source.path, row.line, row.id, message))
        if progress:
            progress(number, len(utterances))
    return problems


def _sound(scan: Scan, rate_of: Callable[[Path], int] | None) -> list[Utterance]:
    """The utterances that have no error so far."""
    bad = {p.id for p in scan.problems if p.severity == "error"}
    others = [t.rows for t in (scan.text, scan.arrays, scan.speakers) if t is not None]
    good = [
        name
        for name in scan.ids
        if name not in bad
        and (scan.segments is None or scan.spans[name][0] not in bad)
        # A file of another kind has one error, of no utterance, and lists none of them.
        and all(name in rows for rows in others)
    ]
    return list(scan.utterances(rate_of, good))


def _try_reading(
    pool: ReaderPool, utterance: Utterance, rate: int | None, limit: float | None
) -> list[tuple[Literal["error", "warning"], str]]:
    """What is wrong with the signal of an utterance."""
    warnings: list[str] = []
    try:
        reader = pool.for_path(utterance.path)
        if rate is None:
            rate = reader.file_rate(utterance.path) or _ANY_RATE
        read_signal(reader, utterance, rate, limit, warnings.append)
    except DataError as error:
        return [("error", str(error))]
    return [("warning", text) for text in warnings]


def fix(path: str | os.PathLike[str], drop: bool = False) -> list[str]:
    """Mend a data directory and return what was done, one sentence each.

    Repairs lose nothing: sorts in byte order; writes UTF-8 without byte-order marks, with Unix line
    ends and single blanks; writes transcripts in NFC, with blanks for U+00A0 and without characters
    of zero width; leaves out blank lines and repeated ones that agree; adds utterances that
    ``utt2spk`` lacks, each as its own speaker; rebuilds ``spk2utt``. A file that changes is first
    copied to ``.backup/`` below the directory, under a name that is free. Media files are never
    touched.

    Args:
        path: the directory.
        drop: also drop the utterances that cannot be repaired (no path, no sound line in
            ``segments``, not in all of the tables), and of lines that contradict each other all but
            the first. They are counted and named.

    Raises :class:`DataError`, before anything is changed, if a line is not UTF-8 or no utterance
    would be left.
    """
    scan = Scan(Path(path))
    for table in scan.tables():
        if table.unreadable:
            fault = next(p for p in table.problems if "is not UTF-8" in p.message)
            raise DataError(f"nothing was changed: {fault}")
    keep = _keep(scan)
    if drop and not keep:
        raise DataError(
            f"nothing was changed: no utterance of {scan.path} would be left; its tables have no "
            "id in common"
        )
    actions = [_describe(p, drop) for p in scan.problems if p.fixable or (drop and p.droppable)]
    lost = _every(scan) - keep
    for table in filter(_usable, scan.tables()):
        rows = _mended(scan, table, keep if drop else None)
        kept = rows.items() if drop else [*rows.items(), *((r.id, r.value) for r in table.rivals)]
        if table.problems or rows != {n: r.value for n, r in table.rows.items()}:
            _rewrite(table.path, list(kept), actions)
    if _usable(scan.speakers):
        _mend_spk2utt(scan.path, actions)
    if drop and lost:
        actions.append(_named(lost, len(lost | keep), "dropped"))
    return actions


def droppable(path: str | os.PathLike[str]) -> str:
    """What only ``fix(drop=True)`` would do, as a sentence; empty if nothing.

    Raises :class:`DataError` if ``path`` is no data directory at all.
    """
    scan = Scan(Path(path))
    keep = _keep(scan)
    if lost := _every(scan) - keep:
        return _named(lost, len(lost | keep), "cannot be mended; --fix --drop drops them")
    rivals = sum(len(table.rivals) for table in scan.tables())
    return f"{rivals} lines contradict an earlier one; --fix --drop drops them" if rivals else ""


def _named(ids: set[str], total: int, what: str) -> str:
    names = sorted(ids, key=byte_order)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} of {total} utterances {what}: {', '.join(names[:_NAMED])}{more}"


def _usable(table: Table | None) -> bool:
    """Not so for a file of another kind, in which no line means what it should."""
    return table is not None and not any(
        problem.severity == "error" and problem.line is None for problem in table.problems
    )


def _every(scan: Scan) -> set[str]:
    """Every id that some table takes for an utterance."""
    names = set(scan.ids)
    for table in (scan.text, scan.arrays, scan.speakers):
        if table is not None and _usable(table):
            names |= table.rows.keys()
    return names


def _keep(scan: Scan) -> set[str]:
    keep = {
        name
        for name, row in scan.ids.items()
        if row.value and (scan.segments is None or _recording_is_there(scan, name))
    }
    for table in (scan.text, scan.arrays):
        if table is not None:
            keep &= table.rows.keys()
    return keep


def _recording_is_there(scan: Scan, name: str) -> bool:
    if name not in scan.spans:
        return False  # its line could not be understood
    row = scan.scp.rows.get(scan.spans[name][0])
    return row is not None and bool(row.value)


def _mended(scan: Scan, table: Table, keep: set[str] | None) -> dict[str, str]:
    """The rows that stay (None: all). Recordings are not utterances where there are segments."""
    rows = {name: row.value for name, row in table.rows.items()}
    if table is scan.text:
        rows = {name: spaced(plain(value)) for name, value in rows.items()}
    elif table is scan.segments or table is scan.rates:
        rows = {name: spaced(value) for name, value in rows.items()}
    if table is scan.speakers:
        names = rows.keys() | scan.ids.keys() if keep is None else keep
        return {name: _speaker(table, name) for name in names}
    if keep is None:
        return rows
    if table is scan.rates or (table is scan.scp and scan.segments is not None):
        return {name: value for name, value in rows.items() if value}
    return {name: value for name, value in rows.items() if name in keep}


def _speaker(table: Table, name: str) -> str:
    row = table.rows.get(name)
    return row.value if row and len(fields(row.value)) == 1 else name


def _describe(problem: Problem, drop: bool) -> str:
    place = problem.file.name + (f":{problem.line}" if problem.line else "")
    subject = f"{place}: {problem.id}" if problem.id else place
    return f"{subject} {problem.message}: {'dropped' if problem.droppable else 'mended'}"


def _rewrite(path: Path, rows: list[tuple[str, str]], actions: list[str]) -> None:
    before = path.read_bytes() if path.exists() else None
    saved = None
    if before is not None:
        saved = _back_up(path)
    write_lines(path, rows)
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
    _rewrite(target, list(wanted.items()), actions)
