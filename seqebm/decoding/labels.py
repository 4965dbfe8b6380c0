"""Decode with a lattice whose answers have a label for every frame (a chain)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor

from seqebm.decoding.search import Search, settings
from seqebm.decoding.segments import Segment
from seqebm.decoding.transcription import Alternative, Transcription
from seqebm.errors import ConfigError, SeqebmError
from seqebm.models import Recognizer


class LabelDecoder:
    """Decodes by ``best_path(features, lengths)``, which gives a text and an energy for each item.

    Where the lattice has ``n_best(features, lengths, n)`` it is asked for alternatives, and where
    it has ``labellings(features, lengths)``, with ``posteriors(beta)``, for confidences.
    """

    def __init__(self, model: Recognizer, search: Search) -> None:
        self.lattice = cast(Any, model.lattice)
        self.vocabulary = {word: index for index, word in enumerate(model.vocabulary)}
        self.search = search
        self.shift = model.frontend.frame_shift * model.features.subsampling
        self.beta = model.beta if math.isfinite(model.beta) else 1.0
        self.name = type(self.lattice).__name__
        for option, wanted in (("--beam", search.beam), ("--lattice", search.lattice)):
            if wanted:
                raise ConfigError(
                    f"the model's lattice ({self.name}) is searched exactly, without a graph: "
                    f"leave out {option}"
                )
        if search.nbest and not hasattr(self.lattice, "n_best"):
            raise ConfigError(f"the model's lattice ({self.name}) has no n-best: leave out --nbest")

    def __call__(
        self, features: Tensor, lengths: Tensor, ids: list[str]
    ) -> Sequence[Transcription | SeqebmError]:
        """Answers, in order."""
        with settings(self.lattice, self.search):
            answers = self.lattice.best_path(features, lengths)
            alternatives: list[Any] = [()] * len(ids)
            if self.search.nbest:
                alternatives = self.lattice.n_best(features, lengths, self.search.nbest)
            posteriors = free = None
            if self.search.confident and hasattr(self.lattice, "labellings"):
                free, posteriors, _ = self.lattice.labellings(features, lengths).posteriors(
                    self.beta
                )
        results = []
        for b, (name, answer) in enumerate(zip(ids, answers, strict=True)):
            labels = answer.text.split()
            each = [
                None if posteriors is None else float(posteriors[b, t, self.vocabulary[label]])
                for t, label in enumerate(labels)
            ]
            confidence = None
            if free is not None:
                confidence = math.exp(-self.beta * max(0.0, answer.energy - float(free[b])))
            results.append(
                Transcription(
                    name, answer.text, answer.energy, confidence,
                    tuple(Segment(w, t, t + 1, each[t]) for t, w in enumerate(labels)),
                    tuple(Alternative(*a) for a in alternatives[b]),
                    int(lengths[b]), self.shift,
                )
            )  # fmt: skip
        return results
