"""A local plugin: two toy languages for sequence labelling, how to read them, and their front-end.

Both are hidden Markov models, so the best error that any recogniser can have is known (report.py
computes it with the true probabilities):

rib_rob   Lafferty, McCallum & Pereira (2001), figure 1 and section 5.1: r-i-b or r-o-b, and one
          letter in 32 replaced by each of the three others. The first letter says nothing; only a
          model without label bias can let the second one decide.
tags      8 labels, 40 words, of which most occur with several labels; sentences of 5 to 25 words.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqebm.hooks import FrontEnd, Options, Reader, Utterance, hookimpl, write_data_dir


class Language(NamedTuple):
    """Labels, words, and probabilities: first label (S,), next (S, S), word of a label (S, V)."""

    labels: list[str]
    words: list[str]
    first: np.ndarray
    follow: np.ndarray
    emit: np.ndarray
    lengths: tuple[int, int]


def language(corpus: str) -> Language:
    """One of the two languages; it does not depend on the seed of the data."""
    if corpus == "rib_rob":
        labels, words = ["r1", "i", "r2", "o", "b"], ["r", "i", "o", "b"]
        follow = np.zeros((5, 5))
        follow[[0, 1, 2, 3, 4], [1, 4, 3, 4, 4]] = 1
        emit = np.full((5, 4), 1 / 32)
        emit[range(5), [words.index(label[0]) for label in labels]] = 29 / 32
        return Language(labels, words, np.array([0.5, 0, 0.5, 0, 0]), follow, emit, (3, 3))
    rng = np.random.default_rng(2001)
    labels, words = list("ABCDEFGH"), [f"w{n}" for n in range(40)]
    follow = rng.dirichlet(np.full(8, 0.3), 8) * 0.95 + 0.05 / 8
    emit = rng.dirichlet(np.full(40, 0.1), 8) * 0.9 + 0.1 / 40
    return Language(labels, words, rng.dirichlet(np.ones(8)), follow, emit, (5, 25))


def sample(model: Language, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """The labels and words of one sentence."""
    label, labels, words = -1, [], []
    for _ in range(rng.integers(model.lengths[0], model.lengths[1] + 1)):
        chances = model.first if label < 0 else model.follow[label]
        label = int(rng.choice(len(chances), p=chances))
        labels.append(label)
        words.append(int(rng.choice(len(model.words), p=model.emit[label])))
    return labels, words


class ToyOptions(Options):
    """Options of the preparer ``toy``."""

    corpus: str = "tags"
    train: int = 400
    test: int = 1000
    seed: int = 0


def toy(options: ToyOptions):
    """Write ``train`` and ``test``: one file of words each, a sentence being a segment of it."""

    def prepare(destination: Path) -> None:
        model, rng = language(options.corpus), np.random.default_rng(options.seed)
        for part, count in (("train", options.train), ("test", options.test)):
            file, words, utterances = destination / f"{part}.tokens", [], []
            for n in range(count):
                labels, own = sample(model, rng)
                span = len(words), len(words) + len(own)
                text = " ".join(model.labels[i] for i in labels)
                utterances.append(Utterance(f"{part}{n:05}", file, text, part, *span))
                words += own
            file.write_text("".join(f"{word}\n" for word in words))
            write_data_dir(destination / part, utterances, "features")

    return prepare


@functools.cache
def _tokens(path: Path) -> np.ndarray:
    return np.loadtxt(path, np.float32, ndmin=2)


class TokenReader(Reader):
    """Reads word numbers, one a line; a frame is a word."""

    kind = "features"
    suffixes = (".tokens",)

    def read(self, path, rate, start=None, stop=None, limit=None):
        """``(N, 1)`` word numbers."""
        return _tokens(Path(path))[start:stop]

    def file_rate(self, path):
        """One word a unit of time."""
        return 1


class OneHotOptions(Options):
    """Options of the front-end ``one_hot``."""

    size: int


class OneHot(FrontEnd):
    """A word number becomes an indicator vector."""

    reads, rate, limit, frame_shift = "features", 1, float("inf"), 1.0

    def __init__(self, options: OneHotOptions) -> None:
        super().__init__()
        self.output_dim = options.size

    def forward(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, 1)``, ``(B,)`` -> ``(B, T, size)``, ``(B,)``."""
        return nn.functional.one_hot(signal[..., 0].long(), self.output_dim).float(), lengths

    def fit(self, batches) -> None:
        """Nothing to estimate."""


def true_energies(model: Language) -> tuple[Tensor, Tensor, Tensor]:
    """Minus the logarithms of the probabilities: words (S, V), transitions, start."""
    with np.errstate(divide="ignore"):
        tables = (-np.log(p) for p in (model.emit, model.follow, model.first))
        return tuple(torch.from_numpy(table) for table in tables)


@hookimpl
def seqebm_register_readers(register):
    """The reader of words."""
    register("tokens", lambda options: TokenReader())


@hookimpl
def seqebm_register_frontends(register):
    """The front-end ``one_hot``."""
    register("one_hot", OneHot, OneHotOptions)


@hookimpl
def seqebm_register_preparers(register):
    """The preparer ``toy``."""
    register("toy", toy, ToyOptions)
