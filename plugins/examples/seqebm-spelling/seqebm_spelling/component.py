"""The lattice ``spelling``: strings of words in any order, each word a run of frames of its own."""

import torch
from pydantic import Field
from torch import Tensor, nn

from seqebm.hooks import DataError, Graph, Lattice, Symbols, Trellis, prepare


class Spelling(Lattice):
    """A word is two or more frames of one class; any string of words is an answer.

    The simplest lattice of strings: a loop over words as a graph, whose arcs read the class of a
    word, or nothing, and write the word. What is asked of it, the trellis answers.
    """

    answers = "string"

    class Options(Lattice.Options):
        """Keys under ``lattice:`` of a config."""

        penalty: float = Field(0.0, description="energy of every word, in the beginning")

    def __init__(self, options: Options, input_dim: int, vocabulary: tuple[str, ...]) -> None:
        super().__init__(vocabulary)
        self.symbols = Symbols(vocabulary)
        self.linear = nn.Linear(input_dim, len(vocabulary))
        self.penalty = nn.Parameter(torch.tensor([options.penalty]))
        arcs, tied = [], []
        for word in range(1, len(vocabulary) + 1):  # from 0: begin, stay, end
            arcs += [(0, word, word, word), (word, word, word, 0), (word, 0, word, 0)]
            tied += [0, -1, -1]  # the penalty is one weight, on every arc that writes a word
        ends = [-1, -1]
        graph = Graph.make(
            len(vocabulary) + 1, arcs, [0], [0], weight=[*tied, *ends], weights=1,
            isymbols=self.symbols, osymbols=self.symbols,
        )  # fmt: skip
        self.graph = prepare(graph)

    def meet(self, features: Tensor, lengths: Tensor) -> Trellis:
        """The energies of all strings."""
        return Trellis(self.graph, -self.linear(features), lengths, self.penalty)

    def parse(self, target: str) -> tuple[int, ...]:
        """Numbers of the words of a transcript."""
        unknown = [word for word in target.split() if word not in self.symbols]
        if unknown:
            raise DataError(f"the word {unknown[0]!r} is not among {', '.join(self.vocabulary)}")
        return tuple(self.symbols.id(word) for word in target.split())

    def text(self, value: tuple[int, ...]) -> str:
        """The words of numbers."""
        return " ".join(self.symbols.name(label) for label in value)

    def minimum_frames(self, target: str) -> int:
        """Two a word."""
        return 2 * len(self.parse(target))
