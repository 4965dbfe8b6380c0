"""The training loop, on Lightning Fabric."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from seqebm.data import Batch, DataDir, LengthBucketedSampler, collate
from seqebm.errors import ConfigError, DataError
from seqebm.hooks import get_host
from seqebm.inference.terms import Terms
from seqebm.models import Config, Recognizer
from seqebm.models.recognizer import vocabulary_of
from seqebm.training import checkpoints, optimisation, preparation
from seqebm.training.directory import alone_in, claim
from seqebm.training.metrics import EnergyMeter, write_history
from seqebm.training.watch import Watch

logger = logging.getLogger(__name__)

_DIAGNOSED = 64, 256  # training items that a diagnosis looks at, in training and at its end


@dataclass(frozen=True)
class Progress:
    """Where training stands: ``step`` of ``steps`` in ``epoch`` of ``epochs`` (both from 1).

    ``metrics`` is the finished epoch's row, or None within an epoch.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    metrics: dict[str, Any] | None = None


def train(
    config: Config,
    data: str | Path | DataDir | Sequence[str | Path | DataDir],
    exp: str | Path,
    valid: str | Path | DataDir | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Recognizer:
    """Train a recogniser from a data directory; resume if ``exp`` holds checkpoints.

    Args:
        config: what to train and how.
        data: data directory with transcripts, or several; the distinct transcripts are the
            vocabulary.
        exp: experiment directory: config.yaml, metrics.csv, checkpoints/, model.safetensors.
        valid: data directory to report on after each epoch (never trained on).
        progress: called after every optimiser step and epoch.

    Returns the trained model, in evaluation mode.

    Raises:
        ConfigError: ``exp`` was begun with another config or vocabulary, or another training is at
            work in it or in this process.
        DataError: unusable utterances (unless ``training.bad_utterances: skip``), or one answer
            only.
        InfeasibleError: utterances too short for every template of their word.
        ModelError: a checkpoint cannot be written; what was there before still is.
    """
    with alone_in(Path(exp)):
        return _Run(config, data, Path(exp), valid, progress or (lambda _: None)).run()


class _Run:
    """One training run; only :func:`train` makes it."""

    def __init__(
        self,
        config: Config,
        data: str | Path | DataDir | Sequence[str | Path | DataDir],
        exp: Path,
        valid: str | Path | DataDir | None,
        progress: Callable[[Progress], None],
    ) -> None:
        self.config, self.training = config, config.training
        self.exp, self.progress = exp, progress
        if self.training.threads:
            torch.set_num_threads(self.training.threads)
        checkpoints.seed_epoch(self.training.seed, 0)
        source = _load(data)
        self.model = Recognizer(config, vocabulary_of(config, source.texts))
        preparation.check_answers(self.model, source)
        claim(self.exp, config)
        self.train_set = preparation.dataset(self.model, source)
        self.valid_set = (
            preparation.dataset(self.model, _load(valid)) if valid is not None else None
        )
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self.epoch = self.step = 0

    def run(self) -> Recognizer:
        """Initialise or resume, run the epochs, save the model."""
        fabric = preparation.fabric(self.training, self.exp)
        self.device = fabric.device
        self.model.to(self.device)
        self.watch = Watch(
            self.exp / "diagnosis.json", self.train_set, self.training.seed, self.device
        )
        checkpoint = checkpoints.newest(self.exp / "checkpoints")
        if checkpoint is None:
            preparation.initialise(self.model, self.train_set, self.device)
        else:
            self._check_vocabulary(checkpoint)
            self.model.load_tensors(checkpoint.model, str(self.exp))
        optimizer = optimisation.make_optimizer(self.model, self.training)
        self.average = None
        if self.training.average:
            self.average = optimisation.averaged(self.model, self.training.average)
        if checkpoint is not None:
            self._restore(checkpoint, optimizer)
        host = get_host()
        host.hook.seqebm_train_start(exp=self.exp, config=self.config, model=self.model)
        # Fabric wraps the optimiser but not the model: the loss is computed in forward() and
        # nothing is distributed, and the lattice's own methods stay reachable.
        wrapped, optimizer = fabric.setup(self.model, optimizer)
        sampler = LengthBucketedSampler(
            self.train_set.lengths, self.training.batch_size, seed=self.training.seed
        )
        loader = cast(  # the type of a DataLoader is that of its examples, not of its batches
            DataLoader[Batch],
            DataLoader(self.train_set, batch_sampler=sampler, collate_fn=collate),
        )
        if self.epoch == 0:
            self.watch.look(self.model, self.epoch, _DIAGNOSED[0])
        while self.epoch < self.training.epochs and not self._should_stop():
            started = time.monotonic()
            sampler.set_epoch(self.epoch)
            checkpoints.seed_epoch(self.training.seed, self.epoch + 1)
            row = self._train_epoch(fabric, wrapped, optimizer, loader)
            row |= self._validate()
            row["seconds"] = round(time.monotonic() - started, 2)
            try:
                host.hook.seqebm_epoch_end(epoch=self.epoch, metrics=row, model=self.model)
            finally:  # a plugin that fails must not cost the epoch
                self.history.append(row)
                fabric.log_dict({k: v for k, v in row.items() if k != "epoch"}, step=self.epoch)
                self._checkpoint(optimizer)
            self.progress(Progress(self.epoch, self.training.epochs, 0, 0, row))
            if self.epoch & (self.epoch - 1) == 0:  # early and seldom: 1, 2, 4, 8, ...
                self.watch.look(self._evaluated, self.epoch, _DIAGNOSED[0])
        return self._finish()

    def _train_epoch(
        self, fabric: Fabric, model: Any, optimizer: Any, loader: DataLoader[Batch]
    ) -> dict[str, Any]:
        self.model.train()
        meter = EnergyMeter(self.model.loss.margin)
        steps = len(loader)
        for index, batch in enumerate(loader):
            optimisation.set_rate(
                optimizer, optimisation.rate_factor(self.step, steps, self.training)
            )
            batch = batch.to(self.device)
            try:
                losses, terms = model(batch.signal, batch.lengths, batch.targets)
            except ValueError as error:  # a kernel met NaN, or a loss energies it cannot take
                raise DataError(
                    self._diverged(f"{error} (in a batch with {batch.ids[0]})")
                ) from error
            self._check_finite(losses, terms, batch)
            meter.add(losses, terms)
            feasible = torch.isfinite(terms.correct)
            if feasible.any():
                loss = losses[feasible].mean()
                if loss.requires_grad:
                    fabric.backward(loss)
                if self.training.clip_norm:
                    fabric.clip_gradients(
                        model, optimizer, max_norm=self.training.clip_norm,
                        error_if_nonfinite=False,
                    )  # fmt: skip
                optimizer.step()
                optimizer.zero_grad()
                if self.average is not None:
                    self.average.update_parameters(self.model)
                get_host().hook.seqebm_batch_end(
                    epoch=self.epoch, step=self.step, loss=float(loss.detach())
                )
            self.step += 1
            self.progress(Progress(self.epoch + 1, self.training.epochs, index + 1, steps))
        self.epoch += 1
        rate = max(group["lr"] for group in optimizer.param_groups)
        return {"epoch": self.epoch, "learning_rate": round(rate, 8), **meter.row("train")}

    def _check_finite(self, losses: Tensor, terms: Terms, batch: Batch) -> None:
        bad = ~torch.isfinite(losses) & torch.isfinite(terms.correct)
        if bad.any():
            i = int(bad.nonzero()[0])
            raise DataError(
                self._diverged(
                    f"the loss of utterance {batch.ids[i]} is {float(losses[i])} "
                    f"(C = {float(terms.correct[i]):.4g}, I = {float(terms.offending[i]):.4g})"
                )
            )

    def _diverged(self, what: str) -> str:
        return (
            f"epoch {self.epoch + 1}: {what}. If training has diverged, lower "
            "training.learning_rate. The last checkpoint is untouched."
        )

    @property
    def _evaluated(self) -> Recognizer:
        """The model that is validated and kept: the averaged one if weights are averaged."""
        return self.model if self.average is None else cast(Recognizer, self.average.module)

    @torch.no_grad()
    def _validate(self) -> dict[str, Any]:
        if self.valid_set is None:
            return {}
        model = self._evaluated.eval()
        meter = EnergyMeter(model.loss.margin)
        for batch in preparation.batches(self.model, self.valid_set, self.device):
            meter.add(*model(batch.signal, batch.lengths, batch.targets))
        return meter.row("valid")

    def _checkpoint(self, optimizer: Any) -> None:
        row = self.history[-1]
        if "valid_loss" in row and row["valid_loss"] < self.best.get("loss", float("inf")):
            self.best = {"loss": row["valid_loss"], "epoch": self.epoch}
            if self.training.patience:
                self._evaluated.save(self.exp / "best")
        average = dict(self.average.state_dict()) if self.average is not None else {}
        path = checkpoints.Checkpoint(
            self.epoch, self.step, dict(self.model.state_dict()), optimizer.state_dict(),
            self.model.description(), average, self.history, self.best,
        ).save(self.exp / "checkpoints", self.training.keep_checkpoints)  # fmt: skip
        write_history(self.exp / "metrics.csv", self.history)
        get_host().hook.seqebm_checkpoint_saved(path=path, epoch=self.epoch)

    def _check_vocabulary(self, checkpoint: checkpoints.Checkpoint) -> None:
        before = tuple(checkpoint.description["vocabulary"])
        if before != self.model.vocabulary:
            raise ConfigError(
                f"{self.exp} was begun with the vocabulary {', '.join(before)}, but the data now "
                f"has {', '.join(self.model.vocabulary)}: give another --exp"
            )

    def _restore(
        self, checkpoint: checkpoints.Checkpoint, optimizer: torch.optim.Optimizer
    ) -> None:
        optimizer.load_state_dict(checkpoint.optimizer)
        if self.average is not None:
            self.average.load_state_dict(checkpoint.average)
        self.epoch, self.step = checkpoint.epoch, checkpoint.step
        self.history, self.best = checkpoint.history, checkpoint.best
        self.watch.resume()
        logger.info("resuming %s after epoch %d", self.exp, self.epoch)

    def _should_stop(self) -> bool:
        patience, best = self.training.patience, self.best.get("epoch")
        if patience is None or best is None or self.epoch - best < patience:
            return False
        logger.info("no better validation loss since epoch %d: stopping", best)
        return True

    def _finish(self) -> Recognizer:
        model = self._evaluated
        if self.training.patience and (self.exp / "best").exists():
            model = Recognizer.load(self.exp / "best", self.device)
        model.eval().save(self.exp)
        self.watch.look(model, self.epoch, _DIAGNOSED[1])
        get_host().hook.seqebm_train_end(exp=self.exp, model=model)
        return model


def _load(data: str | Path | DataDir | Sequence[str | Path | DataDir]) -> DataDir:
    if isinstance(data, DataDir):
        return data
    if isinstance(data, (str, Path)):
        return DataDir.load(data)
    return DataDir.joined([_load(part) for part in data])
