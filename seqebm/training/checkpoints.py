"""Checkpoints: everything that a rerun needs to go on as if it had not been interrupted.

Randomness needs no saving: every epoch is seeded from (seed, epoch).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqebm.errors import ModelError
from seqebm.models import storage

logger = logging.getLogger(__name__)


@dataclass
class Checkpoint:
    """The state of a training run after ``epoch`` whole epochs.

    Attributes:
        epoch: epochs done.
        step: optimiser steps done.
        history: one row of metrics per epoch.
        best: lowest validation loss so far and its epoch (for early stopping).
        model, average: state dicts; ``average`` is empty unless weights are averaged.
        optimizer: an optimiser's state dict.
        description: :meth:`Recognizer.description`.
    """

    epoch: int
    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    description: dict[str, Any]
    average: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)

    def save(self, directory: Path, keep: int) -> Path:
        """Write ``epoch-NNNN.safetensors`` atomically, then drop all but the ``keep`` newest."""
        path = directory / f"epoch-{self.epoch:04d}.safetensors"
        tensors = {f"model/{k}": v for k, v in self.model.items()}
        tensors |= {f"average/{k}": v for k, v in self.average.items()}
        scalars: dict[str, dict[str, Any]] = {}
        for index, state in self.optimizer["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer/{index}/{key}"] = value
                else:
                    scalars.setdefault(str(index), {})[key] = value
        storage.write(
            path,
            tensors,
            {
                "model": self.description,
                "epoch": self.epoch,
                "step": self.step,
                "history": self.history,
                "best": self.best,
                "optimizer_groups": self.optimizer["param_groups"],
                "optimizer_scalars": scalars,
            },
        )
        # Drop old ones, and what a killed run had not finished writing.
        for old in [*_paths(directory)[:-keep], *directory.glob(".epoch-*.part")]:
            old.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint. Raises :class:`ModelError`."""
        tensors, notes = storage.read(path)
        try:
            return cls._from(tensors, notes)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{path}: no whole checkpoint ({type(error).__name__}: {error}); it is damaged, or "
                "a model file."
            ) from error

    @classmethod
    def _from(cls, tensors: dict[str, Tensor], notes: dict[str, Any]) -> Checkpoint:
        """Take apart what :meth:`save` puts together."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = tensor
        state: dict[int, dict[str, Any]] = {}
        for name, tensor in parts["optimizer"].items():
            index, _, key = name.partition("/")
            state.setdefault(int(index), {})[key] = tensor
        for index, values in notes["optimizer_scalars"].items():
            state.setdefault(int(index), {}).update(values)
        return cls(
            notes["epoch"],
            notes["step"],
            parts["model"],
            {"state": state, "param_groups": notes["optimizer_groups"]},
            notes["model"],
            parts["average"],
            notes["history"],
            notes["best"],
        )


def _paths(directory: Path) -> list[Path]:
    return sorted(directory.glob("epoch-*.safetensors"))


def newest(directory: Path) -> Checkpoint | None:
    """The newest readable checkpoint; a damaged one is reported and the one before is used.

    None if there is none, or none that can be read.
    """
    paths = _paths(directory)
    for index in reversed(range(len(paths))):
        try:
            return Checkpoint.load(paths[index])
        except ModelError as error:
            remedy = f"{paths[index - 1].name} is used" if index else "training starts anew"
            logger.warning("%s Here, %s.", error, remedy)
    return None


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed torch for one epoch, so that a resumed run draws what an uninterrupted one would."""
    torch.manual_seed(seed * 1_000_003 + epoch)
