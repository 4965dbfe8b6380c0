from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tone():
    """``tone(seconds, rate, hertz)``: a quiet sine with a little noise, float32."""

    def make(seconds=0.5, rate=8000, hertz=440.0, seed=0):
        rng = np.random.default_rng(seed)
        t = np.arange(round(seconds * rate)) / rate
        wave = 0.3 * np.sin(2 * np.pi * hertz * t) + 0.01 * rng.standard_normal(len(t))
        return wave.astype(np.float32)

    return make


@pytest.fixture
def digits(tmp_path, tone):
    """A folder like that of the Free Spoken Digit Dataset: 3 speakers, 2 words, 2 repetitions."""
    folder = tmp_path / "corpus" / "recordings"
    folder.mkdir(parents=True)
    for s, speaker in enumerate(("george", "jackson", "theo")):
        for digit in (0, 7):
            for index in (2, 10):
                wave = tone(0.3, hertz=200 + 50 * s + 20 * digit, seed=index)
                soundfile.write(folder / f"{digit}_{speaker}_{index}.wav", wave, 8000)
    return folder
