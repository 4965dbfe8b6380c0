"""The reader ``audio``: whatever libsndfile reads, as mono float32 at the rate asked for."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import numpy as np
import soundfile

from seqebm.hooks import DataError, Reader
from seqebm_speech import streamed
from seqebm_speech.files import check_file
from seqebm_speech.hearing import Hearing
from seqebm_speech.options import AudioOptions
from seqebm_speech.resampling import resample

logger = logging.getLogger(__name__)

BLOCK = 1 << 16  # samples decoded at a time
_STREAM = 0x7F000000  # bytes; sizes from here on are marks of a stream
RATES = (1000, 768_000)  # Hz that a header may plausibly state
REMEDY = (
    "choose one: frontend.reader.mixdown=first (or a number from 0) in a config, or a fifth field "
    "in segments"
)
_announced: set[object] = set()
# Not "Bytes/sec", which other programs fill in otherwise for ADPCM.
_SHORTER = re.compile(r"(?<![\w/])(\w+)\s*:\s*(\d+)\s*\(should be (\d+)\)")


class AudioReader(Reader):
    """Reads wav, flac, ogg, opus, mp3, aiff and the other formats of libsndfile.

    Several channels are mixed down and other rates are resampled; each is said once per process
    (for each file rate and number of channels) at level WARNING. Of each file it is said once if it
    holds no sound, or if its channels cancel each other in their mean, in which case the first is
    taken, or have nothing in common, as those of two speakers.

    What a program that was stopped or wrote to a pipe has left open in a header, is filled in (see
    :mod:`seqebm_speech.streamed`).

    Args:
        options: see :class:`seqebm_speech.options.AudioOptions`.
        remedy: how to choose a channel, for messages.
    """

    Options = AudioOptions
    kind = "audio"
    suffixes = (
        ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".snd",
        ".caf", ".w64", ".rf64", ".sph", ".nist",
    )  # fmt: skip

    def __init__(self, options: AudioOptions | None = None, remedy: str = REMEDY) -> None:
        self.options = options or AudioOptions()
        self.remedy = remedy

    def read(
        self,
        path: Path,
        rate: int,
        start: int | None = None,
        stop: int | None = None,
        limit: float | None = None,
        channel: int | None = None,
    ) -> np.ndarray:
        """Return float32 samples ``(N,)`` at ``rate`` Hz, full scale being +-1.

        Args:
            path: the file.
            rate: samples per second to return.
            start: first sample of the segment, at the file's own rate; default 0.
            stop: sample after the last one, at the file's own rate; default the end.
            limit: longest segment accepted, in seconds; checked before anything is decoded.
            channel: the channel to take, from 0; default: as ``mixdown`` says.

        Raises:
            DataError: the file is missing, a directory, empty, not audio, truncated, without
                samples, too long, holds NaN or infinite samples, or the segment or the channel is
                not inside.
        """
        path = Path(path)
        with _open(path) as file:
            chosen = self._channel(path, file, channel)
            first, last = self._bounds(path, file, start, stop, limit)
            samples = self._decode(path, file, first, last, chosen)
            file_rate = file.samplerate
        return _at_rate(path, samples, file_rate, rate)

    def file_rate(self, path: Path) -> int:
        """Return the samples per second of a file, from its header. Raises as :meth:`read`."""
        return self.header(path)[0]

    def header(self, path: Path) -> tuple[int, int]:
        """Return (samples per second, number of samples) of a file. Raises as :meth:`read`."""
        with _open(Path(path)) as file:
            return file.samplerate, file.frames

    def _channel(self, path: Path, file: soundfile.SoundFile, channel: int | None) -> int | None:
        """The channel to take; None: their mean."""
        if channel is None:
            how = self.options.mixdown
            if how == "mean":
                return 0 if file.channels == 1 else None
            channel = 0 if how == "first" else how
        if not 0 <= channel < file.channels:
            has = f"{file.channels} channels, 0 to {file.channels - 1}"
            raise DataError(
                f"{path}: has no channel {channel}: it has "
                f"{'one channel, number 0' if file.channels == 1 else has}; correct the fifth "
                "field of segments, or the reader's mixdown"
            )
        return channel

    def _bounds(
        self,
        path: Path,
        file: soundfile.SoundFile,
        start: int | None,
        stop: int | None,
        limit: float | None,
    ) -> tuple[int, int]:
        """Check the header and the segment; nothing is decoded here."""
        if missing := _missing_bytes(file):
            raise DataError(f"{path}: truncated: {missing}; copy or record it again")
        if file.frames <= 0:
            raise DataError(f"{path}: holds 0 samples; record it again or remove it from the data")
        first = 0 if start is None else int(start)
        last = file.frames if stop is None else int(stop)
        if not 0 <= first < last <= file.frames:
            raise DataError(
                f"{path}: the segment [{first}, {last}) is not inside its {file.frames} samples; "
                "start and stop count samples at the file's own rate, with 0 <= start < stop"
            )
        seconds = (last - first) / file.samplerate
        if limit is not None and seconds > limit:
            raise DataError(
                f"{path}: {_duration(seconds)} long, over the limit of {limit:g} s; cut it into "
                "segments, or raise 'limit' of the front-end"
            )
        return first, last

    def _decode(
        self, path: Path, file: soundfile.SoundFile, first: int, last: int, channel: int | None
    ) -> np.ndarray:
        """Decode ``[first, last)`` block by block: one channel, or the mean of all."""
        wanted = last - first
        blocks = []  # not one array of the length that the header claims: it may be absurd
        others = []  # the first channel, should the mean be of no use
        heard = Hearing(file.channels)
        size = max(1, BLOCK // file.channels)
        done = 0
        try:
            if first:
                file.seek(first)
            while done < wanted:
                block = file.read(min(size, wanted - done), dtype="float32", always_2d=True)
                if not len(block):
                    break
                mono = block.mean(axis=1) if channel is None else block[:, channel]
                if not np.isfinite(mono).all():
                    where = first + done + int(np.flatnonzero(~np.isfinite(mono))[0])
                    raise DataError(
                        f"{path}: sample {where} is {mono[where - first - done]}; "
                        "record or convert it again (NaN and infinite samples are unusable)"
                    )
                heard.add(block, mono)
                blocks.append(mono.copy())
                if channel is None:
                    others.append(block[:, 0].copy())
                done += len(mono)
        except DataError:
            raise
        except Exception as error:  # whatever libsndfile and its binding raise
            raise DataError(
                f"{path}: truncated or damaged at sample {first + done} of {file.frames} "
                f"({_reason(error)}); copy or record it again"
            ) from error
        # The length in an mp3 header includes the coder's own padding.
        slack = 2304 if file.format == "MP3" else 0
        if done == 0 or done + slack < wanted:
            raise DataError(
                f"{path}: truncated: the header promises {file.frames} samples, "
                f"but they end at {first + done}; copy or record it again"
            )
        if self._mean_is_of_use(path, heard, channel):
            return np.concatenate(blocks)
        return np.concatenate(others)

    def _mean_is_of_use(self, path: Path, heard: Hearing, channel: int | None) -> bool:
        """Whether to take what was asked for; says what is odd about it."""
        several = heard.channels > 1
        if several:
            how = "mixed down to one" if channel is None else f"cut to number {channel}, from 0"
            _announce(
                ("channels", heard.channels, channel),
                f"{path}: {heard.channels} channels are {how} (said once)",
            )
        if channel is None and heard.cancels:
            _announce(
                (path, "cancels"),
                f"{path}: its channels cancel each other in their mean (one is inverted), so the "
                f"first is taken; {self.remedy}",
            )
            return False
        if channel is None and heard.unrelated:
            _announce(
                (path, "unrelated"),
                f"{path}: its {heard.channels} channels have nothing in common, as those of two "
                f"speakers, and their mean holds both; {self.remedy}",
            )
        if silence := heard.silence(channel):
            others = [str(k) for k in heard.loud] if several else []
            remedy = (
                f"there is sound in channel {', '.join(others)}; {self.remedy}"
                if others
                else "was the microphone on? Record it again or remove it from the data"
            )
            _announce((path, "silence", channel), f"{path}: is {silence}; {remedy}")
        return True


def _open(path: Path) -> soundfile.SoundFile:
    """Open a file, whose header must be audio at a plausible rate."""
    check_file(path, "an audio file", "wav.scp")
    try:
        # A name need not be UTF-8.
        file = soundfile.SoundFile(streamed.mended(path) or os.fsencode(path))
    except Exception as error:  # whatever libsndfile and its binding raise
        raise DataError(
            f"{path}: not audio that libsndfile can read ({_reason(error)}); "
            f"convert it, e.g. with 'ffmpeg -i {path.name} {path.stem}.wav', or remove it from the "
            "data"
        ) from error
    if not RATES[0] <= file.samplerate <= RATES[1]:
        file.close()
        raise DataError(
            f"{path}: its header states {file.samplerate} Hz, not a rate of audio "
            f"({RATES[0]} to {RATES[1]} Hz); mend the header or convert the file"
        )
    return file


def _at_rate(path: Path, samples: np.ndarray, old: int, new: int) -> np.ndarray:
    if old == new:
        return samples
    _announce(("rate", old, new), f"{path}: {old} Hz is resampled to {new} Hz (said once)")
    return resample(samples, old, new)


def _announce(key: object, message: str) -> None:
    if key not in _announced:
        _announced.add(key)
        logger.warning("%s", message)


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


def _missing_bytes(file: soundfile.SoundFile) -> str | None:
    """Say how much less there is than the header claims, from libsndfile's log; None if nothing.

    Sizes near 2^31 (from SoX's 0x7F000000 on) and 2^32 are what programs write that stream to a
    pipe, so they claim nothing.
    """
    for chunk, claimed, real in _SHORTER.findall(file.extra_info):
        # A RIFF size that is off by a few bytes is a common and harmless fault.
        if int(real) + 64 < int(claimed) < _STREAM or (
            chunk.lower() in ("data", "ssnd", "size") and int(real) < int(claimed) < _STREAM
        ):
            return f"its header claims {claimed} bytes of {chunk}, but there are {real}"
    if re.search(r"does not match value from 'ds64'", file.extra_info):
        return "its frame count differs from the one in its header"
    return None


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
