"""Optimisers, learning-rate schedules and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from seqebm.models.config import Training
from seqebm.models.recognizer import Recognizer


def make_optimizer(model: Recognizer, training: Training) -> torch.optim.Optimizer:
    """AdamW or SGD with weight decay on the matrices of the network only.

    Biases, normalisation weights and the lattice's parameters are not decayed: templates are
    points in feature space, and pulling them to the origin would say something about the task.
    """
    lattice = {id(p) for p in cast(nn.Module, model.lattice).parameters()}
    matrices: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    templates: list[nn.Parameter] = []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        if id(parameter) in lattice:
            templates.append(parameter)
        else:
            (matrices if parameter.ndim > 1 else vectors).append(parameter)
    rate = training.learning_rate
    groups = [
        {"params": matrices, "base_lr": rate, "weight_decay": training.weight_decay},
        {"params": vectors, "base_lr": rate, "weight_decay": 0.0},
        {
            "params": templates,
            "base_lr": training.lattice_learning_rate or rate,
            "weight_decay": 0.0,
        },
    ]
    groups = [group for group in groups if group["params"]]
    if not groups:  # nothing to train: an empty optimiser keeps the loop free of special cases
        groups = [{"params": [nn.Parameter(torch.zeros(1))], "base_lr": 0.0}]
    if training.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=training.momentum)
    return torch.optim.AdamW(groups, lr=rate)


def rate_factor(step: int, steps_per_epoch: int, training: Training) -> float:
    """Multiplier of the learning rate at optimiser step ``step`` (from 0).

    A pure function of the step, so that resuming needs no scheduler state.
    """
    warmup = training.warmup_epochs * steps_per_epoch
    total = max(training.epochs * steps_per_epoch, 1)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(total - warmup, 1)
    if training.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    if training.schedule == "linear":
        return max(1 - progress, 0.0)
    return 1.0


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's learning rate to ``factor`` times its base."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


def averaged(model: Recognizer, decay: float) -> AveragedModel:
    """An exponential moving average of the weights (Polyak & Juditsky 1992), buffers included.

    The decay grows to ``decay`` as (1 + n) / (10 + n) over n steps: a short training must not end
    with what it began with still in the average, least of all in the variances of batch norms.
    """

    @torch.no_grad()
    def average(old: Sequence[Tensor], new: Sequence[Tensor], count: Tensor | int) -> None:
        n = float(count)
        share = 1 - min(decay, (1 + n) / (10 + n))
        for mean, value in zip(old, new, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.device), share)
            else:  # a mean of equal integers may come out as one less
                mean.copy_(value)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
