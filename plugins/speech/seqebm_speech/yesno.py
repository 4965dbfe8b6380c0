"""The preparer ``yesno``: connected Hebrew yes and no, OpenSLR 1."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from seqebm.hooks import DataError, Utterance, some, write_data_dir, write_table
from seqebm_speech.options import YesNoOptions
from seqebm_speech.readable import is_readable
from seqebm_speech.recordings import Recordings

logger = logging.getLogger(__name__)

YESNO_URL = "https://www.openslr.org/resources/1/waves_yesno.tar.gz"
YESNO_HOME = "https://www.openslr.org/1/"
WORDS = {"0": "NO", "1": "YES"}
TRAIN = 30  # files, in the order of their names; the rest is for testing
PUBLISHED = 60
_NAME = re.compile(r"[01](?:_[01])*\.wav")
_SOURCE = Recordings(
    "yesno", YESNO_URL, YESNO_HOME, "waves_yesno.tar.gz", "waves_yesno", _NAME,
    "1_0_0_1_0_1_1_1.wav",
)  # fmt: skip
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
        folder = _SOURCE.find(options.source, options.download, destination)
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
