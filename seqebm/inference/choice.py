"""Answers that can be listed: isolated words, characters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from seqebm.errors import InfeasibleError, SeqebmError
from seqebm.inference.energies import Energies, Single
from seqebm.inference.found import Aligned, Found, Scored, Segment, Segments
from seqebm.inference.free_energy import finite, free_energy
from seqebm.inference.terms import Request

if TYPE_CHECKING:
    from seqebm.inference.search import Search


class Choice(Energies):
    """One of W listed answers for each item; an answer is its place in the list.

    An answer is one position: the cost of a wrong one is 1, Hamming's and the edit distance's
    alike, and the risk is the probability of all wrong ones.

    Args:
        energies: β -> ``(B, W)`` free energies of the answers, each over its latent variable;
            +inf is impossible. Called once for each β.
        lengths: ``(B,)`` valid frames.
        names: of the W answers, for the alignment; None: their places.
        fewest: the fewest frames with which any answer is possible, for a message.
    """

    eager = True

    def __init__(
        self,
        energies: Callable[[float], Tensor],
        lengths: Tensor,
        names: Sequence[str] | None = None,
        fewest: Callable[[], int] = lambda: 1,
    ) -> None:
        self._energies, self.lengths, self._fewest = energies, lengths, fewest
        self.names = names
        self._known: dict[float, Tensor] = {}

    def values(self, beta: float) -> Tensor:
        """``(B, W)`` free energy of every answer."""
        if beta not in self._known:
            self._known[beta] = self._energies(beta)
        return self._known[beta]

    def _derived(self, change: Callable[[Tensor], Tensor]) -> Choice:
        return Choice(
            lambda beta: change(self.values(beta)), self.lengths, self.names, self._fewest
        )

    @property
    def items(self) -> int:
        """Number of items, B."""
        return len(self.lengths)

    def free_energy(self, beta: float) -> Tensor:
        """``(B,)`` F_β over all answers."""
        return free_energy(self.values(beta), beta)

    def clamped(self, targets: Sequence[int]) -> Single:
        """The energy of each item's target."""
        return Single(lambda beta: _pick(self.values(beta), targets), targets)

    def rivals(self, targets: Sequence[int]) -> Choice:
        """All answers but the target."""
        return self._derived(lambda values: values.scatter(1, _column(targets, values), math.inf))

    def costly(self, targets: Sequence[int], request: Request) -> Choice:
        """All answers, a wrong one lower by ``request.scale``."""

        def lower(values: Tensor) -> Tensor:
            wrong = torch.ones_like(values).scatter(1, _column(targets, values), 0.0)
            return values - request.scale * wrong

        return self._derived(lower)

    def part(self, items: Sequence[int]) -> Choice:
        """Some of the items, which may be repeated."""
        index = torch.tensor(items)
        return Choice(
            lambda beta: self.values(beta)[index], self.lengths[index], self.names, self._fewest
        )

    def double(self) -> Choice:
        """The same in double precision."""
        return self._derived(Tensor.double)

    def least(self, beta: float) -> Tensor:
        """``(B,)`` F_β of the best answer: listed answers compete by their free energies."""
        return self.values(beta).amin(1)

    def risk(self, targets: Sequence[int], beta: float, request: Request) -> Tensor:
        """``(B,)`` probability of all wrong answers; at β = ∞ whether one is below the target."""
        energies = self.values(beta)
        correct = _pick(energies, targets)
        others = free_energy(energies.scatter(1, _column(targets, energies), math.inf), beta)
        if math.isfinite(beta):
            return torch.sigmoid(beta * (correct - others))
        return (others < correct).to(energies.dtype) + 0 * energies.amin(1)

    def posteriors(self, beta: float) -> tuple[Tensor, Tensor]:
        """``(B,)`` F_β and ``(B, W)`` probabilities of the answers."""
        free = self.free_energy(beta).detach()
        share = torch.exp(-finite(beta) * (self.values(beta).detach() - free[:, None]))
        return free, share / share.sum(1, keepdim=True)

    def best(self, n: int = 1, beta: float = math.inf) -> list[list[Scored]]:
        """For each item the ``n`` answers of least F_β, least first."""
        return [
            [Scored(w, float(row[w])) for w in _order(row)[:n]]
            for row in self.values(beta).detach().double().cpu()
        ]

    def search(self, how: Search, names: Sequence[str], shift: float) -> list[Found | SeqebmError]:
        """The answer of least F_β to each item; all others are its alternatives."""
        how.refuse_beams(type(self).__name__)
        energies = self.values(how.beta).detach().double().cpu()
        return [
            self._answer(name, row, how, shift) for name, row in zip(names, energies, strict=True)
        ]

    def _answer(self, name: str, row: Tensor, how: Search, shift: float) -> Found | SeqebmError:
        if torch.isnan(row).any():
            return SeqebmError(f"{name}: its energies are NaN; the model's training went wrong")
        order = _order(row)
        if not order:
            need = self._fewest()
            return InfeasibleError(
                f"{name}: too short: no word's template can be warped onto it; the model needs at "
                f"least {need} feature frames (about {need * shift:.2f} s). Give a longer "
                "recording."
            )
        best = row[order[0]]
        beta = finite(how.beta)
        return Found(
            order[0],
            float(best),
            float(torch.exp(-beta * (best - free_energy(row, beta)))),
            alternatives=tuple(Scored(w, float(row[w])) for w in order),
        )

    def align(
        self, values: Sequence[int], names: Sequence[str], shift: float
    ) -> list[Aligned | SeqebmError]:
        """Each answer spans all frames of its item."""
        energies = _pick(self.values(math.inf), values).tolist()
        found: list[Aligned | SeqebmError] = []
        for name, value, energy, frames in zip(
            names, values, energies, self.lengths.tolist(), strict=True
        ):
            if not math.isfinite(energy):
                found.append(
                    InfeasibleError(
                        f"{name}: {frames} feature frames ({frames * shift:.2f} s) do not fit the "
                        "answer. If it is cut off, give a longer recording."
                    )
                )
                continue
            label = str(value) if self.names is None else self.names[value]
            whole = (Segment(label, 0, frames),)
            found.append(Aligned(energy, Segments(whole, whole)))
        return found


def _column(targets: Sequence[Any], values: Tensor) -> Tensor:
    return torch.tensor(list(targets), device=values.device)[:, None]


def _pick(values: Tensor, targets: Sequence[int]) -> Tensor:
    return values.gather(1, _column(targets, values)).squeeze(1)


def _order(row: Tensor) -> list[int]:
    """Places of the possible answers, the one of least energy first."""
    return [w for w in row.argsort(stable=True).tolist() if torch.isfinite(row[w])]
