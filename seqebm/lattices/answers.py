"""Answers that can be listed: the switch over the words of the vocabulary."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from seqebm.errors import DataError
from seqebm.inference.choice import Choice
from seqebm.lattices.base import Lattice
from seqebm.spelling import nearest


@dataclass(frozen=True)
class Warp:
    """The best warp of one input onto the winning template of one word.

    Attributes:
        word: the word.
        template: which of the word's templates won, from 0.
        energy: length-normalised energy of the path.
        path: ``(n, 2)`` int64 of (input frame, template frame).
        reference: ``(L, D)`` the template.
        local: ``(T, L)`` local energies, the terrain that the path crosses.
    """

    word: str
    template: int
    energy: float
    path: Tensor
    reference: Tensor
    local: Tensor


class AnswerSet(Lattice):
    """Base of the lattices whose answers can be listed: isolated words, characters.

    A subclass implements :meth:`energies`; all else follows.
    """

    answers = "choice"

    def __init__(self, vocabulary: tuple[str, ...]) -> None:
        super().__init__(vocabulary)
        self._rename(self.vocabulary)

    def _rename(self, vocabulary: tuple[str, ...]) -> None:
        """Take other words, as many as the energies have columns."""
        self.vocabulary = vocabulary
        self._index = {word: i for i, word in enumerate(vocabulary)}

    @abstractmethod
    def energies(self, features: Tensor, lengths: Tensor, beta: float) -> Tensor:
        """``(B, T, D)``, ``(B,)`` -> ``(B, W)`` free energies of the words."""

    def meet(self, features: Tensor, lengths: Tensor) -> Choice:
        """The energies of all words."""
        return Choice(
            lambda beta: self.energies(features, lengths, beta), lengths, self.vocabulary,
            lambda: min(self.minimum_frames(word) for word in self.vocabulary),
        )  # fmt: skip

    def index(self, target: str) -> int:
        """Place of ``target`` in the vocabulary. Raises :class:`DataError` if it is not there."""
        if not target:
            raise DataError(
                "its transcript is empty, but this model answers each recording with one word of "
                "its vocabulary; write the word, or remove the utterance"
            )
        if target not in self._index:
            shown = ", ".join(self.vocabulary[:12]) + (" …" if len(self.vocabulary) > 12 else "")
            raise DataError(
                f"the word {target!r} is not in the model's vocabulary ({shown})."
                f"{nearest(target, self._index)} Correct the transcript, or train a model "
                "whose training data contains the word."
            )
        return self._index[target]

    def parse(self, target: str) -> int:
        """Place of a word in the vocabulary. Raises :class:`DataError` if it is not there."""
        return self.index(target)

    def text(self, value: int) -> str:
        """The word at a place."""
        return self.vocabulary[value]

    def minimum_frames(self, target: str) -> int:
        """Fewest feature frames with which ``target`` has a path."""
        self.index(target)
        return 1

    def warp(self, features: Tensor, word: str) -> Warp | None:
        """How ``(T, D)`` features are warped onto a word, for pictures; None without a warp."""
        return None
