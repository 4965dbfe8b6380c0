"""The preparer ``pendigits``: UCI's pen-based handwritten digits, raw trajectories."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from seqebm.hooks import DataError, read_bytes, write_bytes
from seqebm_ink.archive import Item, write_ink_dir
from seqebm_ink.options import PendigitsOptions
from seqebm_ink.unipen import LARGEST, read_unipen

logger = logging.getLogger(__name__)

PENDIGITS_HOME = "https://archive.ics.uci.edu/dataset/81"
RATE = 10.0  # points per second: one every 100 ms, says the corpus
_NAMES = {
    "train": ("pendigits-train", "pendigits-orig.tra"),
    "test": ("pendigits-test", "pendigits-orig.tes"),
}
_COMMENT = re.compile(r"^\.COMMENT[ \t]+(\d)[ \t]+(\d+)[ \t]+(\d+)[ \t]*$", re.MULTILINE)


def pendigits(options: PendigitsOptions) -> Callable[[Path], list[Path]]:
    """Prepare pendigits (Alimoglu & Alpaydin 1996): 7,494 digits of 30 writers, 3,498 of 14 others.

    Below ``destination`` there will be ``train`` and ``test``, the published parts, of kind ink,
    and with ``dev_writers`` also ``train_dev`` and ``dev``, ``train`` without and only its last so
    many writers. The writer of each digit is told by the comment before it.

    Returns the function ``prepare(destination)``, which returns the data directories written.

    Raises :class:`DataError` if there is no source, or it is not the corpus.
    """

    def prepare(destination: Path) -> list[Path]:
        destination = Path(destination).absolute()
        if options.source is None:
            raise DataError(
                "pendigits: no source given; set 'source' to the directory with the raw "
                f"trajectories. They are published at {PENDIGITS_HOME}"
            )
        parts = {part: _part(options.source, part, destination) for part in _NAMES}
        if options.dev_writers:
            writers = sorted({item.writer for item in parts["train"]})
            held_out = set(writers[-options.dev_writers :])
            if len(held_out) == len(writers):
                raise DataError(
                    f"pendigits: dev_writers leaves none of {len(writers)} for training"
                )
            parts["train_dev"] = [i for i in parts["train"] if i.writer not in held_out]
            parts["dev"] = [i for i in parts["train"] if i.writer in held_out]
        for part, items in parts.items():
            write_ink_dir(destination / part, items)
        logger.info("pendigits: %s", ", ".join(f"{len(v)} {part}" for part, v in parts.items()))
        return [destination / part for part in parts]

    return prepare


def _part(source: Path, part: str, destination: Path) -> list[Item]:
    path = _plain(source, part, destination)
    file = read_unipen(path)
    comments = _COMMENT.findall(path.read_text(encoding="latin-1"))
    if len(comments) != len(file.segments) or not comments:
        raise DataError(
            f"pendigits: {path} has {len(file.segments)} digits but {len(comments)} comments of "
            f"their writers; fetch the raw trajectories from {PENDIGITS_HOME}"
        )
    items: list[Item] = []
    for segment, (digit, writer, number) in zip(file.segments, comments, strict=True):
        if digit != segment.label:
            raise DataError(f"pendigits: {path}: digit {segment.label!r} is commented as {digit}")
        name = f"{part}{int(writer):02d}"  # the two parts number their writers anew
        points = file.ink(segment).points(RATE)
        items.append(Item(f"{name}-{int(number):03d}-{len(items):04d}", digit, name, points))
    return items


def _plain(source: Path, part: str, destination: Path) -> Path:
    """The file of a part, gunzipped if need be."""
    for name in _NAMES[part]:
        if (source / name).is_file():
            return source / name
        packed = source / f"{name}.gz"
        if packed.is_file():
            content = read_bytes(packed, largest=LARGEST)
            write_bytes(destination / f"pendigits-{part}.unipen", content)
            return destination / f"pendigits-{part}.unipen"
    raise DataError(
        f"pendigits: {source} holds none of {', '.join(_NAMES[part])} (or .gz of them); fetch the "
        f"raw trajectories from {PENDIGITS_HOME}"
    )
