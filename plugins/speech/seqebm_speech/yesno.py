"""The preparer ``yesno``: connected Hebrew yes and no, OpenSLR 1."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from seqebm.hooks import DataError, Utterance, download, some, unpack, write_data_dir, write_table
from seqebm_speech.options import YesNoOptions
from seqebm_speech.readable import is_readable

logger = logging.getLogger(__name__)

YESNO_URL = "https://www.openslr.org/resources/1/waves_yesno.tar.gz"
YESNO_HOME = "https://www.openslr.org/1/"
WORDS = {"0": "NO", "1": "YES"}
TRAIN = 30  # files, in the order of their names; the rest is for testing
PUBLISHED = 60
_NAME = re.compile(r"[01](?:_[01])*\.wav")
_SPEAKER = "global"  # as in Kaldi's recipe: one person says everything


def yesno(options: YesNoOptions) -> Callable[[Path], list[Path]]:
    """Prepare the corpus of 60 recordings, each of eight words, whose names are the transcripts.

    The recordings ``1_0_0_1_0_1_1_1.wav`` (1: YES, 0: NO) come from ``options.source``, a directory
    that holds them or ``waves_yesno/``, or the archive, unpacked to ``destination/wav``. Of their
    names in order the first 30 become ``destination/train`` and the others ``destination/test``.
    ``destination/lexicon.txt`` has each word as one unit: ``NO N``, ``YES Y``.

    Returns the function ``prepare(destination)``, which returns the data directories written.

    Raises:
        DataError: there is no source and ``download`` is off, or the download fails, the archive
            is damaged, a recording is unreadable, or there are no more than 30.
    """

    def prepare(destination: Path) -> list[Path]:
        destination = Path(destination).absolute()
        folder = _folder(options, destination)
        utterances = [
            Utterance(p.stem, p, " ".join(WORDS[d] for d in p.stem.split("_")), _SPEAKER)
            for p in sorted(folder.iterdir())
            if _NAME.fullmatch(p.name)
        ]
        if len(utterances) <= TRAIN:
            raise DataError(
                f"yesno: {folder} holds {len(utterances)} recordings; {TRAIN} are for training, "
                f"and there must be more, for testing. {PUBLISHED} are published at {YESNO_HOME}"
            )
        if len(utterances) != PUBLISHED:
            logger.warning("yesno: %d recordings instead of %d", len(utterances), PUBLISHED)
        if bad := [fault for u in utterances if (fault := is_readable(u))]:
            raise DataError(f"yesno: {len(bad)} recordings are unreadable: {some(bad, '; ')}")
        write_data_dir(destination / "train", utterances[:TRAIN])
        write_data_dir(destination / "test", utterances[TRAIN:])
        write_table(destination / "lexicon.txt", {"NO": "N", "YES": "Y"})
        logger.info("yesno: %d for training, %d for testing", TRAIN, len(utterances) - TRAIN)
        return [destination / "train", destination / "test"]

    return prepare


def _folder(options: YesNoOptions, destination: Path) -> Path:
    """The directory that holds the wavs, after downloading and unpacking as needed."""
    source = options.source
    if source is None:
        if not options.download:
            raise DataError(
                "yesno: no source given; set 'source' to the recordings or their archive, or "
                f"'download: true'. The corpus is published at {YESNO_HOME}"
            )
        source = destination / "waves_yesno.tar.gz"
        if not source.is_file():
            download(YESNO_URL, source, "yesno")
    if source.is_file():
        return _unpack(source, destination / "wav")
    if not source.is_dir():
        raise DataError(f"yesno: {source} does not exist; correct 'source'")
    for folder in (source, source / "waves_yesno"):
        if folder.is_dir() and any(_NAME.fullmatch(p.name) for p in folder.iterdir()):
            return folder.absolute()
    archives = sorted(source.glob("*.tar.gz")) + sorted(source.glob("*.tgz"))
    if len(archives) == 1:
        return _unpack(archives[0], destination / "wav")
    raise DataError(
        f"yesno: {source} holds neither recordings ('1_0_0_1_0_1_1_1.wav'), nor waves_yesno/ with "
        f"them, nor one archive (.tar.gz, found {len(archives)}). The corpus is published at "
        f"{YESNO_HOME}"
    )


def _unpack(archive: Path, folder: Path) -> Path:
    for path in folder.iterdir() if folder.is_dir() else ():  # what another archive left
        if _NAME.fullmatch(path.name):
            path.unlink()
    if not unpack(archive, folder, _place, "yesno"):
        raise DataError(
            f"yesno: {archive} holds no recordings ('1_0_0_1_0_1_1_1.wav'); correct 'source'. The "
            f"corpus is published at {YESNO_HOME}"
        )
    return folder


def _place(name: str) -> str | None:
    name = name.rsplit("/", 1)[-1]
    return name if _NAME.fullmatch(name) else None
