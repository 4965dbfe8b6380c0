"""A toy task of connected speech: two or three tones in a row, pauses between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from toy import RATE, SWEEPS, sweep

from seqebm.data import Utterance, write_data_dir

PHRASES = {
    "frontend": {
        "name": "logmel", "rate": RATE, "mels": 16, "normalisation": "utterance_mean",
        "augment": {"enabled": False},
    },
    "features": {
        "name": "tdnn", "channels": 12, "kernels": [3, 3], "strides": [2, 1], "output_dim": 12,
    },
    "lattice": {"name": "hmm", "states": 2},
    "loss": {"name": "nll"},
    "training": {"epochs": 20, "batch_size": 8, "threads": 1, "learning_rate": 0.02},
}  # fmt: skip


def write_phrases(root: Path, seed: int = 0) -> Path:
    """Data directories ``train`` (24 utterances) and ``test`` (6) of strings of the tones."""
    rng = np.random.default_rng(seed)
    words = list(SWEEPS)
    for part, count in (("train", 24), ("test", 6)):
        utterances = []
        for index in range(count):
            text = rng.choice(words, rng.integers(1, 4)).tolist()
            pieces = [np.zeros(int(rng.uniform(0.05, 0.1) * RATE), np.float32)]
            for word in text:
                pieces.append(sweep(word, rng.uniform(0.2, 0.3), rng))
                pieces.append(np.zeros(int(rng.uniform(0.05, 0.1) * RATE), np.float32))
            signal = np.concatenate(pieces)
            signal += (0.003 * rng.standard_normal(len(signal))).astype(np.float32)
            path = root / "wav" / f"{part}-{index:02}.wav"
            path.parent.mkdir(exist_ok=True, parents=True)
            soundfile.write(path, signal, RATE)
            speaker = f"{part}{index % 2}"
            utterances.append(Utterance(f"{speaker}-{index:02}", path, " ".join(text), speaker))
        write_data_dir(root / part, utterances)
    return root
