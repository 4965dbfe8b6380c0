"""Recognise connected speech (or any string of words) in files or data directories.

A lattice whose answers are strings of words (``sequential = True``) is decoded through its method
``trellis(features, lengths)``, the lattice of all sentences, or else through
``best_path(features, lengths)``, which gives texts and energies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from seqebm.data import Utterance, collate
from seqebm.data.batching import Example
from seqebm.decoding.batches import in_batches, refused
from seqebm.decoding.decision import decide
from seqebm.decoding.labels import LabelDecoder
from seqebm.decoding.posteriors import (
    sentence_posterior,
    word_posteriors,
    words_of_states,
)
from seqebm.decoding.search import Found, Search, best_paths, settings, unroll
from seqebm.decoding.segments import Classes, segments
from seqebm.decoding.times import feature_spans
from seqebm.decoding.transcription import Alternative, Transcription
from seqebm.errors import ConfigError, SeqebmError
from seqebm.graphs import Graph, n_best, posteriors
from seqebm.graphs.graph import Ints
from seqebm.graphs.ngram import read_arpa
from seqebm.graphs.sources import read_source
from seqebm.lattices.unrolled import UnrolledGraph
from seqebm.models import Recognizer

_NEGLIGIBLE = 12.0  # a path of this much more energy (times β) has 6e-6 of the best one's weight


@torch.no_grad()
def recognise_sequences(
    model: Recognizer, utterances: Sequence[Utterance], search: Search = Search()
) -> Iterator[Transcription | SeqebmError]:
    """Recognise utterances in order.

    A bad utterance gives its error in place of an answer: unreadable, too short for any sentence,
    or left without a path by the beam.

    Raises :class:`ConfigError` for something in ``search`` that the model's lattice cannot do.
    """
    model.eval()
    work = decoder(model, search)

    def decode(examples: list[Example]) -> Sequence[Transcription | SeqebmError]:
        batch = collate(examples)
        try:
            answers = work(*model.extract(batch.signal, batch.lengths), batch.ids)
        except ValueError as error:  # the kernels refuse NaN
            return refused(batch.ids, error)
        return [
            replace(answer, spans=feature_spans(model, example.signal))
            if isinstance(answer, Transcription)
            else answer
            for answer, example in zip(answers, examples, strict=True)
        ]

    # Lattices may be large, so few of them are held at a time.
    size, ahead = (min(search.batch_size, 4), 1) if search.lattice else (search.batch_size, 8)
    yield from in_batches(model, utterances, size, decode, ahead)


def words_of(model: Recognizer) -> Sequence[str]:
    """Every word that a sequential model can answer."""
    graphs = getattr(model.lattice, "graphs", None)
    return model.vocabulary if graphs is None else tuple(graphs.words)


def split_of(model: Recognizer) -> Callable[[str], list[str]]:
    """What splits a transcript into the words (or characters) that a sequential model answers."""
    graphs = getattr(model.lattice, "graphs", None)
    return str.split if graphs is None else graphs.split


def use_grammar(model: Recognizer, strings: Path | None, lm: Path | None) -> None:
    """Decode with another grammar than the model was trained with, if one is given.

    Args:
        model: its lattice is changed in place.
        strings: a file of all answers that there are, one a line.
        lm: a file of an n-gram model (ARPA).

    Raises:
        ConfigError: both are given, or the lattice has no grammar.
        DataError: a file cannot be read, or none of its strings can be written.
    """
    if strings is None and lm is None:
        return
    lattice = cast(Any, model.lattice)
    if not hasattr(lattice, "graphs"):
        raise ConfigError(
            f"the model's lattice ({type(lattice).__name__}) has no grammar; leave out --lexicon "
            "and --lm"
        )
    listed = None
    if strings is not None:
        text, _ = read_source(strings, None, "")
        listed = [line for line in text.splitlines() if line.strip()]
    lattice.graphs = lattice.graphs.restricted(read_arpa(lm) if lm else None, listed)


Decoder = Callable[[Tensor, Tensor, list[str]], Sequence[Transcription | SeqebmError]]


def decoder(model: Recognizer, search: Search) -> Decoder:
    """What turns features ``(B, T, D)``, lengths ``(B,)`` and B ids into answers or errors.

    Raises :class:`ConfigError` for something in ``search`` that the model's lattice cannot do.
    """
    if hasattr(model.lattice, "trellis"):
        return TrellisDecoder(model, search)
    if hasattr(model.lattice, "best_path"):
        return LabelDecoder(model, search)
    raise ConfigError(
        f"the model's lattice ({type(model.lattice).__name__}) says that its answers are strings, "
        "but has neither a trellis() nor a best_path() to find them by"
    )


class TrellisDecoder:
    """Decodes with a lattice that is a graph which meets the frames (``trellis``)."""

    def __init__(self, model: Recognizer, search: Search) -> None:
        self.search = search
        self.lattice = cast(Any, model.lattice)
        self.classes = Classes.of(self.lattice.graphs)
        self.shift = model.frontend.frame_shift * model.features.subsampling
        self.model_beta = model.beta
        self.beta = model.beta if math.isfinite(model.beta) else 1.0
        inference = model.config.inference
        self.decide = search.decide or (inference.decide if search.beam is None else "path")
        self.candidates = inference.candidates
        self._current: tuple[Graph, Ints] | None = None

    def __call__(
        self, features: Tensor, lengths: Tensor, ids: list[str]
    ) -> Sequence[Transcription | SeqebmError]:
        """Answers, or errors, in order."""
        with settings(self.lattice, self.search):
            found = best_paths(
                self.lattice.trellis, features, lengths, ids, self.search, self.shift
            )
        return [
            result if isinstance(result, SeqebmError) else self._answer(name, result)
            for name, result in zip(ids, found, strict=True)
        ]

    def _answer(self, name: str, found: Found) -> Transcription | SeqebmError:
        if not self.search.lattices and self.decide == "path":
            return self._transcription(name, found, None, found.trellis.graph(found.item))
        width = self.search.lattice_beam or _NEGLIGIBLE / self.beta
        # One at a time: the lattice of an untrained model may fill much of the memory.
        unrolled = unroll(found, name, self.search, width, self.shift)
        if isinstance(unrolled, SeqebmError):
            return unrolled
        lattice = UnrolledGraph.of(found.trellis.graph(found.item), unrolled)
        rounding = 1e-5 * (1 + abs(found.energy))
        if found.beam is not None and unrolled.best < found.energy - rounding:
            # The lattice is exact, and the beam had lost what is better.
            better = lattice.best_path()
            assert better is not None  # that is what `best` says
            found = found._replace(energy=better[0], path=better[1], beam=None)
        whole = found.trellis.graph(found.item)
        if self.decide != "path":
            found = self._decided(found, lattice)
        return self._transcription(name, found, lattice, whole)

    def _decided(self, found: Found, lattice: UnrolledGraph) -> Found:
        names = self.lattice.graphs
        texts = [names.text(path.outputs) for path in n_best(lattice.graph, self.candidates)]
        graphs = [names.clamped(text) for text in texts]
        strings = [names.split(text) for text in texts]
        return decide(found, strings, graphs, self.decide, self.model_beta)

    def _transcription(
        self, name: str, found: Found, lattice: UnrolledGraph | None, whole: Graph
    ) -> Transcription:
        graph = found.trellis.graph(found.item)
        words = segments(graph, found.path, self.classes).words
        labels = found.trellis.output(found.item, found.path)
        confidence = None
        if self.search.confident and lattice is not None:
            confidence = sentence_posterior(lattice.graph, labels, self.beta)
            each = word_posteriors(
                lattice,
                posteriors(lattice.graph, self.beta)[: lattice.graph.arcs],
                self._words_of_states(whole)[whole.dst[lattice.arc]],
                self.classes, words, labels,
            )  # fmt: skip
            words = tuple(w._replace(confidence=c) for w, c in zip(words, each, strict=True))
        return Transcription(
            id=name,
            text=self.lattice.graphs.text(labels),
            energy=found.energy,
            confidence=confidence,
            words=words,
            alternatives=self._alternatives(lattice),
            frames=int(found.trellis.lengths[found.item]),
            frame_shift=self.shift,
            beam=found.beam,
            lattice=lattice if self.search.lattice else None,
            decided=self.decide,
        )

    def _alternatives(self, lattice: UnrolledGraph | None) -> tuple[Alternative, ...]:
        if lattice is None or not self.search.nbest:
            return ()
        return tuple(
            Alternative(self.lattice.graphs.text(path.outputs), path.energy)
            for path in n_best(lattice.graph, self.search.nbest)
        )

    def _words_of_states(self, graph: Graph) -> Ints:
        if self._current is None or self._current[0] is not graph:
            self._current = graph, words_of_states(graph)
        return self._current[1]
