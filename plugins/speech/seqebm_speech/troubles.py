"""The preparer ``troubles``: recordings as strangers' rooms, machines and lines have them.

A corpus is recorded in one way, and what was chosen on it holds for that way. This makes, of the
recordings of a data directory, one more for each trouble, so that a recogniser can be measured
under each beside the clean one. Everything is made here: no noises or rooms are downloaded.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

from seqebm.hooks import DataDir, DataError, write_data_dir
from seqebm_speech.audio import AudioReader
from seqebm_speech.options import TroublesOptions
from seqebm_speech.resampling import resample

logger = logging.getLogger(__name__)

Samples = NDArray[np.float32]

LEAD, TAIL = 0.3, 0.5  # seconds of silence before and after
STEREO_RATE = 48000
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)  # samples per second that Opus takes
OPUS_LEVEL = 0.96  # libsndfile's compression level for 16 kbit/s: 256 kbit/s is 0, 6 kbit/s is 1


class Sound(NamedTuple):
    """A recording: ``(N,)`` or ``(N, C)`` samples, full scale +-1; rate; format and subtype."""

    samples: Samples
    rate: int
    form: str = "WAV"
    subtype: str = "PCM_16"


def silence(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """300 ms of digital silence before, 500 ms after."""
    return Sound(np.pad(samples, (round(LEAD * rate), round(TAIL * rate))), rate)


def hiss(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """The same, and white noise 35 dB below the word throughout."""
    return Sound(_noisy(silence(samples, rate, rng).samples, samples, 35.0, 0.0, rng), rate)


def clicks(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """The same silence, a click of a mouse before the word and another after it, 6 dB below it."""
    padded = silence(samples, rate, rng).samples
    time = np.arange(round(0.02 * rate)) / rate
    level = 0.5 * float(np.abs(samples).max())
    for at in (0.1, len(samples) / rate + LEAD + 0.25):
        click = rng.standard_normal(len(time)) * np.exp(-time / 0.003)
        first = round(at * rate)
        padded[first : first + len(time)] += (level / np.abs(click).max() * click).astype(
            np.float32
        )
    return Sound(padded, rate)


def breath(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """The same silence, and 100 ms after the word a breath of 300 ms, 25 dB below it."""
    padded = silence(samples, rate, rng).samples
    count = round(0.3 * rate)
    bounds = (300, min(4000, 0.45 * rate))
    band = butter(2, bounds, "bandpass", fs=rate, output="sos")
    noise = sosfilt(band, rng.standard_normal(count)) * np.hanning(count)
    level = math.sqrt(float(np.square(samples, dtype=np.float64).mean()) * 10 ** (-25 / 10))
    noise *= level / math.sqrt(float(np.square(noise).mean()))
    first = round((LEAD + 0.1) * rate) + len(samples)
    padded[first : first + count] += noise.astype(np.float32)
    return Sound(padded, rate)


def stereo(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """48 kHz, two channels, one of them 6 dB weaker and 0.3 ms later."""
    wide = resample(samples, rate, STEREO_RATE)
    late = np.roll(wide, round(0.0003 * STEREO_RATE)) * np.float32(0.5)
    return Sound(np.stack([wide, late], 1), STEREO_RATE)


def _noise(snr: float) -> Callable[[Samples, int, np.random.Generator], Sound]:
    def make(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
        return Sound(_noisy(silence(samples, rate, rng).samples, samples, snr, 1.0, rng), rate)

    make.__doc__ = f"Silence around, and pink noise {snr:g} dB below the word throughout."
    return make


def quiet(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """30 dB weaker, in 16 bits."""
    return Sound(samples * np.float32(10 ** (-30 / 20)), rate)


def clipped(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """12 dB above what the converter takes."""
    peak = float(np.abs(samples).max()) or 1.0
    return Sound(np.clip(samples * np.float32(10 ** (12 / 20) / peak), -1, 1), rate)


def telephone(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """300 to 3,400 Hz, 8 kHz, mu-law."""
    narrow = resample(samples, rate, 8000) if rate != 8000 else samples
    band = butter(4, (300, 3400), "bandpass", fs=8000, output="sos")
    return Sound(_loud(sosfilt(band, narrow).astype(np.float32)), 8000, "WAV", "ULAW")


def opus(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """Opus at 16 kbit/s."""
    best = next((r for r in OPUS_RATES if r >= rate), OPUS_RATES[-1])
    return Sound(_loud(resample(samples, rate, best)), best, "OGG", "OPUS")


def room(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """A room with a reverberation time of 0.5 s, the speaker some metres away.

    Its response is made: the direct sound, and noise that falls by 60 dB in that time (Polack
    1988), of the same energy.
    """
    time = np.arange(round(0.5 * rate)) / rate
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / 0.5)
    tail[: round(0.002 * rate)] = 0.0
    response = tail / math.sqrt(float(np.square(tail).sum()))
    response[0] = 1.0
    padded = silence(samples, rate, rng).samples
    wet = fftconvolve(padded, response)[: len(padded)].astype(np.float32)
    return Sound(_loud(wet), rate)


def together(samples: Samples, rate: int, rng: np.random.Generator) -> Sound:
    """The room, pink noise at 10 dB, 20 dB weaker, 48 kHz stereo."""
    wet = room(samples, rate, rng).samples
    noisy = _noisy(wet, wet, 10.0, 1.0, rng) * np.float32(0.1)
    return stereo(noisy, rate, rng)


TROUBLES: dict[str, Callable[[Samples, int, np.random.Generator], Sound]] = {
    "silence": silence, "hiss": hiss, "clicks": clicks, "breath": breath, "stereo": stereo,
    "noise20": _noise(20.0), "noise10": _noise(10.0), "noise5": _noise(5.0), "quiet": quiet,
    "clipped": clipped, "telephone": telephone, "opus": opus, "room": room, "together": together,
}  # fmt: skip


def troubles(options: TroublesOptions) -> Callable[[Path], list[Path]]:
    """Make ``destination/TROUBLE`` of a data directory of audio, for each of :data:`TROUBLES`.

    Ids, transcripts, speakers and kind stay (of kind features are audio files whose features are
    computed when they are read, as the reader ``cepstra`` does); the recordings are new files in
    ``destination/TROUBLE/wav``.
    The same options give the same files.

    Returns the function ``prepare(destination)``, which returns the data directories written.

    Raises :class:`DataError` if the source is no data directory of audio, a recording cannot be
    read, or a trouble is not known.
    """

    def prepare(destination: Path) -> list[Path]:
        if options.source is None:
            raise DataError("troubles: no source given; set 'source' to a data directory of audio")
        data = DataDir.load(options.source)
        kind: Literal["audio", "features"] = "features" if data.kind == "features" else "audio"
        if data.kind != kind:
            raise DataError(f"troubles: {options.source} holds {data.kind}, not audio")
        if unknown := [name for name in options.only if name not in TROUBLES]:
            known = ", ".join(TROUBLES)
            raise DataError(f"troubles: there is no {unknown[0]!r}; there are {known}")
        reader, written = AudioReader(), []
        for name in options.only or TROUBLES:
            folder = Path(destination).absolute() / name
            (folder / "wav").mkdir(parents=True, exist_ok=True)
            changed = []
            for utterance in data:
                rate = reader.file_rate(utterance.path)
                samples = reader.read(
                    utterance.path, rate, utterance.start, utterance.stop, None, utterance.channel
                )
                # Of its own: leaving some out must not change the others.
                rng = np.random.default_rng([options.seed, zlib.crc32(utterance.id.encode())])
                path = _write(folder / "wav" / utterance.id, TROUBLES[name](samples, rate, rng))
                changed.append(replace(utterance, path=path, start=None, stop=None, channel=None))
            write_data_dir(folder, changed, kind)
            written.append(folder)
        return written

    return prepare


def _write(path: Path, sound: Sound) -> Path:
    packed = sound.form == "OGG"
    path = path.with_name(f"{path.name}.{'opus' if packed else 'wav'}")
    try:
        soundfile.write(
            path, np.clip(sound.samples, -1, 1), sound.rate, sound.subtype, format=sound.form,
            compression_level=OPUS_LEVEL if packed else None,
        )  # fmt: skip
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{path}: cannot be written ({error}); is the disk full?") from error
    return path


def _loud(samples: Samples) -> Samples:
    """Half of full scale at its peak."""
    return samples * np.float32(0.5 / max(float(np.abs(samples).max()), 1e-9))


def _noisy(
    samples: Samples, word: Samples, snr: float, slope: float, rng: np.random.Generator
) -> Samples:
    """Add noise, ``snr`` dB below a word, whose power falls as frequency to the power ``slope``."""
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    bins = np.maximum(np.arange(len(spectrum)), 1 + len(spectrum) // 200)  # no rumble
    noise = np.fft.irfft(spectrum / bins ** (slope / 2), len(samples))
    level = float(np.square(word, dtype=np.float64).mean()) * 10 ** (-snr / 10)
    noise *= math.sqrt(level / float(np.square(noise).mean()))
    return samples + noise.astype(np.float32)
