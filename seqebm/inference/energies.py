"""Energies: the set of all answers Y and latent variables Z of one batch, with their energies.

A lattice that meets features gives it. Everything that training, decoding and diagnosis ask of a
model's answers is a method here, so that what learns with one kind of lattice learns with all.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from seqebm.errors import DataError, InfeasibleError, SeqebmError, UnsupportedError
from seqebm.inference.found import Aligned, Found, Scored
from seqebm.inference.free_energy import finite
from seqebm.inference.risk import expected_cost
from seqebm.inference.terms import Request, Terms

if TYPE_CHECKING:
    from seqebm.inference.search import Search


class Energies(ABC):
    """All answers of B items, with the energies of each answer's latent variables.

    A subclass gives ``items``, :meth:`free_energy`, :meth:`clamped` and :meth:`best`, and what it
    can of the others; what it cannot is refused with :class:`UnsupportedError`. ``targets`` and
    values are answers as the lattice's ``parse`` makes them and its ``text`` takes them.
    """

    #: Whether all numbers of :meth:`terms` are there at no cost once one is: then all are given.
    eager = False

    @property
    @abstractmethod
    def items(self) -> int:
        """Number of items, B."""

    @abstractmethod
    def free_energy(self, beta: float) -> Tensor:
        """``(B,)`` F_β over all answers and latent variables, differentiable.

        +inf where nothing is possible. The gradient is the posterior of what carries an energy.
        Answers that cannot be summed over (a continuum) raise :class:`UnsupportedError`.
        """

    @abstractmethod
    def clamped(self, targets: Sequence[Any]) -> Energies:
        """Of each item only the target and its latent variables.

        Raises :class:`DataError` for a target that is no answer.
        """

    @abstractmethod
    def best(self, n: int = 1, beta: float = math.inf) -> list[list[Scored]]:
        """For each item the ``n`` answers of least energy, least first; no gradient.

        There are fewer where there are fewer, none where nothing is possible. The energy of an
        answer is that of its best latent variable; where all answers are listed, its F_β.
        """

    def rivals(self, targets: Sequence[Any]) -> Energies:
        """All answers but the target."""
        raise self._cannot("tell all answers but one (rivals)")

    def costly(self, targets: Sequence[Any], request: Request) -> Energies:
        """All answers, less ``request.scale`` times their cost to the target."""
        raise self._cannot(f"add the cost {request.cost!r} of an answer")

    def including(self, targets: Sequence[Any]) -> Energies:
        """The same with the targets among the answers; where answers are all there, they are."""
        return self

    def part(self, items: Sequence[int]) -> Energies:
        """Some of the items, which may be repeated."""
        raise self._cannot("be split into its items (part)")

    def posteriors(self, beta: float) -> tuple[Tensor, ...]:
        """``(B,)`` F_β, and then the Gibbs probabilities of what answers consist of; no gradient.

        What that is, each kind says: answers ``(B, W)``, or classes at each frame ``(B, T, C)``.
        """
        raise self._cannot("give posteriors")

    def double(self) -> Energies:
        """The same in double precision, differentiable."""
        raise self._cannot("be computed in double precision")

    def least(self, beta: float) -> Tensor:
        """``(B,)`` F_β of the answer that has the least energy; +inf where there is none.

        Of :meth:`rivals` it is the energy of the most offending incorrect answer.
        """
        answers = [own[0].value if own else None for own in self.best()]
        known = [b for b, answer in enumerate(answers) if answer is not None]
        if not known:
            return torch.full((self.items,), math.inf)
        own = self.part(known).clamped([answers[b] for b in known]).free_energy(beta)
        index = torch.tensor(known, device=own.device)
        return own.new_full((self.items,), math.inf).index_put((index,), own)

    def risk(self, targets: Sequence[Any], beta: float, request: Request) -> Tensor:
        """``(B,)`` expected cost of an answer, differentiable: see :mod:`seqebm.inference.risk`."""
        exact = self.double()
        return expected_cost(
            lambda s: exact.costly(targets, request._replace(scale=s)).free_energy(beta), beta
        )

    @final
    def terms(self, targets: Sequence[Any], beta: float, request: Request = Request()) -> Terms:
        """The three numbers of each item; those that ``request`` leaves out may be NaN.

        The most offending answer is exact: what has the least energy among all others, whatever
        their number. Its energy is F_β over its latent variables, as the right one's is.

        Args:
            targets: the right answer of each item.
            beta: inverse temperature; inf is legal.
            request: which numbers, and what cost they are augmented by.

        Raises :class:`DataError` for a wrong number of targets or one that is no answer,
        :class:`UnsupportedError` for a number that these energies cannot give.
        """
        if len(targets) != self.items:
            raise DataError(f"{len(targets)} targets for {self.items} items")
        correct = self.clamped(targets).free_energy(beta)
        contrastive = offending = torch.full_like(correct, math.nan)
        wanted = request.contrastive or request.offending or self.eager
        costs = request.cost is not None and request.scale != 0
        every = self.including(targets) if wanted else self
        if costs and wanted:
            every = every.costly(targets, request)
        if request.contrastive or self.eager:
            contrastive = every.free_energy(beta)
        if request.offending or self.eager:
            # The rivals come last: the product with a cost keeps all answers.
            offending = every.rivals(targets).least(beta).to(correct)
        risk = None
        if request.risk:
            risk = self.risk(targets, beta, request).to(correct.dtype)
        return Terms(correct, contrastive, offending, beta, risk)

    def search(self, how: Search, names: Sequence[str], shift: float) -> list[Found | SeqebmError]:
        """The answer to each item, or why it has none; no gradient.

        Args:
            how: what is wanted besides the best answer.
            names: B names of the items, for messages.
            shift: seconds between frames, for messages.

        Raises :class:`ConfigError` for something in ``how`` that these energies do not have,
        ValueError if they are NaN.
        """
        how.refuse_beams(type(self).__name__)
        found: list[Found | SeqebmError] = []
        free = None
        if how.confident:
            try:
                free = self.free_energy(finite(how.beta))
            except UnsupportedError:  # a continuum has no probabilities
                free = None
        best = self.best(1, how.beta)
        more = self.best(how.nbest, how.beta) if how.nbest > 1 else best
        for b, (name, own) in enumerate(zip(names, best, strict=True)):
            if not own:
                found.append(InfeasibleError(f"{name}: no answer is possible"))
                continue
            confidence = None
            if free is not None:
                above = max(0.0, own[0].energy - float(free[b]))
                confidence = math.exp(-finite(how.beta) * above)
            found.append(
                Found(
                    own[0].value, own[0].energy, confidence,
                    alternatives=tuple(more[b]) if how.nbest else (),
                )
            )  # fmt: skip
        return found

    def align(
        self, values: Sequence[Any], names: Sequence[str], shift: float
    ) -> list[Aligned | SeqebmError]:
        """Where the parts of known answers are; arguments as of :meth:`search`.

        Raises :class:`UnsupportedError` where an answer has no parts in time.
        """
        raise self._cannot("align an answer with its frames")

    def _cannot(self, what: str) -> UnsupportedError:
        return UnsupportedError(f"these energies ({type(self).__name__}) cannot {what}")


class Single(Energies):
    """One answer for each item: what is left when all others are clamped away.

    Args:
        energies: β -> ``(B,)`` F_β of the answer.
        values: the answers.
    """

    def __init__(self, energies: Callable[[float], Tensor], values: Sequence[Any]) -> None:
        self.energies, self.values = energies, tuple(values)

    @property
    def items(self) -> int:
        """Number of items, B."""
        return len(self.values)

    def free_energy(self, beta: float) -> Tensor:
        """``(B,)`` the answer's."""
        return self.energies(beta)

    def clamped(self, targets: Sequence[Any]) -> Single:
        """Itself: there is no other answer."""
        return self

    def part(self, items: Sequence[int]) -> Single:
        """Some of the items."""
        index = torch.tensor(items)
        return Single(lambda beta: self.energies(beta)[index], [self.values[b] for b in items])

    def best(self, n: int = 1, beta: float = math.inf) -> list[list[Scored]]:
        """The answer, where it is possible."""
        energies = self.energies(beta).tolist()
        return [
            [Scored(value, energy)] if math.isfinite(energy) else []
            for value, energy in zip(self.values, energies, strict=True)
        ]
