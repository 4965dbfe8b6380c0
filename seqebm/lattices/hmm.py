"""Hierarchical hidden Markov models without normalisation: the recogniser of connected speech.

The energy of a sentence Y, read through the state sequence Z, is the sum of the emission energies
of Z's classes at each frame, its transition energies, the language model's and a penalty a word.
Nothing needs to sum to one: training divides by the free energy of all sentences (NLL, which is
MMI over whole sentences), or compares with the most offending one, over full paths.

Sources: Bengio & LeCun 1994 and LeCun, Bottou, Bengio & Haffner 1998, section VI (late
normalisation); Haffner 1993 and Povey et al. 2016 for MMI of a network from a flat start.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as nnf
from pydantic import Field
from torch import Tensor, nn

from seqebm.errors import DataError
from seqebm.graphs.lexicon import Lexicon
from seqebm.graphs.ngram import read_arpa
from seqebm.hooks import Options as BaseOptions
from seqebm.hooks import TextFile
from seqebm.inference.trellis import together
from seqebm.lattices.base import Lattice
from seqebm.lattices.hmm_graphs import HMMGraphs
from seqebm.lattices.sentences import Sentences, Transcripts
from seqebm.lattices.tokens import Tokens, listed, split


class HMM(Lattice):
    """Sentences of words, words of units, units of states; one emission class a state.

    A frame's emission energies are linear in its features. Tied weights are shared by every place
    where a unit occurs.
    """

    answers = "string"

    class Options(BaseOptions):
        """Options of the hierarchical HMM."""

        lexicon: TextFile | Literal["words", "letters"] = Field(
            "words",
            description="a pronunciation dictionary (WORD PHONE PHONE ... a line), or: each word "
            "is a unit of its own (words), or is spelled (letters)",
        )
        tokens: Tokens = Field(
            "words",
            description="what a transcript is a string of; with characters, each is a word of its "
            "own to lexicon, lm and word_penalty",
        )
        strings: TextFile | None = Field(
            None, description="the only transcripts there are, one a line; null: any"
        )
        lm: TextFile | None = Field(None, description="n-gram model (ARPA); null: free loop")
        topology: Literal["bakis", "ctc"] = Field("bakis", description="of a unit")
        states: int = Field(
            3, ge=1, le=1000, description="emitting states of a unit; frames it needs"
        )
        skip: int = Field(0, ge=0, le=1000, description="most states that one step may leap over")
        silence_states: int = Field(
            1, ge=0, le=1000, description="of the optional silence; 0: none"
        )
        normalisation: Literal["none", "local"] = Field(
            "none", description="local: probabilities of classes at each frame and of transitions "
            "at each state sum to 1; none: energies are free",
        )  # fmt: skip
        transitions: Literal["learned", "fixed"] = Field(
            "learned", description="energies of staying in a state and leaving it; fixed: 0"
        )
        lm_scale: float = Field(
            1.0, ge=0, allow_inf_nan=False, description="factor of the language model's energies"
        )
        word_penalty: float = Field(0.0, allow_inf_nan=False, description="energy of every word")
        dropout: float = Field(0.0, ge=0, lt=1, description="on the features, in training")

    def __init__(self, options: HMM.Options, input_dim: int, vocabulary: tuple[str, ...]) -> None:
        super().__init__(vocabulary)
        self.options = options
        if isinstance(options.lexicon, TextFile):
            lexicon = Lexicon.from_text(options.lexicon.text, options.lexicon.name)
        elif options.lexicon == "letters":
            lexicon = Lexicon.spelled(vocabulary)
        else:
            lexicon = Lexicon({word: [(word,)] for word in vocabulary})
        lm = read_arpa(options.lm.text, options.lm.name) if options.lm else None
        self.graphs = HMMGraphs(
            lexicon, options.states, options.silence_states, options.skip, options.topology, lm,
            options.tokens, listed(options.strings.text) if options.strings else None,
        )  # fmt: skip
        self.dropout = nn.Dropout(options.dropout)
        self.linear = nn.Linear(input_dim, len(self.graphs.classes))
        self.lm_scale, self.word_penalty = options.lm_scale, options.word_penalty
        moves = torch.zeros((self.graphs.weights - 2) // 2, 2)
        self.transitions = nn.Parameter(moves, requires_grad=options.transitions == "learned")

    @classmethod
    def tokens(cls, text: str, options: BaseOptions) -> list[str]:
        """The words, or characters, of a transcript."""
        assert isinstance(options, HMM.Options)
        return split(text, options.tokens)

    def split(self, text: str) -> list[str]:
        """The words, or characters, of a transcript."""
        return self.graphs.split(text)

    @property
    def words(self) -> Sequence[str]:
        """Every word of the lexicon."""
        return tuple(self.graphs.words)

    @property
    def classes(self) -> Sequence[str]:
        """``unit.state`` of each emission class."""
        return tuple(self.graphs.classes)

    def parse(self, target: str) -> tuple[int, ...]:
        """Labels of the words of a transcript. Raises :class:`DataError` for an unknown word."""
        return self.graphs.labels(target)

    def text(self, value: Sequence[int]) -> str:
        """The words of labels."""
        return self.graphs.text(value)

    def under(self, **grammar: Any) -> Self:
        """The same model under another grammar, scale or penalty; the parameters are shared.

        Raises :class:`DataError` if nothing that the grammar allows can be written by the model,
        :class:`ConfigError` if it has both a lexicon and an n-gram model.
        """
        other = copy.copy(self)
        other.lm_scale = grammar.get("lm_scale", self.lm_scale)
        other.word_penalty = grammar.get("word_penalty", self.word_penalty)
        lexicon, lm = grammar.get("lexicon"), grammar.get("lm")
        if lexicon is not None or lm is not None:
            strings = listed(lexicon.text) if lexicon is not None else None
            arpa = read_arpa(lm.text, lm.name) if lm is not None else None
            other.graphs = self.graphs.restricted(arpa, strings)
        return other

    def emissions(self, features: Tensor) -> Tensor:
        """``(B, T, D)`` features -> ``(B, T, C)`` energies of the classes."""
        scores = self.linear(self.dropout(features))
        if self.options.normalisation == "local":
            scores = nnf.log_softmax(scores, -1)
        return -scores

    def weights(self) -> Tensor:
        """``(W,)`` tied weights: language-model scale, word penalty, (stay, leave) a class."""
        moves: Tensor = self.transitions
        if self.options.normalisation == "local":
            moves = -nnf.log_softmax(-moves, -1)
        return torch.cat([moves.new_tensor([self.lm_scale, self.word_penalty]), moves.flatten()])

    def meet(self, features: Tensor, lengths: Tensor) -> Sentences:
        """The energies of all sentences."""
        return Sentences(self.graphs, self.emissions(features), lengths, self.weights())

    def meet_known(
        self, features: Tensor, lengths: Tensor, values: Sequence[Sequence[int]]
    ) -> Transcripts:
        """Sentences without language model and word penalty, which say nothing about times."""
        graphs = together([self.graphs.transcript(value) for value in values])
        classes = self.graphs.inventory
        return Transcripts(graphs, self.emissions(features), lengths, self.weights(), classes)

    @torch.no_grad()
    def usage(self, features: Tensor, lengths: Tensor, targets: list[str]) -> dict[str, int]:
        """How often the best paths of the right answers stay in each state, and leave it.

        Of the states of the targets only; CTC has no such weights, so nothing is counted.
        """
        trellis = self.meet(features, lengths).clamped([self.parse(t) for t in targets])
        total = np.zeros(self.graphs.weights)
        possible = np.zeros(self.graphs.weights, bool)
        for b, path in enumerate(trellis.best_path()[1]):
            if path is not None:
                ties = trellis.graph(b).ties
                total += np.asarray(ties[path.arcs.numpy()].sum(0)).ravel()
                possible |= np.asarray(ties.sum(0)).ravel() > 0
        names = [f"{c} {move}" for c in self.graphs.classes for move in ("stay", "leave")]
        return {
            name: int(total[2 + k])
            for k, name in enumerate(names[: self.graphs.weights - 2])
            if possible[2 + k]
        }

    def minimum_frames(self, target: str) -> int:
        """Fewest frames that the transcript needs.

        Raises :class:`DataError` for an unknown word, and for an empty transcript where there is
        no class for silence.
        """
        value = self.parse(target)
        if not value and not self.graphs.rests:
            raise DataError(
                "its transcript is empty, but the graph has no silence to hear; set "
                "lattice.silence_states to 1 or more, or remove the utterance"
            )
        return int(self.graphs.clamped(value).packed.minimum_frames[0])
