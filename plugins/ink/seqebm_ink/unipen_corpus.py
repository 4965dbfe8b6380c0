"""The preparer ``unipen``: isolated characters and words of the UNIPEN corpus, writers disjoint."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from seqebm.hooks import DataError, unpack, write_text
from seqebm_ink.archive import Item, write_ink_dir
from seqebm_ink.ink import Ink
from seqebm_ink.options import UnipenOptions
from seqebm_ink.unipen import Segment, Unipen, read_unipen

logger = logging.getLogger(__name__)

UNIPEN_HOME = "https://zenodo.org/records/1195803"
RATE = 100.0  # points per second where a file says nothing about time
_LEVELS = {"1a": "CHARACTER", "1b": "CHARACTER", "1c": "CHARACTER", "words": "WORD"}
_FOLDERS = {"words": "6"}
_LABELS = {
    "1a": {"any": r"[0-9]"},
    "1b": {"any": r"[A-Z]"},
    "1c": {"any": r"[a-z]"},
    "words": {"any": r"\S+", "lower": r"[a-z]+", "letters": r"[A-Za-z]+"},
}


class Sample(NamedTuple):
    """A labelled piece of ink, and where it came from."""

    provider: str
    file: str
    number: int
    text: str
    writer: str
    ink: Ink


@dataclass
class Report:
    """What became of the segments."""

    kept: Counter[str] = field(default_factory=Counter)  # by provider
    skipped: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    damaged: list[str] = field(default_factory=list)

    def skip(self, reason: str, where: str) -> None:
        """Count a segment that cannot be used."""
        self.skipped[reason].append(where)


def unipen(options: UnipenOptions) -> Callable[[Path], list[Path]]:
    """Prepare one category of UNIPEN (Guyon et al. 1994), release train_r01_v07.

    ``options.source`` is the corpus, a directory with ``data/`` and ``include/`` or an archive of
    one (unpacked to ``destination/unipen``). Below ``destination`` there will be

    ==================  =======================================================================
    ``train``, ``test``  of kind ink; no writer is in both. A writer is in test by a hash of the
                        name alone, hence on the same side in every category. With a
                        ``test_share`` of 1 there is no ``train``, with 0 no ``test``.
    ``train_dev``,      ``train`` without, and only, some of its writers (if ``dev_share``)
    ``dev``
    ``report.md``       how many were kept, by provider and writer, and what was skipped and why
    ``skipped.tsv``     each segment that was skipped: reason, file, label
    ==================  =======================================================================

    Writers whose ids are equal count as one, also of different providers (several took part
    twice). Where a file names none, the file stands for its writer.

    Returns the function ``prepare(destination)``, which returns the data directories written.

    Raises :class:`DataError` if there is no source, or nothing usable in it.
    """

    def prepare(destination: Path) -> list[Path]:
        destination = Path(destination).absolute()
        root = _root(options, destination)
        report = Report()
        samples = _capped(list(_samples(root, options, report)), options, report)
        if not samples:
            raise DataError(
                f"unipen: no segment of category {options.category} in {root} can be used; see "
                f"{len(report.skipped)} reasons: {', '.join(report.skipped) or 'no files'}"
            )
        parts = {
            part: [s for s in samples if part in parts_of(s.writer, options)]
            for part in _parts(options)
        }
        written = []
        for part, own in parts.items():
            if not own:
                raise DataError(
                    f"unipen: no writer falls to {part}: {len({s.writer for s in samples})} "
                    "writers are too few; change test_share or dev_share"
                )
            write_ink_dir(destination / part, map(_item, own))
            written.append(destination / part)
        write_text(destination / "report.md", _summary(report, parts, options))
        rows = [f"{why}\t{where}" for why, all_ in report.skipped.items() for where in all_]
        write_text(destination / "skipped.tsv", "\n".join(["reason\tsegment", *rows]) + "\n")
        logger.info(
            "unipen: %s; %d segments skipped (see %s)",
            ", ".join(f"{len(own)} {part}" for part, own in parts.items()),
            len(rows), destination / "report.md",
        )  # fmt: skip
        return written

    return prepare


def parts_of(writer: str, options: UnipenOptions) -> tuple[str, ...]:
    """The data directories that a writer's ink belongs to, by a hash of the name."""
    place = int.from_bytes(hashlib.sha256(writer.encode()).digest()[:4], "big") / 2**32
    if place < options.test_share:
        return ("test",)
    if place < options.test_share + options.dev_share * (1 - options.test_share):
        return ("train", "dev")
    return ("train", "train_dev")


def _parts(options: UnipenOptions) -> list[str]:
    """The data directories that there will be."""
    parts = {
        "train": options.test_share < 1,
        "test": options.test_share > 0,
        "train_dev": options.test_share < 1 and options.dev_share > 0,
        "dev": options.test_share < 1 and options.dev_share > 0,
    }
    return [part for part, wanted in parts.items() if wanted]


def _root(options: UnipenOptions, destination: Path) -> Path:
    if options.source is None:
        raise DataError(
            "unipen: no source given; set 'source' to the corpus (a directory with data/ and "
            f"include/) or its archive. It is published at {UNIPEN_HOME}"
        )
    source = options.source
    if source.is_file():
        unpack(source, destination / "unipen", _place, "unipen")
        source = destination / "unipen"
    for folder in (source, *sorted(source.glob("*/"))):
        if (folder / "data").is_dir() and (folder / "include").is_dir():
            return folder
    raise DataError(
        f"unipen: {options.source} holds no data/ beside an include/; set 'source' to the corpus "
        f"as published at {UNIPEN_HOME}, or to its archive"
    )


def _place(name: str) -> str | None:
    match = re.fullmatch(r"(?:.*?/)?((?:data|include)/(?:[\w.-]*\w/)*[\w.-]*\w)", name)
    return match[1] if match else None


def _samples(root: Path, options: UnipenOptions, report: Report) -> Iterator[Sample]:
    folder = root / "data" / _FOLDERS.get(options.category, options.category)
    if not folder.is_dir():
        raise DataError(f"unipen: {folder} does not exist; is the corpus complete?")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        where = str(path.relative_to(folder))
        try:
            file = read_unipen(path, [root / "include"])
        except DataError as error:
            report.skip("file not readable", f"{where}\t{error}")
            continue
        report.damaged += file.damaged
        for number, segment in enumerate(file.segments):
            sample = _sample(file, number, segment, where, options)
            if isinstance(sample, Sample):
                report.kept[sample.provider] += 1
                yield sample
            else:
                report.skip(sample, f"{where}:{number}\t{segment.label}")


def _sample(
    file: Unipen, number: int, segment: Segment, where: str, options: UnipenOptions
) -> Sample | str:
    """A sample, or why there is none."""
    if segment.level != _LEVELS[options.category]:
        return f"is a {segment.level}"
    if not re.fullmatch(_LABELS[options.category].get(options.labels, ""), segment.label):
        return f"label is not {options.labels}"
    if segment.quality == "BAD" and not options.bad:
        return "marked BAD"
    try:
        ink = file.ink(segment).written()
    except DataError:
        return "needs an include file that is missing" if file.missing else "damaged ink"
    if not len(ink):
        return "no pen-down points"
    writer = ink.writer or where
    return Sample(where.split("/")[0], where, number, segment.label, writer, ink)


def _capped(samples: list[Sample], options: UnipenOptions, report: Report) -> list[Sample]:
    """At most ``per_writer`` of each writer, spread evenly over what there is."""
    if options.per_writer is None:
        return samples
    by_writer: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_writer[sample.writer].append(sample)
    kept = []
    for own in by_writer.values():
        count = min(options.per_writer, len(own))
        chosen = {i * len(own) // count for i in range(count)}
        kept += [own[i] for i in sorted(chosen)]
        for i in set(range(len(own))) - chosen:
            report.kept[own[i].provider] -= 1
            report.skip("writer has enough others", f"{own[i].file}:{own[i].number}\t{own[i].text}")
    return kept


def _item(sample: Sample) -> Item:
    writer = re.sub(r"[^\w.+-]", "_", sample.writer)
    file = re.sub(r"[^\w.+-]", "_", sample.file)
    # The writer comes first, as Kaldi wants it, so that sorting by utterance sorts by writer.
    return Item(
        f"{writer}-{file}-{sample.number:05d}", sample.text, writer, sample.ink.points(RATE)
    )


def _summary(report: Report, parts: dict[str, list[Sample]], options: UnipenOptions) -> str:
    lines = [f"# UNIPEN category {options.category}", "", "| part | segments | writers |"]
    lines += ["|---|---|---|"]
    for part, own in parts.items():
        lines.append(f"| {part} | {len(own)} | {len({s.writer for s in own})} |")
    lines += ["", "| provider | kept | train writers | test writers |", "|---|---|---|---|"]
    for provider, count in sorted(report.kept.items()):
        writers = [
            len({s.writer for s in parts.get(part, ()) if s.provider == provider})
            for part in ("train", "test")
        ]
        lines.append(f"| {provider} | {count} | {writers[0]} | {writers[1]} |")
    lines += ["", "| skipped because | segments |", "|---|---|"]
    for reason, where in sorted(report.skipped.items()):
        lines.append(f"| {reason} | {len(where)} |")
    lines += ["", f"Faults within files, left out: {len(report.damaged)}."]
    lines += [f"- {message}" for message in report.damaged[:20]]
    return "\n".join(lines) + "\n"
