"""Fixtures for pytest: ``pytest_plugins = ["seqebm.testing.fixtures"]`` in a conftest.py."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from seqebm.data import Utterance, write_data_dir
from seqebm.hooks import PluginHost, get_host


@pytest.fixture
def seqebm_host() -> PluginHost:
    """The host with all installed plugins; none of them may be broken."""
    host = get_host()
    broken = [f"{info.name}: {info.error}" for info in host.plugins if info.error]
    assert not broken, "\n".join(broken)
    return host


@pytest.fixture(scope="session")
def spoken_tones(tmp_path_factory) -> Path:
    """A data directory of 24 short sounds of 8,000 samples/s: ``up``, ``down`` and ``flat``.

    A model that learns at all tells rising, falling and level tones apart within seconds.
    """
    root: Path = tmp_path_factory.mktemp("spoken_tones")
    rng = np.random.default_rng(0)
    utterances = []
    for word, (first, last) in {"up": (400, 1200), "down": (1200, 400), "flat": (800, 800)}.items():
        for n in range(8):
            time = np.arange(int(rng.uniform(2000, 4000))) / 8000
            pitch = np.linspace(first, last, len(time)) * rng.uniform(0.9, 1.1)
            sound = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / 8000)
            sound += 0.01 * rng.standard_normal(len(time))
            path = root / f"{word}{n}.wav"
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes((32767 * sound).astype("<i2").tobytes())
            utterances.append(Utterance(f"s{n % 2}-{word}-{n}", path, word, f"s{n % 2}"))
    write_data_dir(root / "data", utterances, "audio")
    return root / "data"
