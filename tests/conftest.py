"""Fixtures: the toy task as data directories, and its configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from toy import RATE, SWEEPS, TINY, sweep

from seqebm.data import Utterance, write_data_dir
from seqebm.models.config import Config, parse_config


@pytest.fixture(scope="session")
def tones(tmp_path_factory) -> Path:
    """Data directories ``train`` (24 utterances) and ``test`` (9) of the words of SWEEPS."""
    root = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    for part, repetitions in (("train", 8), ("test", 3)):
        utterances = []
        for word in SWEEPS:
            for index in range(repetitions):
                path = root / "wav" / f"{part}-{word}-{index}.wav"
                path.parent.mkdir(exist_ok=True)
                soundfile.write(path, sweep(word, rng.uniform(0.25, 0.5), rng), RATE)
                speaker = f"{part}{index % 2}"
                utterances.append(Utterance(f"{speaker}-{word}-{index}", path, word, speaker))
        write_data_dir(root / part, utterances)
    return root


@pytest.fixture
def tiny() -> Config:
    """The configuration TINY."""
    return parse_config(TINY)
