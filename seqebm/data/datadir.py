"""Kaldi data directories: who said what in which file.

A data directory holds, one ``id value`` per line and in any order,

==============  ==================================================================
``wav.scp``     recording id, path (or ``ink.scp``, ``image.scp``, or ``feats.scp`` for features
                computed before; exactly one of them)
``text``        utterance id, transcript (optional: absent where nothing is known)
``target.scp``  utterance id, path of a ``.npy`` file: the answer, where answers are arrays
                (optional)
``utt2spk``     utterance id, speaker id (optional: else each utterance is its own speaker)
``segments``    utterance id, recording id, start, stop and, where the recording has several, the
                channel, counted from 0 (optional: else utterance = recording)
``reco2rate``   recording id, samples per second (optional: see below)
==============  ==================================================================

**Paths** that are relative are looked for below the data directory first (so that a directory
can be moved and read from anywhere), then below the working directory, as Kaldi does. A name that
is written with composed letters also finds the file whose name is decomposed, and the reverse.

**Times** are counted in samples (points of ink, frames of features), from 0, stop exclusive. A
``segments`` line may give them as such, ``utt rec 8000samples 16000samples``, which is also what we
write; plain numbers are seconds, as in Kaldi, read as exact decimals and turned into samples at
once with the rate of the recording, taken from ``reco2rate`` or else from the file itself. Kaldi's
stop ``-1`` means the end of the recording.

An **empty transcript** is one: nothing is said there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import NamedTuple

from seqebm.data.foreign import foreign
from seqebm.data.readers import ReaderPool
from seqebm.data.tables import Problem, Row, Table, byte_order, read_table
from seqebm.errors import DataError
from seqebm.spelling import forms, plain, seen
from seqebm.text import fields as parted
from seqebm.text import number, shown, spaced, whole

SCP_FILES = {
    "wav.scp": "audio",
    "ink.scp": "ink",
    "image.scp": "image",
    "feats.scp": "features",
}
UNITS = {"ink": "points", "features": "frames"}  # what ``segments`` counts; others: samples
_COUNT = re.compile(r"([0-9]+)(?:samples|points|frames)")
_LONGEST = 10**9  # seconds: 30 years, so that a number of samples always fits in 64 bits
_MANY = 1000  # seconds of a recording from which on they are perhaps samples
_ARCHIVE = re.compile(r"\.ark:[0-9]+(\[.*\])?$")
_WORST = 5  # problems quoted in an error message


@dataclass(frozen=True)
class Utterance:
    """One stretch of one file.

    Attributes:
        id: unique in its data directory; without blanks.
        path: the file.
        text: the transcript, words separated by single spaces, perhaps none; None if unknown.
        speaker: the speaker or writer.
        start: first sample, at the file's own rate; None: from the start.
        stop: one past the last sample; None: to the end.
        array: a ``.npy`` file with the right answer, where answers are arrays and not transcripts.
        channel: of a recording with several, counted from 0; None: the reader's choice.
    """

    id: str
    path: Path
    text: str | None = None
    speaker: str | None = None
    start: int | None = None
    stop: int | None = None
    array: Path | None = None
    channel: int | None = None


@dataclass(frozen=True)
class DataDir:
    """A data directory in memory; iterates over its utterances in byte order of their ids.

    Attributes:
        path: the directory; of several that were joined, the first.
        kind: ``"audio"``, ``"ink"``, ``"image"`` or ``"features"``.
        utterances: sorted by id.
    """

    path: Path
    kind: str
    utterances: tuple[Utterance, ...]

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], rate_of: Callable[[Path], int] | None = None
    ) -> DataDir:
        """Load a data directory.

        Args:
            path: the directory.
            rate_of: samples per second of a file, for ``segments`` in seconds of recordings
                that ``reco2rate`` does not list; by default the registered reader is asked.

        Raises :class:`DataError` naming file, line, id and remedy if the directory is missing or
        ambiguous, an id is listed twice or in some files only, a path is a pipe, or a file does
        not exist. The files themselves are not opened.
        """
        scan = Scan(Path(path))
        errors = [p for p in scan.problems if p.severity == "error"]
        if errors:
            raise DataError(_summary(Path(path), errors))
        return cls(Path(path), scan.kind, tuple(scan.utterances(rate_of)))

    @classmethod
    def joined(cls, parts: Sequence[DataDir]) -> DataDir:
        """Several as one.

        Raises :class:`DataError` if there are none, they are of different kinds, or an id is in two
        of them.
        """
        if not parts:
            raise DataError("no data directory is given; give at least one")
        found: dict[str, tuple[Path, Utterance]] = {}
        for part in parts:
            if part.kind != parts[0].kind:
                raise DataError(
                    f"{parts[0].path} holds {parts[0].kind}, but {part.path} {part.kind}; what is "
                    "joined must be of one kind"
                )
            for utterance in part:
                if utterance.id in found:
                    raise DataError(
                        f"utterance {utterance.id} is in {found[utterance.id][0]} and in "
                        f"{part.path}; give those of one of them other ids, e.g. with a prefix"
                    )
                found[utterance.id] = part.path, utterance
        ordered = sorted(found, key=byte_order)
        return cls(parts[0].path, parts[0].kind, tuple(found[name][1] for name in ordered))

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    @property
    def speakers(self) -> list[str]:
        """Every speaker, sorted."""
        return sorted({u.speaker for u in self.utterances if u.speaker is not None})

    @property
    def texts(self) -> list[str]:
        """Every distinct transcript, sorted: the answers, where an utterance is one word."""
        return sorted({u.text for u in self.utterances if u.text is not None})

    def where(self, keep: Callable[[Utterance], bool]) -> DataDir:
        """The part of this directory of which ``keep(utterance)`` holds."""
        return DataDir(self.path, self.kind, tuple(u for u in self.utterances if keep(u)))


def _summary(path: Path, errors: list[Problem]) -> str:
    lines = [f"data directory {path} cannot be used:"]
    lines += [f"  {problem}" for problem in errors[:_WORST]]
    if len(errors) > _WORST:
        lines.append(f"  ... and {len(errors) - _WORST} more")
    fixable, droppable = any(p.fixable for p in errors), any(p.droppable for p in errors)
    if fixable:
        lines.append(f"'seqebm data validate --fix {path}' mends what can be mended.")
    if droppable:
        lines.append(f"'seqebm data validate --fix --drop {path}' drops what cannot be mended.")
    if not fixable and not droppable:
        lines.append(f"'seqebm data validate {path}' lists every problem.")
    return "\n".join(lines)


def parse_time(text: str) -> int | Decimal:
    """``"800samples"`` -> int (samples); ``"0.05"`` -> Decimal (seconds). ValueError otherwise."""
    if match := _COUNT.fullmatch(text):
        return whole(match[1])
    try:
        seconds = number(text)
    except ValueError:
        raise ValueError(
            f"{shown(text)} is neither seconds nor a count such as '8000samples'"
        ) from None
    if abs(seconds) > _LONGEST:
        raise ValueError(f"{shown(text)} is not a time: it is more than {_LONGEST:,} seconds")
    return Decimal(text)


class Span(NamedTuple):
    """What a line of ``segments`` says; ``stop`` is None for the end of the recording."""

    recording: str
    start: int | Decimal | None = None
    stop: int | Decimal | None = None
    channel: int | None = None


@dataclass
class Scan:
    """Every table of a directory, read once, and every problem but those of the media files.

    The one implementation below loading, validating and mending. Raises :class:`DataError` only
    if ``path`` is no directory or has none or several of the files in ``SCP_FILES``.
    """

    path: Path
    kind: str = field(init=False)
    scp: Table = field(init=False)
    text: Table | None = field(init=False)
    arrays: Table | None = field(init=False)
    speakers: Table | None = field(init=False)
    segments: Table | None = field(init=False)
    rates: Table | None = field(init=False)
    spans: dict[str, Span] = field(init=False)
    problems: list[Problem] = field(init=False)

    def __post_init__(self) -> None:
        if not os.path.isdir(self.path):
            raise DataError(
                f"data directory {self.path} does not exist; correct the path, or make it with "
                "'seqebm data prepare'"
            )
        present = [name for name in SCP_FILES if (self.path / name).exists()]
        if len(present) != 1:
            raise DataError(
                f"data directory {self.path} has {' and '.join(present) or 'no list of files'}; "
                f"it needs exactly one of {', '.join(SCP_FILES)}"
            )
        self.kind = SCP_FILES[present[0]]
        self.scp = read_table(self.path / present[0])
        self.text = self._optional("text")
        self.arrays = self._optional("target.scp")
        self.speakers = self._optional("utt2spk")
        self.segments = self._optional("segments")
        self.rates = self._optional("reco2rate")
        self.spans = {}
        self._check_paths(self.scp)
        self._check_segments()
        self._check_text()
        self._check_speakers()
        self.problems = [problem for table in self.tables() for problem in table.problems]

    def _optional(self, name: str) -> Table | None:
        path = self.path / name
        return read_table(path) if path.exists() else None

    def tables(self) -> list[Table]:
        """The tables that exist."""
        tables = (self.scp, self.segments, self.text, self.arrays, self.speakers, self.rates)
        return [table for table in tables if table is not None]

    @property
    def ids(self) -> dict[str, Row]:
        """The utterance ids: those of ``segments``, else the recordings."""
        return (self.segments or self.scp).rows

    def resolve(self, value: str) -> Path:
        """The path that an entry of the scp file means (see the module's documentation)."""
        for base in (self.path, Path()):
            for name in forms(value):
                # Not Path.is_file, which raises for a name that is too long.
                if os.path.isfile(base / name):
                    return base / name
        return self.path / value

    def _check_paths(self, table: Table) -> None:
        if not table.rows:
            table.note("error", None, "lists no file")
        for row in table.rows.values():
            if not row.value:
                table.note("error", row, "has no path", droppable=True)
            elif row.value.endswith("|") or row.value.startswith("|"):
                table.note(
                    "error",
                    row,
                    f"is a command ({shown(row.value)}), and commands from data files are never "
                    "run; run it once, write its output to a file and list that",
                )
            elif _ARCHIVE.search(row.value):
                table.note(
                    "error",
                    row,
                    f"is a place in an archive of Kaldi's ({shown(row.value)}), which is not read; "
                    "write each matrix to a file, e.g. a .npy, and list that",
                )
            elif not os.path.isfile(self.resolve(row.value)):
                tried = shown(row.value, 200)
                if not os.path.isabs(row.value):
                    tried += f" (neither below {self.path} nor the working directory)"
                table.note(
                    "error", row, f"the file {tried} does not exist; restore it or drop the line"
                )

    def _check_segments(self) -> None:
        if self.segments is None:
            return
        for row in self.segments.rows.values():
            try:
                span = _parse_segment(row.value)
            except ValueError as error:
                self.segments.note("error", row, str(error), droppable=True)
                continue
            if span.recording not in self.scp.rows:
                name = self.scp.path.name
                message = f"its recording {span.recording!r} is not in {name}"
                self.segments.note("error", row, message, droppable=True)
            self.spans[row.id] = span
        self._check_unit(self.segments)

    def _check_unit(self, table: Table) -> None:
        """Samples or milliseconds without a unit would be taken for seconds."""
        stops = [s.stop for s in self.spans.values() if isinstance(s.stop, Decimal)]
        starts = [s.start for s in self.spans.values() if isinstance(s.start, Decimal)]
        if max(stops, default=0) >= _MANY and all(t == int(t) for t in stops + starts):
            unit = UNITS.get(self.kind, "samples")
            table.note(
                "warning", None, f"has whole numbers only, up to {max(stops)}, which are seconds: "
                f"if they count {unit}, write '{max(stops)}{unit}'; divide milliseconds by 1000",
            )  # fmt: skip

    def _check_text(self) -> None:
        if self.arrays is not None:
            self._check_paths(self.arrays)
            self._check_same(self.arrays)
        if self.text is None:
            return
        if kind := foreign(self.text):
            self.text.note("error", None, f"{kind}; write lines 'utterance words'")
            return
        for row in self.text.rows.values():
            if not row.value:
                self.text.note("warning", row, "has an empty transcript: nothing is said there")
        if changed := [row for row in self.text.rows.values() if plain(row.value) != row.value]:
            words = [w for row in changed for w in parted(row.value) if plain(w) != w]
            self.text.note(
                "warning", changed[0],
                f"{len(words)} words are such as {seen(words[0])}, and equal no word that is "
                "written in NFC, without U+00A0 and characters of zero width", fixable=True,
            )  # fmt: skip
        self._check_same(self.text)

    def _check_speakers(self) -> None:
        if self.speakers is None:
            message = "is missing: every utterance counts as a speaker of its own"
            problem = Problem("warning", self.path / "utt2spk", None, None, message)
            self.scp.problems.append(problem)
            return
        rows = self.speakers.rows
        told = {name for row in rows.values() for name in parted(row.value)}
        if told and not rows.keys() & self.ids.keys() and told & self.ids.keys():
            self.speakers.note(
                "error", None, "lists the utterances of each speaker, as spk2utt does; write lines "
                "'utterance speaker'",
            )  # fmt: skip
            return
        for row in rows.values():
            if len(parted(row.value)) != 1:
                message = f"needs one speaker id, not {shown(row.value)}"
                self.speakers.note("error", row, message, fixable=True)
        self._check_same(self.speakers, fixable=True)
        self._check_spk2utt()

    def _check_same(self, table: Table, fixable: bool = False) -> None:
        """``fixable``: what the table lacks can be made up without loss."""
        source = self.segments or self.scp
        for row in table.rows.values():
            if row.id not in self.ids:
                table.note("error", row, f"is not in {source.path.name}", droppable=True)
        for row in self.ids.values():
            if row.id not in table.rows:
                problem = f"is not in {table.path.name}"
                source.note("error", row, problem, fixable=fixable, droppable=not fixable)

    def _check_spk2utt(self) -> None:
        inverse = self._optional("spk2utt")
        if inverse is None or self.speakers is None:
            return
        have = {name: set(parted(row.value)) for name, row in inverse.rows.items()}
        if have != self.utterances_of_speakers():
            self.speakers.problems.append(
                Problem("warning", inverse.path, None, None, "disagrees with utt2spk", True)
            )

    def utterances_of_speakers(self) -> dict[str, set[str]]:
        """What ``spk2utt`` should say."""
        wanted: dict[str, set[str]] = {}
        for row in self.speakers.rows.values() if self.speakers else ():
            wanted.setdefault(row.value, set()).add(row.id)
        return wanted

    def rate(self, recording: str, path: Path, rate_of: Callable[[Path], int] | None) -> int:
        """Samples per second of a recording, for segments given in seconds."""
        if self.rates and (row := self.rates.rows.get(recording)):
            try:
                if rate := whole(row.value):
                    return rate
            except ValueError:
                pass
            message = f"{shown(row.value)} is not a whole number of samples per second"
            raise DataError(f"{self.rates.path}:{row.line}: {recording}: {message}")
        try:
            return rate_of(path) if rate_of else ReaderPool(self.kind).file_rate(path)
        except DataError as error:
            raise DataError(
                f"{self.path}/segments gives seconds, and the rate of {path} is not known: {error}."
                " List it in reco2rate ('recording rate'), or give counts such as "
                f"'8000{UNITS.get(self.kind, 'samples')}'"
            ) from error

    def utterances(
        self, rate_of: Callable[[Path], int] | None, names: Iterable[str] | None = None
    ) -> Iterator[Utterance]:
        """The utterances called ``names`` (all by default), sorted. They must have no error."""
        rates: dict[str, int] = {}
        for name in sorted(self.ids if names is None else names, key=byte_order):
            recording, start, stop, channel = self.spans.get(name, Span(name))
            path = self.resolve(self.scp.rows[recording].value)
            if isinstance(start, Decimal) or isinstance(stop, Decimal):
                if recording not in rates:
                    rates[recording] = self.rate(recording, path, rate_of)
                start, stop = (_samples(t, rates[recording]) for t in (start, stop))
            yield Utterance(
                name,
                path,
                spaced(self.text.rows[name].value) if self.text else None,
                self.speakers.rows[name].value if self.speakers else name,
                start,
                stop,
                self.resolve(self.arrays.rows[name].value) if self.arrays else None,
                channel,
            )


def _samples(time: int | Decimal | None, rate: int) -> int | None:
    if not isinstance(time, Decimal):
        return time
    return int((time * rate).to_integral_value(ROUND_HALF_EVEN))


def _parse_segment(value: str) -> Span:
    """``"rec start stop [channel]"`` as a span. ValueError otherwise."""
    fields = parted(value)
    if len(fields) not in (3, 4):
        raise ValueError(f"needs 'recording start stop [channel]', not {shown(value)}")
    start, stop = parse_time(fields[1]), parse_time(fields[2])
    channel = None
    if len(fields) == 4:
        try:
            channel = whole(fields[3])
        except ValueError:
            message = f"channel {shown(fields[3])} is none; channels are numbered from 0"
            raise ValueError(message) from None
    if start == 0:
        start = 0  # in any unit: no need to know the rate
    if isinstance(stop, Decimal) and stop == -1 and start >= 0:
        return Span(fields[0], start, None, channel)
    if start and type(start) is not type(stop):
        raise ValueError(f"mixes seconds and counts of samples: {shown(value)}")
    if not 0 <= start < stop:
        raise ValueError(f"is empty or negative: from {fields[1]} to {fields[2]}")
    return Span(fields[0], start, stop, channel)
