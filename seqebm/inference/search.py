"""How answers are searched for: the section ``inference`` of a config, and what it makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field

from seqebm.errors import ConfigError, SeqebmError
from seqebm.hooks import Options, TextFile
from seqebm.inference.energies import Energies
from seqebm.inference.found import Found


class Search(Options):
    """What every way to search can be told: ``inference`` in a config, ``seqebm decode``.

    All but ``beta`` and ``batch_size`` are for models whose answers are strings.
    """

    beta: float = Field(1.0, gt=0, description="inverse temperature; .inf takes the minimum")
    decide: Literal["path", "sentence", "words"] = Field(
        "path", description="which string of words is the answer: that of the best path, of the "
        "least free energy (all its paths added), or of the fewest word errors to be expected",
    )  # fmt: skip
    candidates: int = Field(
        10, ge=1, description="strings of words that sentence and words choose from"
    )
    confidence: bool | None = Field(
        None, description="tell how probable the string and its words are; null: unless there is "
        "a beam, as this needs an exact search",
    )  # fmt: skip
    nbest: int = Field(0, ge=0, description="alternatives to give, the best included; 0: none")
    lattice: bool = Field(False, description="give the lattice of what lies near the best path")
    lattice_beam: float | None = Field(
        None, gt=0, description="confidences, alternatives and lattices consist of the paths whose "
        "energy exceeds the best one's by at most this; null: 12 / β; .inf: all",
    )  # fmt: skip
    max_active: int | None = Field(
        None, ge=1, description="most states active at a frame in the search for these; null: all"
    )
    widen: bool = Field(
        False, description="double a beam or max_active that no path survives, until one does"
    )
    lm_scale: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="in place of the lattice's; null: its own"
    )
    word_penalty: float | None = Field(
        None, allow_inf_nan=False, description="in place of the lattice's; null: its own"
    )
    lexicon: TextFile | None = Field(
        None, description="the only answers there are, one a line; null: any"
    )
    lm: TextFile | None = Field(
        None, description="an n-gram (ARPA) in place of the lattice's grammar; null: its own"
    )
    batch_size: int = Field(32, ge=1, description="utterances that are searched together, at most")

    @property
    def beam_width(self) -> float | None:
        """How far above the best partial path others are followed; None: exact."""
        return None

    @property
    def confident(self) -> bool:
        """Whether confidences are given."""
        return self.beam_width is None if self.confidence is None else self.confidence

    @property
    def lattices(self) -> bool:
        """Whether lattices are needed, to give them or something that they tell."""
        return self.confident or self.lattice or self.nbest > 0

    @property
    def grammar(self) -> dict[str, Any]:
        """What is asked of the lattice in place of its own grammar: those that are given."""
        names = ("lm_scale", "word_penalty", "lexicon", "lm")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}

    def refuse_beams(self, what: str) -> None:
        """Raise :class:`ConfigError` for what only energies on a graph can do."""
        for option, wanted in (("beam", self.beam_width), ("lattice", self.lattice)):
            if wanted:
                raise ConfigError(
                    f"the model's energies ({what}) are searched exactly, without a graph: leave "
                    f"out --{option} (inference.{option})"
                )


class BeamSearch(Search):
    """Options of a search within a beam."""

    beam: float = Field(
        10.0, gt=0, description="drop a partial path whose energy exceeds the best one's at its "
        "frame by more than this",
    )  # fmt: skip

    @property
    def beam_width(self) -> float:
        """The beam."""
        return self.beam


class Inference(ABC):
    """A way to ask energies for answers; made by ``factory(options)``, options a :class:`Search`.

    A plugin that searches otherwise (by sampling, by descent) gives :meth:`search`.
    """

    Options = Search

    def __init__(self, options: Search) -> None:
        self.options = options

    @property
    def beta(self) -> float:
        """Inverse temperature, of training too."""
        return self.options.beta

    @abstractmethod
    def search(
        self, energies: Energies, names: Sequence[str], shift: float
    ) -> list[Found | SeqebmError]:
        """The answer to each item, or why it has none; see :meth:`Energies.search`."""


class Exact(Inference):
    """The answer of least energy, whatever it takes."""

    @torch.no_grad()
    def search(
        self, energies: Energies, names: Sequence[str], shift: float
    ) -> list[Found | SeqebmError]:
        """As the energies search themselves."""
        return energies.search(self.options, names, shift)


class Beam(Exact):
    """The best path among those that stay within a beam of the best partial path."""

    Options = BeamSearch
