"""Kills trainings (SIGKILL) at random moments until they end, and compares with one left alone.

python -m tools.fuzz.kills --runs 30
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import numpy as np
import soundfile
import torch
import yaml

from seqebm.data import Utterance, write_data_dir
from seqebm.models import storage

_RATE = 8000
_CONFIG = {
    "frontend": {"name": "logmel", "rate": _RATE, "mels": 16},
    "features": {"name": "tdnn", "channels": 12, "kernels": [3, 3], "strides": [2, 1]},
    "lattice": {"name": "templates", "count": 2, "length": 4},
    "loss": {"name": "nll"},
    "training": {"epochs": 30, "batch_size": 8, "threads": 1, "average": 0.9},
}


def main() -> None:
    """Print what became of each; the exit status is 1 if a model differs by a bit."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz.kills", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="trainings (default: 10)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random, different, killed = Random(arguments.seed), 0, 0
    with tempfile.TemporaryDirectory(prefix="seqebm-kills-") as folder:
        root = Path(folder)
        _write_data(root)
        _train(root, "first", None)  # compiles the kernels
        started = time.monotonic()
        _train(root, "alone", None)
        whole = time.monotonic() - started
        for run in range(arguments.runs):
            kills = 0
            # Anywhere in a run; each time it begins anew with what it finds.
            while not _train(root, f"run{run}", random.uniform(0.1 * whole, whole)):
                kills += 1
                if kills > 100:
                    sys.exit(f"kills: run {run} does not come to an end")
            same = _same(root / "alone", root / f"run{run}")
            different, killed = different + (not same), killed + kills
            print(
                f"run {run}: killed {kills} times, {'equal' if same else 'DIFFERENT'}", flush=True
            )
    print(f"{arguments.runs} trainings killed {killed} times, {different} of them different")
    sys.exit(1 if different else 0)


def _same(a: Path, b: Path) -> bool:
    """Whether two models are equal to the bit (files are not: safetensors shuffles its header)."""
    (ours, said), (theirs, told) = (storage.read(path / "model.safetensors") for path in (a, b))
    return said == told and ours.keys() == theirs.keys() and all(
        torch.equal(tensor, theirs[name]) for name, tensor in ours.items()
    )  # fmt: skip


def _train(root: Path, name: str, after: float | None) -> bool:
    """Train, killing it after so many seconds; whether it came to its end."""
    command = [sys.executable, "-m", "seqebm", "train", str(root / "c.yaml")]
    command += ["--data", str(root / "data"), "--exp", str(root / name)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, said = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    if process.returncode:
        sys.exit(f"kills: {name} failed: {said.decode()}")
    return True


def _write_data(root: Path) -> None:
    rng = np.random.default_rng(0)
    utterances = []
    for word, pitch in (("low", 500), ("high", 1500)):
        for index in range(12):
            time_ = np.arange(int(rng.uniform(0.25, 0.5) * _RATE)) / _RATE
            signal = 0.3 * np.sin(2 * np.pi * pitch * rng.uniform(0.9, 1.1) * time_)
            signal += 0.01 * rng.standard_normal(len(time_))
            path = root / f"{word}{index}.wav"
            soundfile.write(path, signal, _RATE)
            utterances.append(Utterance(f"{word}-{index}", path, word, word))
    write_data_dir(root / "data", utterances)
    (root / "c.yaml").write_text(yaml.safe_dump(_CONFIG))


if __name__ == "__main__":
    main()
