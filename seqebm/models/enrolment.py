"""Words added to a trained model from a few recordings, and taken out again, without training.

The features of the recordings become what the lattice knows of the word, e.g. its templates. The
network is what it was trained to be: how well it tells the new words apart depends on what its own
words taught it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqebm.errors import DataError
from seqebm.lattices.base import Lattice
from seqebm.models.recognizer import Recognizer
from seqebm.spelling import nearest
from seqebm.text import spaced


@torch.no_grad()
def enrol(model: Recognizer, word: str, signals: Sequence[Tensor]) -> Recognizer:
    """The recogniser with ``word`` added, or with further examples of a word that it knows.

    Args:
        model: a trained recogniser; it stays as it is.
        word: what recordings like these are to be answered with.
        signals: examples, each ``(N,)`` samples at the front-end's rate (or ``(N, C)`` points).

    Raises:
        DataError: the word is empty, or there are no examples.
        UnsupportedError: the lattice cannot learn a word from examples alone.
    """
    word = spaced(word)
    if not word:
        raise DataError("the word to enrol is empty; say what the recordings are to be called")
    if not signals:
        raise DataError(f"there are no recordings of {word!r} to enrol")
    model.eval()
    features = []
    for signal in signals:  # one by one: an example must not depend on those beside it
        frames, lengths = model.extract(signal[None], torch.tensor([len(signal)]))
        features.append(frames[0, : int(lengths[0])])
    return _with(model, model.lattice.enrolled(word, features))


def forget(model: Recognizer, word: str) -> Recognizer:
    """The recogniser without a word. ``model`` stays as it is.

    Raises:
        DataError: it does not know the word, or knows no more than two.
        UnsupportedError: the lattice cannot do without a word that it was trained with.
    """
    word = spaced(word)
    if word not in model.vocabulary:
        raise DataError(
            f"the model does not know the word {word!r}.{nearest(word, model.vocabulary)} It knows "
            f"{', '.join(model.vocabulary[:12])}{', …' if len(model.vocabulary) > 12 else ''}"
        )
    if len(model.vocabulary) <= 2:
        raise DataError(
            f"the model knows {len(model.vocabulary)} words; a recogniser needs two, so that there "
            "is something to tell apart"
        )
    return _with(model, model.lattice.without(word))


def _with(model: Recognizer, lattice: Lattice) -> Recognizer:
    """The same network with another lattice."""
    other = copy.copy(model)
    modules: dict[str, Any] = dict(model._modules)
    other._modules = modules  # or both would have one dictionary
    other.lattice = lattice.eval()
    other.vocabulary = lattice.vocabulary
    return other
