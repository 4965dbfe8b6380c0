#!/usr/bin/env python
"""Words that the network never saw, added from 1, 3 and 5 recordings, of the same and of others.

A network is trained on every other word of the training speakers. Then, for each test speaker, the
other ten words are enrolled from that speaker's first takes; what is tested are the speaker's
further takes, and all takes of all other test speakers. All twenty words compete.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from seqebm.data import DataDir
from seqebm.decoding.batches import read_example
from seqebm.decoding.decoder import recognise_utterances
from seqebm.errors import SeqebmError
from seqebm.models import Recognizer, load_config
from seqebm.models.enrolment import enrol
from seqebm.training import train

SHOTS = (1, 3, 5)


def main() -> None:
    """Train if need be, enrol, test, and write few_shots.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fold", type=Path, help="data/foldK")
    parser.add_argument("exp", type=Path, help="where the network goes, and the figures")
    parser.add_argument("--config", type=Path, default=Path("conf/templates.yaml"))
    parser.add_argument("--train", default="train", help="part to train on (inner: settings)")
    parser.add_argument("--test", default="test", help="part to test on (dev: settings)")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    known = DataDir.load(options.fold / options.train)
    words = sorted(set(known.texts))
    seen, unseen = words[::2], words[1::2]
    few = tuple(u for u in known if u.text in seen)
    if not (options.exp / "model.safetensors").exists():
        train(
            load_config(options.config, options.settings),
            DataDir(known.path, known.kind, few),
            options.exp,
        )
    model = Recognizer.load(options.exp)
    test = DataDir.load(options.fold / options.test)
    right: dict[str, list[bool]] = defaultdict(list)
    seconds = []
    for speaker in test.speakers:
        own = [u for u in test if u.speaker == speaker and u.text in unseen]
        for shots in SHOTS:
            larger, used = model, set()
            for word in unseen:
                takes = [u for u in own if u.text == word][:shots]
                used |= {u.id for u in takes}
                signals = [read_example(model, u).signal for u in takes]
                start = time.perf_counter()
                larger = enrol(larger, word, signals)
                seconds.append(time.perf_counter() - start)
            others = [u for u in test if u.speaker != speaker and u.text in unseen]
            for who, asked in (("same", [u for u in own if u.id not in used]), ("others", others)):
                for utterance, answer in zip(
                    asked, recognise_utterances(larger, asked), strict=True
                ):
                    heard = None if isinstance(answer, SeqebmError) else answer.text
                    right[f"{who}, {shots}"].append(heard == utterance.text)
    report = {name: float(np.mean(values)) for name, values in right.items()}
    report["seconds to enrol a word"] = float(np.median(seconds))
    (options.exp / "few_shots.json").write_text(json.dumps(report, indent=2) + "\n")
    for name, value in report.items():
        print(f"{name:<26} {value:.4f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
