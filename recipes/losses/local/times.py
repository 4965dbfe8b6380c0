"""Milliseconds an item of each loss and its gradient at the features, interleaved: EXP/times.json.

usage: times.py DATA EXP    (when nothing else runs)
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

import numpy as np
import torch
from sweep import dataset, settings_of, step_time, wanted

from seqebm.models import Recognizer, load_config
from seqebm.training.diagnosis import batches_of

REPETITIONS = 5


def main() -> None:
    """Take the median over repetitions."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    data, exp = Path(sys.argv[1]), Path(sys.argv[2])
    found: dict[str, dict[str, float]] = {}
    for begun in sorted(exp.glob("*/start/seed0")):
        config = begun.parts[-3]
        start = Recognizer.load(begun)
        inks = dataset(start, data / "train")
        batches = list(batches_of([inks[i] for i in range(0, min(640, len(inks)), 5)]))
        models = {}
        for loss in wanted(config, "all"):
            if not (exp / config / loss).is_dir():
                continue
            made = load_config(f"conf/{config}.yaml", settings_of(config, loss, 0))
            models[loss] = Recognizer(made, start.vocabulary)
            models[loss].load_tensors(dict(start.state_dict()), str(begun))
        taken: dict[str, list[float]] = {loss: [] for loss in models}
        for repetition in range(REPETITIONS + 1):
            for loss, model in models.items():
                value = step_time(model, batches)
                if repetition:  # the first loads kernels and makes graphs
                    taken[loss].append(value)
        found[config] = {loss: float(np.median(values)) for loss, values in taken.items()}
    (exp / "times.json").write_text(json.dumps(found, indent=1))
    print(f"load average {os.getloadavg()[0]:.2f}; {exp / 'times.json'} written")


if __name__ == "__main__":
    main()
