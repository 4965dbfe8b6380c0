"""A toy task: words that are tones, and a configuration small enough to train in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from seqebm.data import Utterance, write_data_dir

RATE = 8000
SWEEPS = {"down": (1500, 500), "flat": (900, 900), "up": (500, 1500)}

TINY = {
    "frontend": {"name": "logmel", "rate": RATE, "mels": 16, "augment": {"enabled": False}},
    "features": {
        "name": "tdnn", "channels": 12, "kernels": [3, 3], "strides": [2, 1], "output_dim": 8,
    },
    "lattice": {"name": "templates", "count": 2, "length": 4},
    "inference": {"beta": 10.0},
    "loss": {"name": "nll"},
    "training": {"epochs": 3, "batch_size": 8, "threads": 1, "learning_rate": 0.01},
}  # fmt: skip


def sweep(word: str, seconds: float, rng: np.random.Generator, rate: int = RATE) -> np.ndarray:
    """A rising, falling or level tone with some noise: float32 samples."""
    first, last = SWEEPS[word]
    time = np.arange(int(seconds * rate)) / rate
    pitch = rng.uniform(0.9, 1.1) * (first + (last - first) * time / seconds)
    signal = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / rate)
    return (signal + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


def write_tones(root: Path) -> Path:
    """Data directories ``train`` (24 utterances) and ``test`` (9) of the words of SWEEPS."""
    rng = np.random.default_rng(0)
    for part, repetitions in (("train", 8), ("test", 3)):
        utterances = []
        for word in SWEEPS:
            for index in range(repetitions):
                path = root / "wav" / f"{part}-{word}-{index}.wav"
                path.parent.mkdir(exist_ok=True, parents=True)
                soundfile.write(path, sweep(word, rng.uniform(0.25, 0.5), rng), RATE)
                speaker = f"{part}{index % 2}"
                utterances.append(Utterance(f"{speaker}-{word}-{index}", path, word, speaker))
        write_data_dir(root / part, utterances)
    return root
