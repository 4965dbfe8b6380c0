"""The preparer ``dspspeech``: DSPSpeech-20, twenty words of speakers never heard, in folds."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from seqebm.hooks import DataError, Utterance, some, write_data_dir, write_table
from seqebm_speech.options import DSPSpeechOptions
from seqebm_speech.readable import is_readable
from seqebm_speech.recordings import Recordings

logger = logging.getLogger(__name__)

# fmt: off
WORDS = (
    "数字", "语音", "语言", "识别", "中国", "总工", "北京", "背景", "上海", "商行", "复旦", "饭店",
    "Speech", "Speaker", "Signal", "Process", "Print", "Open", "Close", "Project",
)
# fmt: on
DSPSPEECH_HOME = "https://github.com/zhongyuchen/DSPSpeech-20 (MIT)"
_NAME = re.compile(r"([A-Za-z0-9]+)-([0-9]{2})-([0-9]{2})\.(?:wav|opus|flac)")
_SOURCE = Recordings(
    "dspspeech", None, DSPSPEECH_HOME, "dspspeech.tar.gz", "DSPSpeech-20", _NAME,
    "s01-00-02.wav", depth=2,
)  # fmt: skip


def dspspeech(options: DSPSpeechOptions) -> Callable[[Path], list[Path]]:
    """Prepare DSPSpeech-20 in folds of speakers: 12 Mandarin and 8 English words, several alike.

    The recordings ``SPEAKER-WORD-TAKE.wav`` (or ``.opus``, ``.flac``) come from ``options.source``:
    a directory that holds them, by speaker or not, or an archive, unpacked to ``destination/wav``.
    The speakers, in the order of their names, are dealt out to K folds like cards;
    ``destination/folds`` says who is in which. Fold k has

    ======================  ==================================================================
    ``foldK/test``          its speakers: what is reported
    ``foldK/train``         all others
    ``foldK/dev``           those of the next fold, to choose settings on
    ``foldK/inner``         all but these two: what is trained on to choose settings
    ======================  ==================================================================

    Returns the function ``prepare(destination)``, which returns the data directories written.

    Raises:
        DataError: there is no source, the archive is damaged, there are no readable recordings, or
            they are of fewer speakers than there are folds.
    """

    def prepare(destination: Path) -> list[Path]:
        destination = Path(destination).absolute()
        utterances = _utterances(_SOURCE.find(options.source, False, destination))
        speakers = sorted({str(u.speaker) for u in utterances})
        if len(speakers) < options.folds:
            raise DataError(
                f"dspspeech: there are {len(speakers)} speakers ({some(speakers)}), too few for "
                f"{options.folds} folds; set 'folds' to less"
            )
        fold_of = {speaker: index % options.folds for index, speaker in enumerate(speakers)}
        written = []
        for fold in range(options.folds):
            following = (fold + 1) % options.folds
            parts = {
                "test": [fold],
                "train": [f for f in range(options.folds) if f != fold],
                "dev": [following],
                "inner": [f for f in range(options.folds) if f not in (fold, following)],
            }
            for part, folds in parts.items():
                chosen = [u for u in utterances if fold_of[str(u.speaker)] in folds]
                if chosen:  # of two folds no inner part is left
                    write_data_dir(destination / f"fold{fold}" / part, chosen)
                    written.append(destination / f"fold{fold}" / part)
        write_table(destination / "folds", {s: f"fold{k}" for s, k in fold_of.items()})
        logger.info(
            "dspspeech: %d recordings, %d speakers, %d folds",
            len(utterances), len(speakers), options.folds,
        )  # fmt: skip
        return written

    return prepare


def _utterances(folder: Path) -> list[Utterance]:
    found = []
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        match = _NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        speaker, word, _ = match.groups()
        if int(word) >= len(WORDS):
            raise DataError(f"dspspeech: {path}: there are words 00 to {len(WORDS) - 1}, no {word}")
        found.append(Utterance(path.stem, path, WORDS[int(word)], speaker))
    faults = [fault for u in found if (fault := is_readable(u))]
    if faults:
        raise DataError(
            f"dspspeech: {len(faults)} of {len(found)} recordings are unreadable: "
            f"{some(faults, '; ')}"
        )
    return found
