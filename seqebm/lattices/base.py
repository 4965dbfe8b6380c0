"""What a lattice is: the trained component that says which answers there are and what they cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, Self

from torch import Tensor, nn

from seqebm.errors import ConfigError, UnsupportedError
from seqebm.hooks import Options as BaseOptions
from seqebm.inference.energies import Energies
from seqebm.text import fields

#: What an answer is: one of a list, a string of words (or characters), or an array of numbers.
Answers = Literal["choice", "string", "array"]


class Lattice(nn.Module, ABC):
    """Base of the lattices: a trainable module that meets features and gives energies.

    A subclass gives :meth:`meet`, :meth:`parse` and :meth:`text`, and says in ``answers`` what its
    answers are. It is made by ``factory(options, input_dim, vocabulary)``.

    Attributes:
        Options: the keys under ``lattice:`` of a config.
        answers: ``"choice"``: an answer is one of the vocabulary; ``"string"``: a string of words
            (or characters) of it; ``"array"``: numbers, and the vocabulary is empty.
        vocabulary: the words, in the order of their numbers.
    """

    Options = BaseOptions
    answers: ClassVar[Answers] = "choice"

    def __init__(self, vocabulary: Sequence[str] = ()) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)

    @abstractmethod
    def meet(self, features: Tensor, lengths: Tensor) -> Energies:
        """``(B, T, D)`` features, ``(B,)`` lengths -> the energies of all answers."""

    @abstractmethod
    def parse(self, target: Any) -> Any:
        """A transcript (or array) of the data as :class:`Energies` takes it.

        Raises :class:`seqebm.errors.DataError` for one that can be no answer, naming what is wrong
        with it.
        """

    @abstractmethod
    def text(self, value: Any) -> str:
        """An answer as text: what :meth:`parse` makes of a transcript, back again."""

    def meet_known(self, features: Tensor, lengths: Tensor, values: Sequence[Any]) -> Energies:
        """What answers that are known are aligned with: by default what they are trained with."""
        return self.meet(features, lengths)

    def minimum_frames(self, target: Any) -> int:
        """Fewest feature frames with which a target has energies that are not infinite.

        Raises :class:`DataError` as :meth:`parse` does.
        """
        self.parse(target)
        return 1

    def enrolled(self, word: str, features: Sequence[Tensor]) -> Self:
        """The same lattice with a word added, or more of a word that it has, without training.

        Args:
            word: what is to be answered.
            features: examples, each ``(T_i, D)``.

        Raises :class:`seqebm.errors.UnsupportedError` if it cannot know a word by examples alone.
        """
        raise UnsupportedError(
            f"{type(self).__name__} has to be trained with its words; words can be added to "
            "elastic templates (lattice: templates)"
        )

    def without(self, word: str) -> Self:
        """The same lattice without one of its words.

        Raises :class:`seqebm.errors.UnsupportedError` as :meth:`enrolled` does.
        """
        raise UnsupportedError(
            f"{type(self).__name__} has to be trained again to do without a word; words can be "
            "taken from elastic templates (lattice: templates)"
        )

    def initialise(self, features: list[Tensor], targets: list[Any]) -> None:
        """Set parameters from data: ``features`` are ``(T_i, D)``; by default nothing."""

    def usage(self, features: Tensor, lengths: Tensor, targets: list[Any]) -> dict[str, int]:
        """How often each part was used by the right answers, of those that they could have used.

        For the diagnosis; by default there are no parts to tell of.
        """
        return {}

    def under(self, **grammar: Any) -> Self:
        """This lattice with another grammar: itself is not changed.

        Args:
            grammar: some of ``lm_scale``, ``word_penalty`` (numbers), ``lexicon`` (a TextFile of
                all answers), ``lm`` (a TextFile of an n-gram model).

        Raises :class:`ConfigError` for what the lattice does not have.
        """
        for name in grammar:
            raise ConfigError(
                f"the model's lattice ({type(self).__name__}) has no {name}; leave out "
                f"--{name.replace('_', '-')} (inference.{name})"
            )
        return self

    @classmethod
    def collect(cls, targets: Iterable[Any], options: BaseOptions) -> tuple[str, ...]:
        """The vocabulary that the targets of a corpus give; ``options`` are the lattice's."""
        if cls.answers == "array":
            return ()
        if cls.answers == "choice":
            return tuple(dict.fromkeys(text for text in targets if text))
        return tuple(sorted({word for text in targets for word in cls.tokens(text, options)}))

    @classmethod
    def tokens(cls, text: str, options: BaseOptions) -> list[str]:
        """The words (or characters) of a transcript, where answers are strings."""
        return fields(text)

    def split(self, text: str) -> list[str]:
        """The same, of this lattice."""
        return fields(text)

    @property
    def words(self) -> Sequence[str]:
        """Every word that an answer can have."""
        return self.vocabulary

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes that its graphs read from the frames, for lattices on disk."""
        return ()
