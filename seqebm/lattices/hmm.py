"""Hierarchical hidden Markov models without normalisation: the recogniser of connected speech.

The energy of a sentence Y, read through the state sequence Z, is the sum of the emission energies
of Z's classes at each frame, its transition energies, the language model's and a penalty a word.
Nothing needs to sum to one: training divides by the free energy of all sentences (NLL, which is
MMI over whole sentences), or compares with the most offending one, over full paths.

Sources: Bengio & LeCun 1994 and LeCun, Bottou, Bengio & Haffner 1998, section VI (late
normalisation); Haffner 1993 and Povey et al. 2016 for MMI of a network from a flat start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as nnf
from pydantic import Field
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn

from seqebm.graphs.lexicon import Lexicon
from seqebm.graphs.ngram import read_arpa
from seqebm.hooks import Options as BaseOptions
from seqebm.hooks import Request, Terms, TextFile
from seqebm.lattices.hmm_graphs import HMMGraphs
from seqebm.lattices.risk import expected_cost
from seqebm.lattices.tokens import Tokens, split
from seqebm.lattices.trellis import Prepared, Trellis, together


class HMM(nn.Module):
    """Sentences of words, words of units, units of states; one emission class a state.

    A frame's emission energies are linear in its features. Tied weights are shared by every place
    where a unit occurs.
    """

    sequential = True  # answers are strings of words

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
        states: int = Field(3, ge=1, description="emitting states of a unit; frames it needs")
        skip: int = Field(0, ge=0, description="most states that one step may leap over")
        silence_states: int = Field(1, ge=0, description="of the optional silence; 0: none")
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
        super().__init__()
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
            options.tokens, options.strings.text.splitlines() if options.strings else None,
        )  # fmt: skip
        self.dropout = nn.Dropout(options.dropout)
        self.linear = nn.Linear(input_dim, len(self.graphs.classes))
        self.lm_scale, self.word_penalty = options.lm_scale, options.word_penalty
        moves = torch.zeros((self.graphs.weights - 2) // 2, 2)
        self.transitions = nn.Parameter(moves, requires_grad=options.transitions == "learned")

    @staticmethod
    def split(text: str, options: HMM.Options) -> list[str]:
        """The tokens of a transcript, of which the vocabulary consists."""
        return split(text, options.tokens)

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

    def trellis(self, features: Tensor, lengths: Tensor) -> Trellis:
        """The contrastive lattice: all sentences."""
        return Trellis(self.graphs.full, self.emissions(features), lengths, self.weights())

    def clamped(self, features: Tensor, lengths: Tensor, targets: list[str]) -> Trellis:
        """The lattice of each item's right answer."""
        graphs = together([self.graphs.clamped(target) for target in targets])
        return Trellis(graphs, self.emissions(features), lengths, self.weights())

    def transcripts(self, features: Tensor, lengths: Tensor, targets: list[str]) -> Trellis:
        """The same without language model and word penalty, which say nothing about times."""
        graphs = together([self.graphs.transcript(target) for target in targets])
        return Trellis(graphs, self.emissions(features), lengths, self.weights())

    def terms(
        self,
        features: Tensor,
        lengths: Tensor,
        targets: list[str],
        beta: float,
        request: Request = Request(),
    ) -> Terms:
        """The three numbers of each item; those that ``request`` leaves out are NaN."""
        emissions, weights = self.emissions(features), self.weights()
        graphs = together([self.graphs.clamped(target) for target in targets])
        correct = Trellis(graphs, emissions, lengths, weights).free_energy(beta)
        contrastive = offending = torch.full_like(correct, math.nan)
        full = Trellis(self.graphs.full, emissions, lengths, weights)
        if request.cost == "hamming":
            wrong = _wrong_frames(Trellis(graphs, emissions, lengths, weights), emissions)

        def costly(lattice: Trellis, scale: float) -> Trellis:
            """All sentences, less ``scale`` times their cost."""
            if request.cost == "hamming":
                less = lattice.emissions - scale * wrong
                return Trellis(lattice.prepared, less, lengths, lattice.weights)
            own = together([self.graphs.costly(t, scale, request.cap) for t in targets])
            return Trellis(own, lattice.emissions, lengths, lattice.weights)

        costs = request.cost is not None and request.scale != 0
        if request.contrastive:
            contrastive = (costly(full, request.scale) if costs else full).free_energy(beta)
        if request.offending:
            rivals = costly(full, request.scale) if costs and request.cost == "hamming" else full
            offending = self._offending(rivals, targets, beta, request)
        risk = None
        if request.risk:
            exact = full.double()
            risk = expected_cost(lambda s: costly(exact, s).free_energy(beta), beta)
            risk = risk.to(correct.dtype)
        return Terms(correct, contrastive, offending, beta, risk)

    def alignment(self, features: Tensor, lengths: Tensor, targets: list[str]) -> list[Tensor]:
        """The classes ``(T_i,)`` of each item's frames on the best path of its right answer.

        Empty for an item without any path.
        """
        trellis = self.clamped(features, lengths, targets)
        return [trellis.classes(b, path) for b, path in enumerate(trellis.best_path()[1])]

    @torch.no_grad()
    def usage(self, features: Tensor, lengths: Tensor, targets: list[str]) -> dict[str, int]:
        """How often the best paths of the right answers stay in each state, and leave it.

        Of the states of the targets only; CTC has no such weights, so nothing is counted.
        """
        trellis = self.clamped(features, lengths, targets)
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

    def rivals(
        self, full: Trellis, targets: list[str], request: Request = Request()
    ) -> list[str | None]:
        """The most offending incorrect answer of each item; None if no other has a path.

        It is the sentence of the least path among all whose string of words is not the target,
        less its edit cost if ``request`` has one. Exact: where the best sentence of all is another
        one, that is it; only for items that are right already is the graph of all others searched.
        """
        if request.cost == "edit" and request.scale:
            search = [self.graphs.costly(t, request.scale, request.cap, True) for t in targets]
            return self._sentences(full, range(len(targets)), search)
        _, paths = full.best_path()
        found = [full.output(b, path) if path else None for b, path in enumerate(paths)]
        answers = [None if labels is None else self.graphs.text(labels) for labels in found]
        wanted = [self.graphs.labels(target) for target in targets]
        right = [b for b, labels in enumerate(found) if labels == wanted[b]]
        others = self._sentences(full, right, [self.graphs.rivals(targets[b]) for b in right])
        for b, answer in zip(right, others, strict=True):
            answers[b] = answer
        return answers

    def _sentences(
        self, full: Trellis, items: Sequence[int], graphs: list[Prepared]
    ) -> list[str | None]:
        """The best sentences of some items, each in a graph of its own."""
        if not items:
            return []
        index = torch.tensor(items)
        search = Trellis(together(graphs), full.emissions[index], full.lengths[index], full.weights)
        return [
            self.graphs.text(search.output(b, path)) if path else None
            for b, path in enumerate(search.best_path()[1])
        ]

    def _offending(
        self, full: Trellis, targets: list[str], beta: float, request: Request
    ) -> Tensor:
        """F_β of the most offending answer, less its cost; +inf where there is none."""
        answers = self.rivals(full, targets, request)
        energies = full.emissions.new_full((len(targets),), math.inf)
        index = torch.tensor([b for b, answer in enumerate(answers) if answer is not None])
        if not len(index):
            return energies
        graphs = together([self.graphs.clamped(a) for a in answers if a is not None])
        own = Trellis(graphs, full.emissions[index], full.lengths[index], full.weights)
        energies = energies.index_put((index,), own.free_energy(beta))
        if request.cost == "edit" and request.scale:
            apart = [
                Levenshtein.distance(self.graphs.split(t), self.graphs.split(a or ""))
                for t, a in zip(targets, answers, strict=True)
            ]
            energies = energies - request.scale * energies.new_tensor(apart).clamp(max=request.cap)
        return energies

    def minimum_frames(self, target: str) -> int:
        """Fewest frames that the transcript needs. Raises DataError for an unknown word."""
        return int(self.graphs.clamped(target).packed.minimum_frames[0])

    def initialise(self, features: list[Tensor], targets: list[str]) -> None:
        """Nothing: a flat start."""


def _wrong_frames(right: Trellis, emissions: Tensor) -> Tensor:
    """``(B, T, C)``: 0 at each frame's class on the best path of the right answer, else 1."""
    wrong = torch.ones_like(emissions)
    for b, path in enumerate(right.best_path()[1]):
        classes = right.classes(b, path)
        wrong[b, torch.arange(len(classes)), classes] = 0
    return wrong
