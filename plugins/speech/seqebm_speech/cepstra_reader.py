"""The reader ``cepstra``: frames of mel cepstra from Sphinx files, NumPy arrays or audio."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from seqebm.hooks import DataError, Reader
from seqebm_speech import sphinx
from seqebm_speech.audio import AudioReader
from seqebm_speech.files import check_file
from seqebm_speech.options import CepstraReaderOptions

_CONTEXT = 50  # frames read before and after a segment of audio: resampling has no ends there
_CHANNEL = "choose one by a fifth field in segments"
_PLAUSIBLE = 1e4  # no logarithm of an energy is larger


class CepstraReader(Reader):
    """Reads frames of cepstra, 100 a second, as float32 ``(frames, coefficients)``.

    ============  ================================================================================
    ``.mfc``      CMU Sphinx: int32 number of values, then as many float32, in either byte order
                  (the one in which the number agrees with the size of the file); the same for
                  endings that nobody claims
    ``.npy``      a 2-D NumPy array of numbers, one row a frame, taken to be at 100 a second
    audio files   the cepstra that Sphinx would compute (:mod:`seqebm_speech.sphinx`), at 16 kHz:
                  what the audio lacks above half its own rate is missing from them too
    ============  ================================================================================

    ``start`` and ``stop`` count frames, also in audio files.
    """

    Options = CepstraReaderOptions
    kind = "features"
    suffixes = (".mfc", ".npy", *AudioReader.suffixes)

    def __init__(self, options: CepstraReaderOptions | None = None) -> None:
        self.options = options or CepstraReaderOptions()
        self._audio = AudioReader(remedy=_CHANNEL)

    def read(
        self,
        path: Path,
        rate: int,
        start: int | None = None,
        stop: int | None = None,
        limit: float | None = None,
        channel: int | None = None,
    ) -> np.ndarray:
        """Return float32 ``(frames, coefficients)``.

        Args:
            path: the file.
            rate: frames per second; must be 100.
            start: first frame of the segment; default 0.
            stop: frame after the last one; default the end.
            limit: longest segment accepted, in seconds.
            channel: the channel of an audio file to take, from 0; default: the mean of all.

        Raises:
            DataError: ``rate`` is not 100, or the file is missing, empty, not of its kind,
                truncated, of another dimension, too long, holds NaN or infinite values, the
                segment or the channel is not inside, or a channel is asked for where there are
                none.
        """
        path = Path(path)
        if rate != sphinx.FRAME_RATE:
            raise DataError(
                f"{path}: cepstra come at {sphinx.FRAME_RATE} frames a second, not {rate}; use a "
                "front-end of that rate, such as 'cepstra'"
            )
        if path.suffix.lower() in AudioReader.suffixes:
            return self._from_audio(path, start, stop, limit, channel)
        check_file(path, "a file of cepstra", "feats.scp")
        if channel is not None:
            raise DataError(
                f"{path}: holds features, which have no channels; take channel {channel} out of "
                "segments"
            )
        npy = path.suffix.lower() == ".npy"
        frames = _read_npy(path) if npy else _read_mfc(path, self.options.dimension)
        first, last = _bounds(path, len(frames), start, stop, limit)
        return _finite(path, frames[first:last].astype(np.float32, order="C"), first)

    def file_rate(self, path: Path) -> int:
        """Return 100, the frames per second of every file. Raises nothing."""
        return sphinx.FRAME_RATE

    def _from_audio(
        self,
        path: Path,
        start: int | None,
        stop: int | None,
        limit: float | None,
        channel: int | None,
    ) -> np.ndarray:
        count = self.options.dimension
        if start is None and stop is None:
            samples = self._audio.read(path, sphinx.RATE, limit=limit, channel=channel)
            return sphinx.cepstra(samples, count)
        file_rate, samples_in_file = self._audio.header(path)
        total = sphinx.frame_count(-(-samples_in_file * sphinx.RATE // file_rate))
        first, last = _bounds(path, total, start, stop, limit)
        # Decode from a frame that begins on a sample of the file.
        step = sphinx.FRAME_RATE // math.gcd(sphinx.FRAME_RATE, file_rate)
        begin = max(0, first - _CONTEXT) // step * step
        end = min(samples_in_file, (last + _CONTEXT) * file_rate // sphinx.FRAME_RATE)
        samples = self._audio.read(
            path, sphinx.RATE, begin * file_rate // sphinx.FRAME_RATE, end, channel=channel
        )
        return sphinx.cepstra(samples, count)[first - begin : last - begin].copy()


def _read_mfc(path: Path, dimension: int) -> np.ndarray:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    values = (len(content) - 4) // 4
    counts = {order: int.from_bytes(content[:4], order, signed=True) for order in ("big", "little")}
    fitting = [order for order, count in counts.items() if len(content) == 4 + 4 * count]
    if not fitting:
        claimed = min((c for c in counts.values() if c > 0), default=0)
        raise DataError(
            f"{path}: not a Sphinx file of cepstra, or cut short: its header claims {claimed} "
            f"values, but there are {max(values, 0)} ({len(content)} bytes); copy or compute it "
            "again"
        )
    if values == 0:
        raise DataError(f"{path}: holds 0 frames; compute it again or remove it from the data")
    if values % dimension:
        raise DataError(
            f"{path}: its {values} values are not frames of {dimension}; set 'dimension' of the "
            "reader and the front-end to what it was made with"
        )
    arrays = [np.frombuffer(content, f"{'>' if o == 'big' else '<'}f4", offset=4) for o in fitting]
    if len(arrays) > 1 and not _sensible(arrays[0]):  # a number that reads the same in both orders
        arrays.reverse()
    return arrays[0].reshape(-1, dimension)


def _sensible(values: np.ndarray) -> bool:
    """Whether these are cepstra at all, and not floats in the wrong byte order."""
    size = np.abs(values)
    return bool((size < _PLAUSIBLE).all() and ((size == 0) | (size > 1e-20)).all())


def _read_npy(path: Path) -> np.ndarray:
    try:
        # Mapped: so a header that claims more than there is does not take the memory.
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header makes NumPy raise whatever its parsers raise
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: not a NumPy array, or cut short ({reason}); save it again with numpy.save"
        ) from error
    if (
        not isinstance(frames, np.ndarray)
        or frames.ndim != 2
        or not frames.shape[1]
        or frames.dtype.kind not in "fiu"
    ):
        what = f"{frames.dtype} {frames.shape}" if isinstance(frames, np.ndarray) else "an archive"
        raise DataError(f"{path}: holds {what}, not numbers (frames, coefficients); convert it")
    if len(frames) == 0:
        raise DataError(f"{path}: holds 0 frames; compute it again or remove it from the data")
    return frames


def _bounds(
    path: Path, frames: int, start: int | None, stop: int | None, limit: float | None
) -> tuple[int, int]:
    first = 0 if start is None else int(start)
    last = frames if stop is None else int(stop)
    if not 0 <= first < last <= frames:
        raise DataError(
            f"{path}: the segment [{first}, {last}) is not inside its {frames} frames; start and "
            "stop count frames, with 0 <= start < stop"
        )
    seconds = (last - first) / sphinx.FRAME_RATE
    if limit is not None and seconds > limit:
        raise DataError(
            f"{path}: {seconds:.1f} s long, over the limit of {limit:g} s; cut it into segments, "
            "or raise 'limit' of the front-end"
        )
    return first, last


def _finite(path: Path, frames: np.ndarray, first: int) -> np.ndarray:
    if not np.isfinite(frames).all():
        frame, index = np.argwhere(~np.isfinite(frames))[0].tolist()
        raise DataError(
            f"{path}: coefficient {index} of frame {first + frame} is {frames[frame, index]}; "
            "compute it again (NaN and infinite values are unusable)"
        )
    return frames
