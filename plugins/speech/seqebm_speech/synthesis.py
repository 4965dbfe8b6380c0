"""Speech from eSpeak NG's shared library (espeakng-loader), through ctypes.

The library keeps its state in global variables: one voice, one pitch, running oscillators. So
:func:`synthesise` holds a lock, and its result may differ by a few samples with what was spoken
before. :func:`synthesise_all` speaks a list in a fresh process, and so always gives the same.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from seqebm.hooks import DataError, PluginError

_SYNCHRONOUS, _DO_NOT_EXIT, _UTF8 = 2, 0x8000, 1
_RATE, _PITCH = 1, 3
_PATH_LIMIT = 120  # bytes; the library copies paths into buffers of 160
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True)
class Request:
    """One text to speak; see :func:`synthesise`."""

    text: str
    voice: str
    rate: int = 175
    pitch: int = 50


def synthesise(
    text: str, voice: str = "en-us", rate: int = 175, pitch: int = 50
) -> tuple[np.ndarray, int]:
    """Speak a text.

    Args:
        text: what to say.
        voice: a language of :func:`voices`, optionally with a variant of :func:`variants` after a
            plus sign: ``"en-us+f3"``.
        rate: words per minute, 80 to 450.
        pitch: 0 to 100; 50 is the voice's own.

    Returns the float32 samples ``(N,)``, full scale being +-1, and the rate in Hz (22050).

    Raises:
        PluginError: espeakng-loader is not installed, or its library does not load.
        DataError: a voice that does not exist, rate or pitch out of range, or text without sound.
    """
    engine = _engine()
    samples = engine.speak(Request(text, voice, rate, pitch))
    return samples.astype(np.float32) / 32768, engine.rate


def synthesise_all(requests: Sequence[Request]) -> tuple[list[np.ndarray], int]:
    """Speak a list of texts in a fresh process: int16 samples of each, and the rate in Hz.

    The same list gives the same samples. Raises as :func:`synthesise` does.
    """
    _paths()  # a missing package is found here, with its remedy
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    with tempfile.TemporaryDirectory() as folder:
        asked, spoken = Path(folder, "requests.json"), Path(folder, "speech.npz")
        asked.write_text(json.dumps([asdict(r) for r in requests]))
        done = subprocess.run(
            [sys.executable, "-m", "seqebm_speech.synthesis", str(asked), str(spoken)],
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode == 2:
            raise DataError(done.stderr.strip())
        if done.returncode != 0 or not spoken.is_file():
            tail = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise PluginError(f"eSpeak NG failed: {tail[0]}. {_REMEDY}")
        with np.load(spoken) as arrays:
            ends = arrays["ends"]
            return np.split(arrays["samples"], ends[:-1]), int(arrays["rate"])


def voices(language: str = "en") -> list[str]:
    """A language and its accents in the package, sorted, as named by their files.

    "en" has "en", "en-us", "en-gb-scotland" and others; "" gives every language. Of a language that
    is written in several scripts only the usual one is an accent.
    """
    files = Path(_paths()[1], "lang").rglob("*")  # in folders of families, or by themselves
    names = {p.name.lower() for p in files if p.is_file()}
    if not language:
        return sorted(names)
    own = {n for n in names if n == language or n.startswith(f"{language}-")}
    return sorted(own - {"en-shaw", "cmn-latn-pinyin", "yue-latn-jyutping"})


def variants() -> list[str]:
    """The voice variants in the package (m1, f1, croak, whisper, ...), sorted."""
    return sorted(p.name for p in Path(_paths()[1], "voices", "!v").iterdir())


_REMEDY = "Install or repair it with: pip install 'seqebm-speech[synthesis]'"


def _paths() -> tuple[str, str]:
    """The library and the data folder of espeakng-loader."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise PluginError(
            "speech synthesis needs espeakng-loader (eSpeak NG's shared library), which is not "
            "installed. pip install 'seqebm-speech[synthesis]' brings it"
        ) from error
    try:
        return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    except RuntimeError as error:
        raise PluginError(f"espeakng-loader is incomplete: {error}. {_REMEDY}") from error


@functools.cache
def _engine() -> _Engine:
    return _Engine()


class _Engine:
    """The one instance of the library in this process."""

    def __init__(self) -> None:
        library, data = _paths()
        self._lock = threading.Lock()
        self._chunks: list[np.ndarray] = []
        self._voice: str | None = None
        self._known = set(voices("")), set(variants())
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise PluginError(f"eSpeak NG's library does not load: {error}. {_REMEDY}") from error
        self.rate = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, os.fsencode(self._short(data)), _DO_NOT_EXIT
        )
        if self.rate <= 0:
            raise PluginError(f"eSpeak NG cannot use its data in {data}. {_REMEDY}")
        # The library seeds its breath and flutter by the clock.
        if hasattr(self._library, "espeak_ng_SetRandSeed"):
            self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._callback = _CALLBACK(self._receive)  # kept alive: the library calls it
        self._library.espeak_SetSynthCallback(self._callback)

    def _short(self, data: str) -> str:
        """A path to the data that fits the library's buffers."""
        if len(os.fsencode(data)) <= _PATH_LIMIT:
            return data
        self._link = tempfile.TemporaryDirectory(prefix="seqebm")
        link = Path(self._link.name, "espeak-ng-data")
        try:
            link.symlink_to(data, target_is_directory=True)
        except OSError:  # not everybody may make links on Windows
            return data
        return str(link)

    def _receive(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def speak(self, request: Request) -> np.ndarray:
        """Int16 samples of one request."""
        if not 80 <= request.rate <= 450:
            raise DataError(f"rate is {request.rate} words per minute; choose 80 to 450")
        if not 0 <= request.pitch <= 100:
            raise DataError(f"pitch is {request.pitch}; choose 0 to 100")
        with self._lock:
            self._choose(request.voice)
            self._library.espeak_SetParameter(_RATE, request.rate, 0)
            self._library.espeak_SetParameter(_PITCH, request.pitch, 0)
            self._chunks = []
            text = request.text.encode()
            status = self._library.espeak_Synth(
                text, ctypes.c_size_t(len(text) + 1), 0, 0, 0, _UTF8, None, None
            )
            samples = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)
        if status != 0 or not samples.any():
            raise DataError(f"eSpeak NG gives no sound for {request.text!r} (status {status})")
        return samples

    def _choose(self, voice: str) -> None:
        if voice == self._voice:
            return
        language, _, variant = voice.partition("+")
        languages, known = self._known
        # The library takes an unknown variant without a word, and speaks without it.
        if language not in languages or (variant and variant not in known):
            raise DataError(
                f"eSpeak NG has no voice {voice!r}. Languages: {', '.join(sorted(languages))}; "
                f"variants: {', '.join(sorted(known))}"
            )
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise DataError(f"eSpeak NG refuses the voice {voice!r}; choose another")
        self._voice = voice


def _main(asked: str, spoken: str) -> int:
    engine = _engine()
    try:
        samples = [engine.speak(Request(**r)) for r in json.loads(Path(asked).read_text())]
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    ends = np.cumsum([len(s) for s in samples])
    np.savez(spoken, samples=np.concatenate(samples), ends=ends, rate=engine.rate)
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
