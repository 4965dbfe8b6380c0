"""Checks of arguments of the chain's operators: each error names the index and the value."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seqebm.kernels.machine.checks import (
    check_floats,
    check_lengths,
    check_size,
    proper,
    traceable,
    whole_numbers,
)
from seqebm.lengths import valid_frames


def _refuse(name: str, values: Tensor, wrong: Tensor) -> None:
    place = tuple(int(n) for n in wrong.nonzero()[0])
    raise ValueError(
        f"{name}[{', '.join(map(str, place))}] is {float(values[place])}; an energy may be "
        "negative or +inf (impossible), but neither NaN nor -inf"
    )


@traceable(
    "check_chain(Tensor emissions, Tensor lengths, Tensor transitions, Tensor start, Tensor final)"
    " -> Tensor",
    lambda emissions, *_: whole_numbers(len(emissions)),
)
def check_chain(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor
) -> Tensor:
    """Checked lengths. Raises what the public functions say."""
    check_floats("emissions", emissions, 3)
    B, T, S = emissions.shape
    if S < 1:
        raise ValueError("emissions have no labels: the last dimension is 0")
    check_size(T, S)
    check_size(S, S)
    for name, tensor, shape in (
        ("transitions", transitions, (S, S)), ("start", start, (S,)), ("final", final, (S,)),
    ):  # fmt: skip
        check_floats(name, tensor, len(shape))
        if tuple(tensor.shape) != shape or tensor.dtype != emissions.dtype:
            raise ValueError(
                f"{name} {tuple(tensor.shape)} {tensor.dtype} does not fit emissions "
                f"{tuple(emissions.shape)} {emissions.dtype}: expected {shape} of the same type"
            )
        values = tensor.detach()
        if not proper(values):
            _refuse(name, values, torch.isnan(values) | (values == -math.inf))
    checked = check_lengths(lengths, B, T, "lengths")
    values = emissions.detach()
    # One pass over everything is cheap; only when it finds something is padding told from frames.
    if not proper(values):
        wrong = torch.isnan(values) | (values == -math.inf)
        wrong &= valid_frames(checked.to(wrong.device), T)[:, :, None]
        if bool(wrong.any()):
            _refuse("emissions", values, wrong)
    return checked


@traceable(
    "check_labels(Tensor labels, Tensor lengths, Tensor emissions, str name) -> Tensor",
    lambda labels, lengths, emissions, name: torch.empty(
        labels.shape, dtype=torch.int64, device="cpu"
    ),
)
def check_labels(labels: Tensor, lengths: Tensor, emissions: Tensor, name: str) -> Tensor:
    """Labels (B, T) as int64 with 0 beyond each length."""
    B, T, S = emissions.shape
    if labels.shape != (B, T) or labels.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"{name} {tuple(labels.shape)} {labels.dtype} must be whole numbers {(B, T)}, a label "
            "for each frame"
        )
    valid = torch.arange(T) < lengths[:, None]
    labels = labels.detach().to("cpu", torch.int64).masked_fill(~valid, 0)
    wrong = (labels < 0) | (labels >= S)
    if bool(wrong.any()):
        b, t = (int(n) for n in wrong.nonzero()[0])
        raise ValueError(f"{name}[{b}, {t}] is {int(labels[b, t])}; it must be 0 to {S - 1}")
    return labels.contiguous()
