"""The preparer ``an4``: CMU's Census (AN4) corpus of letters, numbers and control words."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from seqebm.hooks import DataError, Utterance, some, unpack, write_bytes, write_data_dir
from seqebm_speech.options import AN4Options

logger = logging.getLogger(__name__)

AN4_HOME = "http://www.speech.cs.cmu.edu/databases/an4/"
_PARTS = ("train", "test")
_MEDIA = (("feat", ".mfc"), ("wav", ".sph"), ("wav", ".wav"))  # looked for in this order
_SAFE = r"[\w.-]*\w"  # a name, but not ".."
_MEMBER = re.compile(rf"(?:.*/)?((?:etc|feat|wav)/(?:{_SAFE}/)*{_SAFE})")
_LINE = re.compile(r"(?:<s>\s+)?(\S.*?)(?:\s+</s>)?\s*\((\S+)\)")
_ID = re.compile(r"\w+-(\w+)-\w+")  # e.g. an406-fcaw-b: what, who, which take


def an4(options: AN4Options) -> Callable[[Path], list[Path]]:
    """Prepare AN4: 948 training and 130 test utterances of a close-talking microphone.

    ``options.source`` is the corpus as published, a directory or an archive (unpacked to
    ``destination/an4``): ``etc/`` with ``an4_train`` and ``an4_test`` ``.fileids`` and
    ``.transcription``, ``an4.dic`` and ``an4.ug.lm``, and each utterance as ``feat/ID.mfc``, or
    else as ``wav/ID.sph`` or ``.wav``. ``options.audio`` is a directory or archive (unpacked to
    ``destination/audio``) of audio files with ``transcripts.tsv`` (file name, tab, words).
    Below ``destination`` there will be

    ===================  ======================================================================
    ``train``, ``test``  the published parts, of kind features (read by ``cepstra``)
    ``train_dev``,       ``train`` without, and only, so many of its speakers, women and men
    ``dev``              in proportion, spread evenly over their names (if ``dev_speakers``)
    ``wav``              the files of ``audio``, of kind audio (if given)
    ``wav_train``,       those of them whose utterance is in train or test, of kind features,
    ``wav_test``         listing the audio files (where there are any)
    ``lexicon.txt``      the corpus's dictionary, as it is
    ``lm.arpa``          the corpus's unigram language model, as it is
    ===================  ======================================================================

    Returns the function ``prepare(destination)``, which returns the data directories written.

    Raises:
        DataError: there is no source or it is no AN4, files are missing, a line cannot be
            understood, ids and transcripts do not match, a word is not in the dictionary, or
            training has no more speakers than ``dev_speakers``.
    """

    def prepare(destination: Path) -> list[Path]:
        destination = Path(destination).absolute()
        corpus = _corpus(options, destination)
        parts = {part: _part(corpus, part) for part in _PARTS}
        _check_dictionary(corpus / "etc" / "an4.dic", parts)
        if both := {u.id for u in parts["train"]} & {u.id for u in parts["test"]}:
            raise DataError(f"an4: in both training and test: {some(sorted(both))}")
        if options.dev_speakers:
            held_out = _dev_speakers(parts["train"], options.dev_speakers)
            parts["train_dev"] = [u for u in parts["train"] if u.speaker not in held_out]
            parts["dev"] = [u for u in parts["train"] if u.speaker in held_out]
        written = []
        for part, utterances in parts.items():
            write_data_dir(destination / part, utterances, "features")
            written.append(destination / part)
        if options.audio is not None:
            written += _write_audio(options.audio, destination, parts)
        for name, target in (("an4.dic", "lexicon.txt"), ("an4.ug.lm", "lm.arpa")):
            write_bytes(destination / target, _content(corpus / "etc" / name))
        sizes = ", ".join(f"{len(utterances)} {part}" for part, utterances in parts.items())
        logger.info("an4: %s utterances", sizes)
        return written

    return prepare


def _corpus(options: AN4Options, destination: Path) -> Path:
    """The directory that holds ``etc/``, after unpacking as needed."""
    source = options.source
    if source is None:
        raise DataError(
            "an4: no source given; set 'source' to the corpus (a directory with etc/ and feat/ or "
            f"wav/) or its archive. It is published at {AN4_HOME}"
        )
    if source.is_file():
        unpack(source, destination / "an4", _place, "an4")
        source = destination / "an4"
    if not source.is_dir():
        raise DataError(f"an4: {source} does not exist; correct 'source'")
    for folder in (source, source / "an4"):
        if (folder / "etc" / "an4_train.fileids").is_file():
            return folder.absolute()
    raise DataError(
        f"an4: {options.source} holds no etc/an4_train.fileids; set 'source' to the corpus (a "
        "directory with etc/ and feat/ or wav/) or its archive, as published at " + AN4_HOME
    )


def _place(name: str) -> str | None:
    match = _MEMBER.fullmatch(name)
    return match[1] if match else None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"an4: {path} cannot be read: {error.strerror}") from error


def _lines(path: Path) -> Iterable[tuple[int, str]]:
    """The lines that are not blank, numbered from 1."""
    try:
        text = _content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"an4: {path} is not UTF-8 text ({error}); fetch it again") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.strip()


def _part(corpus: Path, part: str) -> list[Utterance]:
    """The utterances of a published part: what its ``fileids`` list."""
    texts = _transcription(corpus / "etc" / f"an4_{part}.transcription")
    listing = corpus / "etc" / f"an4_{part}.fileids"
    found: dict[str, Utterance] = {}
    missing = []
    for number, stem in _lines(listing):
        name = stem.rsplit("/", 1)[-1]
        if not re.fullmatch(rf"(?:{_SAFE}/)*{_SAFE}", stem):
            raise DataError(f"an4: {listing}:{number}: {stem!r} is no path below feat/ or wav/")
        if name in found:
            raise DataError(f"an4: {listing}:{number}: {name} is listed twice")
        files = [corpus / folder / f"{stem}{suffix}" for folder, suffix in _MEDIA]
        path = next((file for file in files if file.is_file()), files[0])
        if not path.is_file():
            missing.append(str(path.relative_to(corpus)))
        found[name] = Utterance(name, path, texts.get(name), _speaker(name, f"{listing}:{number}"))
    if missing:
        raise DataError(
            f"an4: {len(missing)} of {len(found)} files that {listing} lists are not below "
            f"{corpus}: {some(missing)}; fetch the corpus again"
        )
    if not found:
        raise DataError(f"an4: {listing} lists no file")
    if silent := sorted(found.keys() - texts.keys()):
        raise DataError(f"an4: {len(silent)} utterances have no transcript: {some(silent)}")
    if spare := sorted(texts.keys() - found.keys()):
        raise DataError(f"an4: {len(spare)} transcripts are not in {listing}: {some(spare)}")
    return list(found.values())


def _speaker(name: str, where: str) -> str:
    match = _ID.fullmatch(name)
    if not match:
        raise DataError(f"an4: {where}: {name!r} names no speaker, as an406-fcaw-b does")
    return match[1]


def _transcription(path: Path) -> dict[str, str]:
    """Lines ``WORD WORD (id)``, the words perhaps between ``<s>`` and ``</s>``."""
    texts: dict[str, str] = {}
    for number, line in _lines(path):
        match = _LINE.fullmatch(line)
        if not match:
            raise DataError(
                f"an4: {path}:{number}: {line!r} is not 'WORDS (id)'; fetch the corpus again"
            )
        if match[2] in texts:
            raise DataError(f"an4: {path}:{number}: {match[2]} is transcribed twice")
        texts[match[2]] = " ".join(match[1].split())
    return texts


def _check_dictionary(path: Path, parts: dict[str, list[Utterance]]) -> None:
    known = set()
    for number, line in _lines(path):
        word, *phones = line.split()
        if not phones:
            raise DataError(f"an4: {path}:{number}: {word!r} has no phones")
        known.add(re.sub(r"\(\d+\)$", "", word))
    said = {word for part in parts.values() for u in part for word in (u.text or "").split()}
    if unknown := sorted(said - known):
        raise DataError(f"an4: {len(unknown)} words are not in {path}: {some(unknown)}")


def _dev_speakers(train: list[Utterance], count: int) -> set[str]:
    """So many speakers, women (f...) and men in proportion, spread evenly over their names."""
    speakers = sorted({str(u.speaker) for u in train})
    if count >= len(speakers):
        raise DataError(
            f"an4: dev_speakers is {count}, but training has {len(speakers)} speakers; leave some"
        )
    women = [s for s in speakers if s.startswith("f")]
    men = [s for s in speakers if not s.startswith("f")]
    share = min(round(count * len(women) / len(speakers)), len(women))
    chosen: set[str] = set()
    for group, size in ((women, share), (men, count - share)):
        chosen |= {group[(2 * i + 1) * len(group) // (2 * size)] for i in range(size)}
    return chosen


def _write_audio(source: Path, destination: Path, parts: dict[str, list[Utterance]]) -> list[Path]:
    """The data directories of the utterances that there are as audio."""
    utterances = _audio(source, destination)
    write_data_dir(destination / "wav", utterances)
    written = [destination / "wav"]
    for part in _PARTS:
        texts = {u.id: u.text for u in parts[part]}
        chosen = [u for u in utterances if u.id in texts]
        if differing := [u.id for u in chosen if u.text != texts[u.id]]:
            logger.warning(
                "an4: %d transcripts of %s differ from the corpus's, which are taken: %s",
                len(differing), source, some(differing),
            )  # fmt: skip
        if chosen:
            chosen = [replace(u, text=texts[u.id]) for u in chosen]
            write_data_dir(destination / f"wav_{part}", chosen, "features")
            written.append(destination / f"wav_{part}")
    return written


def _audio(source: Path, destination: Path) -> list[Utterance]:
    if source.is_file():
        unpack(source, destination / "audio", _place_audio, "an4")
        source = destination / "audio"
    tables = [*source.glob("transcripts.tsv"), *source.glob("*/transcripts.tsv")]
    if len(tables) != 1:
        raise DataError(
            f"an4: {source} holds {len(tables)} transcripts.tsv, not one; set 'audio' to a "
            "directory or archive of audio files with it"
        )
    found: dict[str, Utterance] = {}
    missing = []
    for number, line in _lines(tables[0]):
        name, tab, words = line.partition("\t")
        where = f"{tables[0]}:{number}"
        if not tab or not words.strip() or not re.fullmatch(_SAFE, name):
            raise DataError(f"an4: {where}: {line!r} is not 'file name, tab, words'")
        path = tables[0].parent.absolute() / name
        if path.stem in found:
            raise DataError(f"an4: {where}: {path.stem} is listed twice")
        if not path.is_file():
            missing.append(name)
        found[path.stem] = Utterance(path.stem, path, words.strip(), _speaker(path.stem, where))
    if missing:
        raise DataError(
            f"an4: {len(missing)} files that {tables[0]} lists are missing: {some(missing)}"
        )
    return list(found.values())


def _place_audio(name: str) -> str | None:
    name = name.rsplit("/", 1)[-1]
    return name if re.fullmatch(rf"{_SAFE}\.(?:wav|sph|flac|tsv)", name) else None
