"""The dense linear chain as registered torch operators; :mod:`seqebm.kernels.chain.ops` calls them.

They take checked arguments: lengths and labels int64 on the CPU, labels 0 beyond a length.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqebm.kernels.chain import cpu
from seqebm.kernels.machine import cuda_dispatch
from seqebm.lengths import valid_frames

torch.library.define(
    "seqebm::chain_free_energies",
    "(Tensor emissions, Tensor lengths, Tensor transitions, Tensor start, Tensor final, float beta,"
    " bool with_posterior) -> (Tensor, Tensor, Tensor)",
)
torch.library.define(
    "seqebm::chain_best_paths",
    "(Tensor emissions, Tensor lengths, Tensor transitions, Tensor start, Tensor final,"
    " Tensor targets, float cost) -> (Tensor, Tensor)",
)
torch.library.define(
    "seqebm::chain_path_energies",
    "(Tensor emissions, Tensor lengths, Tensor labels, Tensor transitions, Tensor start,"
    " Tensor final) -> Tensor",
)


def _model(transitions: Tensor, start: Tensor, final: Tensor) -> cpu.Model:
    return cpu.Model(*(t.detach().contiguous().numpy() for t in (transitions, start, final)))


@torch.library.impl("seqebm::chain_free_energies", "cpu")
def _free_energies(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor,
    beta: float, with_posterior: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Energies (B,), posteriors (B, T, S), counts (B, S, S); the last two (0,) if not wanted."""
    result = cpu.free_energies(
        emissions.detach().contiguous().numpy(), lengths.numpy(),
        _model(transitions, start, final), beta, with_posterior,
    )  # fmt: skip
    energies = torch.from_numpy(result.energies).to(emissions.dtype)
    if result.posteriors is None or result.counts is None:
        return energies, emissions.new_empty(0), emissions.new_empty(0)
    return energies, torch.from_numpy(result.posteriors), torch.from_numpy(result.counts)


@torch.library.register_fake("seqebm::chain_free_energies")
def _(emissions, lengths, transitions, start, final, beta, with_posterior):
    B, T, S = emissions.shape
    if not with_posterior:
        return emissions.new_empty(B), emissions.new_empty(0), emissions.new_empty(0)
    new = emissions.new_empty
    return new(B), new(B, T, S), new(B, S, S)


def _keep_posteriors(ctx, inputs, output) -> None:
    energies, posteriors, counts = output
    ctx.mark_non_differentiable(posteriors, counts)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(torch.isinf(energies), inputs[1], posteriors, counts)


@once_differentiable
def _posterior_backward(ctx, gradient, *_):
    if gradient is None:
        return (None,) * 7
    infeasible, lengths, posteriors, counts = ctx.saved_tensors
    # 0 * inf is not a number: a loss of an infeasible item may send back an infinite gradient.
    factor = gradient.masked_fill(infeasible, 0.0)
    emissions = transitions = start = final = None
    if ctx.needs_input_grad[0]:
        emissions = posteriors * factor[:, None, None]
    if ctx.needs_input_grad[2]:
        transitions = (factor @ counts.flatten(1)).view(counts.shape[1:])
    if ctx.needs_input_grad[3]:
        start = factor @ posteriors[:, 0]
    if ctx.needs_input_grad[4]:
        final = factor @ posteriors[torch.arange(len(lengths)), lengths - 1]
    return emissions, None, transitions, start, final, None, None


torch.library.register_autograd(
    "seqebm::chain_free_energies", _posterior_backward, setup_context=_keep_posteriors
)


@torch.library.impl("seqebm::chain_best_paths", "cpu")
def _best_paths(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, start: Tensor, final: Tensor,
    targets: Tensor, cost: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Energies (B,) and labels (B, T) of best paths; ``targets`` (B, T) or (0, T) to avoid."""
    energies, labels = cpu.best_paths(
        emissions.detach().contiguous().numpy(), lengths.numpy(),
        _model(transitions, start, final), targets.numpy() if len(targets) else None, cost,
    )  # fmt: skip
    return torch.from_numpy(energies).to(emissions.dtype), torch.from_numpy(labels)


@torch.library.register_fake("seqebm::chain_best_paths")
def _(emissions, lengths, transitions, start, final, targets, cost):
    B, T, _ = emissions.shape
    return emissions.new_empty(B), lengths.new_empty(B, T, device=emissions.device)


@torch.library.impl("seqebm::chain_path_energies", "cpu")
def _path_energies(
    emissions: Tensor, lengths: Tensor, labels: Tensor, transitions: Tensor, start: Tensor,
    final: Tensor,
) -> Tensor:  # fmt: skip
    """Energies (B,) of given labellings; labels beyond a length are 0."""
    # By NumPy, whose functions are sooner called: it is little work.
    y, ends = labels.numpy(), lengths.numpy()
    valid = np.arange(y.shape[1]) < ends[:, None]
    scores = np.take_along_axis(emissions.detach().numpy(), y[:, :, None], 2)[:, :, 0]
    total = np.where(valid, scores, 0.0).sum(1, dtype=np.float64)
    pairs = transitions.detach().numpy()[y[:, :-1], y[:, 1:]]
    total += np.where(valid[:, 1:], pairs, 0.0).sum(1, dtype=np.float64)
    total += start.detach().numpy()[y[:, 0]]
    total += final.detach().numpy()[y[np.arange(len(y)), ends - 1]]
    return torch.from_numpy(total).to(emissions.dtype)


def _pairs(labels: Tensor, states: int) -> Tensor:
    """(B, T - 1) places in the flat transitions."""
    return labels[:, :-1] * states + labels[:, 1:]


def _last(labels: Tensor, lengths: Tensor) -> Tensor:
    return labels.gather(1, lengths[:, None] - 1).squeeze(1)


@torch.library.register_fake("seqebm::chain_path_energies")
def _(emissions, lengths, labels, transitions, start, final):
    return emissions.new_empty(emissions.shape[0])


def _keep_labels(ctx, inputs, output) -> None:
    emissions, lengths, labels, *_ = inputs
    ctx.shape = emissions.shape
    ctx.save_for_backward(torch.isinf(output), lengths, labels)


@once_differentiable
def _indicator_backward(ctx, gradient):
    infeasible, lengths, labels = ctx.saved_tensors
    factor = gradient.masked_fill(infeasible, 0.0)
    B, T, S = ctx.shape
    labels = labels.to(factor.device)
    valid = valid_frames(lengths.to(factor.device), T)
    each = torch.where(valid, factor[:, None], 0.0)
    emissions = transitions = start = final = None
    if ctx.needs_input_grad[0]:
        emissions = factor.new_zeros(B, T, S).scatter_(2, labels[:, :, None], each[:, :, None])
    if ctx.needs_input_grad[3]:
        places = _pairs(labels, S).reshape(-1)
        # Added up in float64: a label pair may occur in very many frames.
        sums = torch.zeros(S * S, dtype=torch.float64, device=factor.device)
        sums.index_add_(0, places, each[:, 1:].reshape(-1).double())
        transitions = sums.to(factor.dtype).view(S, S)
    if ctx.needs_input_grad[4]:
        start = factor.new_zeros(S).index_add_(0, labels[:, 0], factor)
    if ctx.needs_input_grad[5]:
        final = factor.new_zeros(S).index_add_(0, _last(labels, lengths.to(factor.device)), factor)
    return emissions, None, None, transitions, start, final


torch.library.register_autograd(
    "seqebm::chain_path_energies", _indicator_backward, setup_context=_keep_labels
)

for _name in ("chain_free_energies", "chain_best_paths", "chain_path_energies"):
    cuda_dispatch.register(_name)
