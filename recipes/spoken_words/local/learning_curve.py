#!/usr/bin/env python
"""Accuracy on the test speakers against the number of training speakers, and of takes of each word.

Of the training speakers the first N in an order that the seed shuffles, so that fewer are a part of
more; of each word the first takes. Few recordings make few steps an epoch: there are then more
epochs, up to LEAST steps.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import defaultdict
from pathlib import Path

from seqebm.data import DataDir
from seqebm.decoding.decoder import recognise_utterances
from seqebm.errors import SeqebmError
from seqebm.models import Recognizer, load_config
from seqebm.training import train

LEAST = 300  # optimiser steps


def part(data: DataDir, speakers: int, takes: int, seed: int) -> DataDir:
    """The first so many speakers, and so many takes of each of their words."""
    order = data.speakers
    random.Random(seed).shuffle(order)
    chosen, taken = set(order[:speakers]), defaultdict(int)

    def keep(utterance) -> bool:
        key = utterance.speaker, utterance.text
        taken[key] += utterance.speaker in chosen
        return utterance.speaker in chosen and taken[key] <= takes

    return data.where(keep)


def accuracy(model: Recognizer, data: DataDir) -> float:
    """Share of right answers."""
    answers = recognise_utterances(model, list(data))
    right = [
        not isinstance(answer, SeqebmError) and answer.text == utterance.text
        for utterance, answer in zip(data, answers, strict=True)
    ]
    return sum(right) / len(right)


def main() -> None:
    """Train and test each point once; print a table of errors in percent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fold", type=Path, help="data/foldK")
    parser.add_argument("exp", type=Path, help="where models and figures go")
    parser.add_argument("--configs", default="templates_pooled convnet")
    parser.add_argument("--speakers", default="1 2 4 8 16 20")
    parser.add_argument("--takes", default="1 3 9")
    parser.add_argument("--every", action="store_true", help="each number of takes with each of "
                        "speakers; else one is varied with all of the other")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    known, test = DataDir.load(options.fold / "train"), DataDir.load(options.fold / "test")
    speakers, takes = ([int(n) for n in text.split()] for text in (options.speakers, options.takes))
    points = [
        (s, t)
        for s in speakers
        for t in takes
        if options.every or s == max(speakers) or t == max(takes)
    ]
    names = options.configs.split()
    print(f"| speakers | takes of a word | {' | '.join(f'`{name}`' for name in names)} |")
    print(f"|---|---|{'---|' * len(names)}")
    for s, t in points:
        cells = []
        for name in names:
            place = options.exp / name / f"speakers{s}-takes{t}-seed{options.seed}"
            figure = place / "accuracy.json"
            if not figure.exists():
                few = part(known, s, t, options.seed)
                config = load_config(Path("conf") / f"{name}.yaml")
                steps = math.ceil(len(few) / config.training.batch_size)
                epochs = max(config.training.epochs, math.ceil(LEAST / steps))
                config = load_config(
                    Path("conf") / f"{name}.yaml",
                    [f"training.epochs={epochs}", f"training.seed={options.seed}"],
                )
                found = accuracy(train(config, few, place), test)
                figure.write_text(json.dumps({"accuracy": found, "utterances": len(few)}) + "\n")
            cells.append(f"{100 * (1 - json.loads(figure.read_text())['accuracy']):.1f}")
        print(f"| {s} | {t} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
