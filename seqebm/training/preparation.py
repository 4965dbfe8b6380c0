"""What happens before the first epoch: device, datasets, statistics, start, feasibility."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers import Logger
from torch import Tensor

from seqebm.data import Batch, DataDir, LengthBucketedSampler, SignalDataset, collate
from seqebm.data.targets import Target
from seqebm.errors import ConfigError, DataError, InfeasibleError
from seqebm.models import Recognizer
from seqebm.models.config import Training

logger = logging.getLogger(__name__)


def fabric(training: Training, exp: Path) -> Fabric:
    """Device, precision and loggers. Raises :class:`ConfigError` for what is not there."""
    loggers: list[Logger] = []
    if training.logger == "tensorboard":
        from lightning_fabric.loggers import TensorBoardLogger

        try:
            loggers.append(TensorBoardLogger(exp, name="tensorboard", version=""))
        except ImportError as error:
            raise ConfigError(
                "training.logger: tensorboard is not installed; "
                "pip install 'seqebm[tensorboard]', or set training.logger: csv"
            ) from error
    precision: Any = training.precision
    try:
        return Fabric(
            accelerator=training.accelerator, devices=1, precision=precision, loggers=loggers
        )
    except (ValueError, RuntimeError) as error:  # Fabric's checks of names and hardware
        raise ConfigError(
            f"training.accelerator {training.accelerator!r}, training.precision "
            f"{precision!r}: {error}"
        ) from error


def check_answers(model: Recognizer, source: DataDir) -> None:
    """Raise :class:`DataError` if there is one answer only, so that any model is right."""
    if model.lattice.answers != "array" and not model.vocabulary:
        raise DataError(
            f"{source.path}: no transcript has a word; write what is said into the file 'text'"
        )
    if model.lattice.answers == "choice" and len(model.vocabulary) == 1:
        raise DataError(
            f"{source.path}: all transcripts are the same ({model.vocabulary[0]}): there is "
            "nothing to tell apart; a recogniser needs two answers"
        )


def dataset(model: Recognizer, source: DataDir) -> SignalDataset:
    """The utterances of a data directory that a model can be trained on.

    Raises :class:`DataError` for files of another kind than its front-end reads, and for utterances
    that cannot be used, unless they shall be skipped.
    """
    frontend = model.frontend
    if source.kind != frontend.reads:
        raise DataError(
            f"{source.path} holds {source.kind}, but the front-end "
            f"{model.config.frontend.name!r} reads {frontend.reads}"
        )
    return SignalDataset(
        source, frontend.rate, limit=frontend.limit, on_bad=model.config.training.bad_utterances,
        check=lambda _, target: _reason(model, target), readers=model.reader_pool(),
    )  # fmt: skip


def _reason(model: Recognizer, target: Target | None) -> str | None:
    """Why a target cannot be trained on, or None."""
    array = model.lattice.answers == "array"
    if target is None or isinstance(target, str) == array:
        return "it has no array in target.scp" if array else "it has no transcript"
    try:
        model.lattice.minimum_frames(target)
    except DataError as error:  # a word that the model does not know
        return str(error)
    return None


def batches(model: Recognizer, data: SignalDataset, device: torch.device) -> Iterator[Batch]:
    """All utterances, in batches of rising length."""
    sampler = LengthBucketedSampler(data.lengths, model.config.training.batch_size, shuffle=False)
    for indices in sampler:
        yield collate([data[i] for i in indices]).to(device)


def initialise(model: Recognizer, data: SignalDataset, device: torch.device) -> None:
    """Global statistics of the front-end, the lattice's starting point, and feasibility.

    Raises:
        ConfigError: ``training.init`` names a model of another vocabulary.
        InfeasibleError: utterances are too short for every path of their target.
    """
    model.eval()
    init = model.config.training.init
    if init is not None:
        _start_from(model, init, device)
    else:
        model.frontend.fit((b.signal, b.lengths) for b in batches(model, data, device))
    features: list[Tensor] = []
    targets: list[Target] = []
    names: list[str] = []
    with torch.no_grad():
        for batch in batches(model, data, device):
            frames, lengths = model.extract(batch.signal, batch.lengths)
            features += [f[:n].cpu() for f, n in zip(frames, lengths.tolist(), strict=True)]
            targets += batch.targets
            names += batch.ids
        if init is None:
            model.lattice.initialise(features, targets)
    infeasible = {
        name: f"{len(own)} feature frames, but {target!r} needs {need}"
        for name, target, own, need in zip(
            names, targets, features, _needs(model, targets), strict=True
        )
        if len(own) < need
    }
    if infeasible:
        _handle_infeasible(model, infeasible, len(data))


def _needs(model: Recognizer, targets: list[Target]) -> list[int]:
    """The fewest frames of each target; of equal transcripts it is found once."""
    fewest = model.lattice.minimum_frames
    known = {text: fewest(text) for text in {t for t in targets if isinstance(t, str)}}
    return [known[t] if isinstance(t, str) else fewest(t) for t in targets]


def _start_from(model: Recognizer, path: str, device: torch.device) -> None:
    """Take the parameters of a trained model: another loss may go on from there."""
    other = Recognizer.load(path, device)
    if other.vocabulary != model.vocabulary:
        raise ConfigError(
            f"training.init: {path} has another vocabulary than this data "
            f"({len(other.vocabulary)} and {len(model.vocabulary)} entries): start from a "
            "model that was trained on the same words"
        )
    model.load_tensors(dict(other.state_dict()), f"training.init: {path}")


def _handle_infeasible(model: Recognizer, infeasible: dict[str, str], count: int) -> None:
    listed = "\n".join(f"  {name}: {why}" for name, why in infeasible.items())
    message = (
        f"{len(infeasible)} of {count} utterances are too short for every "
        f"path of their transcript:\n{listed}"
    )
    every = len(infeasible) == count
    if every or model.config.training.bad_utterances == "raise":
        skip = "" if every else ", or set training.bad_utterances: skip"
        raise InfeasibleError(
            f"{message}\nShorten the templates (lattice.length) or the state sequences "
            f"(lattice.states), lessen the network's strides{skip}."
        )
    logger.warning("%s\nThey add nothing to the loss.", message)
