"""The preparer ``fsdd``: the Free Spoken Digit Dataset as leave-one-speaker-out folds."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from seqebm.hooks import DataError, Utterance, some, write_data_dir
from seqebm_speech.options import FSDDOptions
from seqebm_speech.readable import is_readable
from seqebm_speech.recordings import Recordings

logger = logging.getLogger(__name__)

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FSDD_URL = (
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz"
)
FSDD_HOME = "https://github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0)"
_NAME = re.compile(r"([0-9])_([A-Za-z][A-Za-z0-9]*)_([0-9]+)\.wav")
_SOURCE = Recordings(
    "fsdd", FSDD_URL, FSDD_HOME, "fsdd.tar.gz", "recordings", _NAME, "7_jackson_32.wav"
)


def fsdd(options: FSDDOptions) -> Callable[[Path], list[Path]]:
    """Prepare the Free Spoken Digit Dataset for leave-one-speaker-out evaluation.

    The recordings ``{digit}_{speaker}_{index}.wav`` come from ``options.source``: a directory that
    holds them or ``recordings/``, or an archive (.tar.gz), unpacked to ``destination/wav``; only
    files of such names are taken from it, whatever their folder. For each speaker there will be
    ``destination/SPEAKER/test`` with what that speaker said, and ``.../train`` with the rest, and
    for each two ``destination/inner/A-B`` alike, to choose settings: those for A by how B is
    recognised without both, and the reverse. Utterance ids are ``speaker-digit-index``. Files of
    other names and unreadable wavs are left out and reported.

    Returns the function ``prepare(destination)``, which returns the data directories written.

    Raises:
        DataError: there is no source and ``download`` is off, or the download fails, the archive
            is damaged, there are no recordings, or they are of fewer than two speakers.
    """

    def prepare(destination: Path) -> list[Path]:
        destination = Path(destination).absolute()
        utterances = _readable(
            _recordings(_SOURCE.find(options.source, options.download, destination))
        )
        speakers = sorted({str(u.speaker) for u in utterances})
        if len(speakers) < 2:
            raise DataError(
                f"fsdd: all recordings are of {' '.join(speakers)}; leaving one speaker out needs "
                "at least two"
            )
        folds: dict[str, tuple[str, ...]] = {speaker: (speaker,) for speaker in speakers}
        if len(speakers) > 2:  # or nobody would be left to train on
            folds |= {f"inner/{a}-{b}": (a, b) for a, b in combinations(speakers, 2)}
        written = []
        for fold, left_out in folds.items():
            for part in ("train", "test"):
                chosen = [u for u in utterances if (u.speaker in left_out) == (part == "test")]
                write_data_dir(destination / fold / part, chosen)
                written.append(destination / fold / part)
        logger.info("fsdd: %d recordings, %d folds", len(utterances), len(speakers))
        return written

    return prepare


def _recordings(folder: Path) -> list[Utterance]:
    found, strays = [], []
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            if path.suffix.lower() == ".wav" or path.is_file():
                strays.append(path.name)
            continue
        digit, speaker, index = match.groups()
        name = f"{speaker}-{digit}-{index}"
        found.append(Utterance(name, path, WORDS[int(digit)], speaker))
    if strays:
        logger.warning(
            "fsdd: %d files in %s are not named like 7_jackson_32.wav and are left out: %s",
            len(strays), folder, some(strays),
        )  # fmt: skip
    return found


def _readable(utterances: list[Utterance]) -> list[Utterance]:
    faults = [(u, is_readable(u)) for u in utterances]
    good = [u for u, fault in faults if fault is None]
    bad = [fault for _, fault in faults if fault is not None]
    if bad:
        logger.warning("fsdd: %d unreadable files are left out: %s", len(bad), some(bad, "; "))
    if not good:
        raise DataError(f"fsdd: no recording is readable: {some(bad, '; ')}")
    return good
