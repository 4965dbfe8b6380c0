"""Cuts words into characters, where a model aligns them: a data directory of isolated characters.

Ink is written with the base line at 0 and the x-height 1, as its word gives them, since a single
character does not tell: for the front-end ``pen`` with ``normalisation: given``. A delayed dot or
bar goes to the character below it.

usage: cut.py MODEL DATA OUT
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from seqebm_ink.archive import Item, write_ink_dir

from seqebm.data import DataDir
from seqebm.decoding.alignment import align_utterances
from seqebm.decoding.batches import read_example
from seqebm.errors import SeqebmError
from seqebm.models import Recognizer

torch.set_num_threads(1)
model = Recognizer.load(Path(sys.argv[1]))
utterances = list(DataDir.load(Path(sys.argv[2])).utterances)
failed = []


def characters() -> Iterator[Item]:
    """One item for each character that has any ink."""
    step = model.features.subsampling
    for utterance, found in zip(utterances, align_utterances(model, utterances), strict=True):
        if isinstance(found, SeqebmError):
            failed.append(str(found))
            continue
        points = read_example(model, utterance).signal
        frame = model.frontend.frame_of_point(points) // step
        points = model.frontend.normalised(points)
        for number, part in enumerate(found.words):
            own = points[(frame >= part.first) & (frame < part.stop)].numpy()
            if not len(own):
                continue
            own = own - np.float32([own[0, 0], 0, own[0, 2], 0])
            own[:, 3] = np.unique(own[:, 3], return_inverse=True)[1]
            name = f"{utterance.id}-{number:02d}"
            yield Item(name, part.label, utterance.speaker or utterance.id, own)


made = write_ink_dir(Path(sys.argv[3]), characters())
print(
    f"{len(made)} characters of {len(utterances)} words, {len(failed)} of which have no alignment"
)
for message in failed[:5]:
    print("  ", message)
