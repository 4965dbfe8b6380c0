"""Recognise isolated words in files or data directories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqebm.data import ReaderPool, Utterance, collate
from seqebm.data.batching import Example
from seqebm.errors import DataError, InfeasibleError, SeqebmError
from seqebm.lattices.answers import free_energy
from seqebm.models import Recognizer


@dataclass(frozen=True)
class Recognition:
    """The answer to one utterance.

    Attributes:
        id: utterance id (the file's path, for files given by hand).
        word: the answer of lowest energy.
        energy: its energy.
        margin: energy of the runner-up minus energy; infinite if there is none.
        runner_up: the second-best answer, None if there is none.
        confidence: Gibbs probability of the answer at the model's β (at β = ∞: of β = 1).
        energies: energy of every answer, lowest first; infeasible ones are left out.
    """

    id: str
    word: str
    energy: float
    margin: float
    runner_up: str | None
    confidence: float
    energies: dict[str, float]

    @property
    def text(self) -> str:
        """The answer, by the name that it has for strings of words, too."""
        return self.word

    def as_dict(self) -> dict[str, Any]:
        """For JSON (an infinite margin becomes None)."""
        values = asdict(self)
        if self.runner_up is None:
            values["margin"] = None
        return values


def read_example(
    model: Recognizer, utterance: Utterance, pool: ReaderPool | None = None
) -> Example:
    """Read one utterance as the model's front-end wants it. Raises :class:`DataError`.

    ``pool`` saves making the readers anew for every utterance.
    """
    frontend = model.frontend
    pool = pool or ReaderPool(frontend.reads)
    samples = pool.for_path(utterance.path).read(
        utterance.path, frontend.rate, utterance.start, utterance.stop, frontend.limit
    )
    return Example(utterance.id, torch.from_numpy(samples), utterance.text, utterance.speaker)


def files_as_utterances(paths: Sequence[Path]) -> list[Utterance]:
    """One utterance per file, named by its path."""
    return [Utterance(str(path), path) for path in paths]


@torch.no_grad()
def recognise(
    model: Recognizer, utterances: Sequence[Utterance], batch_size: int = 32
) -> Iterator[Recognition | SeqebmError]:
    """Recognise utterances in order.

    A bad utterance gives its error in place of an answer, so that one corrupt file does not cost
    the others; the caller decides what to do with it.
    """
    model.eval()
    pool = ReaderPool(model.frontend.reads)
    for first in range(0, len(utterances), batch_size):
        results: list[Recognition | SeqebmError | None] = []
        good: list[Example] = []
        for utterance in utterances[first : first + batch_size]:
            try:
                good.append(read_example(model, utterance, pool))
                results.append(None)
            except DataError as error:
                results.append(error)
        answers = iter(_recognise_batch(model, good) if good else [])
        for result in results:
            yield next(answers) if result is None else result


def _recognise_batch(model: Recognizer, examples: list[Example]) -> list[Recognition | SeqebmError]:
    batch = collate(examples)
    try:
        answers = model.answers(batch.signal, batch.lengths)
    except ValueError as error:  # the kernels refuse NaN
        return [
            SeqebmError(f"{name}: the model cannot be used, its training went wrong: {error}")
            for name in batch.ids
        ]
    return [
        _answer(model, name, energies)
        for name, energies in zip(batch.ids, answers.energies.double().cpu(), strict=True)
    ]


def _answer(model: Recognizer, name: str, energies: Tensor) -> Recognition | SeqebmError:
    if torch.isnan(energies).any():
        return SeqebmError(f"{name}: its energies are NaN; the model's training went wrong")
    order = [i for i in energies.argsort(stable=True).tolist() if torch.isfinite(energies[i])]
    if not order:
        need = min(model.lattice.minimum_frames(word) for word in model.vocabulary)
        shift = model.frontend.frame_shift * model.features.subsampling
        return InfeasibleError(
            f"{name}: too short: no word's template can be warped onto it; the model needs at "
            f"least {need} feature frames (about {need * shift:.2f} s). Give a longer recording."
        )
    beta = model.beta if model.beta != float("inf") else 1.0
    best = energies[order[0]]
    return Recognition(
        id=name,
        word=model.vocabulary[order[0]],
        energy=float(best),
        margin=float(energies[order[1]] - best) if len(order) > 1 else float("inf"),
        runner_up=model.vocabulary[order[1]] if len(order) > 1 else None,
        confidence=float(torch.exp(-beta * (best - free_energy(energies, beta)))),
        energies={model.vocabulary[i]: float(energies[i]) for i in order},
    )
