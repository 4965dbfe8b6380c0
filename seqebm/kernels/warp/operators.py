"""The operators of elastic matching, registered with torch: CPU here, CUDA in ``cuda``.

``ops`` checks what it is given and calls these. Lengths are int64 on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqebm.kernels.machine import cuda_dispatch
from seqebm.kernels.warp import cpu
from seqebm.kernels.warp.checks import refuse_local

# Defined by schema and not by ``custom_op``, which does the same but imports torch's compiler at
# the first call: more than a second, which recognition has no use for.
_RULES = "float beta, float[] steps, float band, float slope"
torch.library.define(
    "seqebm::warp_free_energies",
    f"(Tensor local, Tensor t_lengths, Tensor l_lengths, {_RULES}, bool with_posterior)"
    " -> (Tensor, Tensor)",
)
torch.library.define(
    "seqebm::warp_pair_energies",
    f"(Tensor x, Tensor t_lengths, Tensor y, Tensor l_lengths, {_RULES}, bool with_posterior)"
    " -> (Tensor, Tensor)",
)
torch.library.define(
    "seqebm::warp_feature_energies",
    f"(Tensor x, Tensor x_lengths, Tensor y, Tensor y_lengths, {_RULES}) -> Tensor",
)


@torch.library.impl("seqebm::warp_free_energies", "cpu")
def _free_energies(
    local: Tensor, t_lengths: Tensor, l_lengths: Tensor, beta: float,
    steps: Sequence[float], band: float, slope: float, with_posterior: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Free energies (N, M) of tables (N, M, T, L) and their gradient, or (0,) without it."""
    table = local.detach()
    if not torch.ops.aten.is_non_overlapping_and_dense(table):
        table = table.contiguous()
    posterior = torch.empty_like(table) if with_posterior else table.new_empty(0)
    rules = cpu.Rules(tuple(steps), band, slope)
    energies, bad = cpu.free_energies(
        table.numpy(), t_lengths.numpy(), l_lengths.numpy(), beta, rules,
        posterior.numpy() if with_posterior else None,
    )  # fmt: skip
    if bad.any():
        refuse_local(table, t_lengths, l_lengths, torch.from_numpy(bad))
    return torch.from_numpy(energies).to(table.dtype), posterior


@torch.library.register_fake("seqebm::warp_free_energies")
def _(local, t_lengths, l_lengths, beta, steps, band, slope, with_posterior):
    N, M, _, _ = local.shape
    return local.new_empty(N, M), torch.empty_like(local) if with_posterior else local.new_empty(0)


def _keep_posterior(ctx, inputs, output) -> None:
    energies, posterior = output
    ctx.mark_non_differentiable(posterior)
    ctx.set_materialize_grads(False)  # else a table of zeros comes back for the posterior
    ctx.save_for_backward(torch.isinf(energies), posterior)


@once_differentiable
def _posterior_backward(ctx, energies_gradient, _):
    if energies_gradient is None:
        return (None,) * 8
    infeasible, posterior = ctx.saved_tensors
    # 0 * inf is not a number: a loss of an infeasible pair may send back an infinite gradient.
    factor = energies_gradient.masked_fill(infeasible, 0.0)
    return posterior * factor[:, :, None, None], *([None] * 7)


torch.library.register_autograd(
    "seqebm::warp_free_energies", _posterior_backward, setup_context=_keep_posterior
)


@torch.library.impl("seqebm::warp_feature_energies", "cpu")
def _feature_energies(
    x: Tensor, x_lengths: Tensor, y: Tensor, y_lengths: Tensor, beta: float,
    steps: Sequence[float], band: float, slope: float,
) -> Tensor:  # fmt: skip
    """Free energies (B, M) of inputs (B, T, D) against templates (M, L, D), without gradient."""
    energies = cpu.free_energies_of_features(
        x.detach().contiguous().numpy(), x_lengths.numpy(), y.detach().contiguous().numpy(),
        y_lengths.numpy(), beta, cpu.Rules(tuple(steps), band, slope),
    )  # fmt: skip
    return torch.from_numpy(energies).to(x.dtype)


@torch.library.register_fake("seqebm::warp_feature_energies")
def _(x, x_lengths, y, y_lengths, beta, steps, band, slope):
    return x.new_empty(x.shape[0], y.shape[0])


def offset(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs and templates about a point amid the data, so that their distances stay small, and
    so do rounding errors. The first frames of the templates are used: they are never padding."""
    origin = y.detach()[:, 0].mean(0) if len(y) else y.new_zeros(y.shape[-1])
    return x - origin, y - origin


def squared_factors(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(u, v) with ``u . v = |x - y|**2``, of two features more: one matmul gives all distances."""
    xx, yy = (x * x).sum(-1, keepdim=True), (y * y).sum(-1, keepdim=True)
    u = torch.cat((-2.0 * x, xx, torch.ones_like(xx)), -1)
    return u, torch.cat((y, torch.ones_like(yy), yy), -1)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(P, T, L) between the frames of pairs (P, T, D) and (P, L, D)."""
    u, v = squared_factors(*offset(x.detach(), y.detach()))
    return torch.bmm(u, v.transpose(1, 2))


@torch.library.impl("seqebm::warp_pair_energies", "cpu")
def _pair_energies(
    x: Tensor, t_lengths: Tensor, y: Tensor, l_lengths: Tensor, beta: float,
    steps: Sequence[float], band: float, slope: float, with_posterior: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Free energies (P,), and their gradient to the squared distances (P, T, L), or (0,).

    The table is nobody else's, so the gradient is written over it.
    """
    table = squared_distances(x, y)[None]
    lengths = t_lengths[None].numpy(), l_lengths[None].numpy()
    energies, bad = cpu.free_energies(
        table.numpy(), *lengths, beta, cpu.Rules(tuple(steps), band, slope),
        table.numpy() if with_posterior else None,
    )  # fmt: skip
    if bad.any():
        table = squared_distances(x, y)[None]
        refuse_local(table, t_lengths[None], l_lengths[None], torch.from_numpy(bad))
    found = torch.from_numpy(energies[0]).to(x.dtype)
    return found, table[0] if with_posterior else x.new_empty(0)


@torch.library.register_fake("seqebm::warp_pair_energies")
def _(x, t_lengths, y, l_lengths, beta, steps, band, slope, with_posterior):
    P, T, _ = x.shape
    return x.new_empty(P), x.new_empty((P, T, y.shape[1]) if with_posterior else 0)


def _keep_pairs(ctx, inputs, output) -> None:
    energies, posterior = output
    ctx.mark_non_differentiable(posterior)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(torch.isinf(energies), posterior, inputs[0], inputs[2])


@once_differentiable
def _pairs_backward(ctx, energies_gradient, _):
    if energies_gradient is None:
        return (None,) * 9
    infeasible, posterior, x, y = ctx.saved_tensors
    factor = 2.0 * energies_gradient.masked_fill(infeasible, 0.0)[:, None, None]
    x, y = offset(x, y)

    def slope(own: Tensor, other: Tensor, weights: Tensor) -> Tensor:
        """Of sums of weights (P, own, other) times squared distances."""
        sums = torch.bmm(weights, torch.cat((other, torch.ones_like(other[..., :1])), -1))
        return factor * (own * sums[..., -1:] - sums[..., :-1])

    to_x = slope(x, y, posterior) if ctx.needs_input_grad[0] else None
    to_y = slope(y, x, posterior.transpose(1, 2)) if ctx.needs_input_grad[2] else None
    return to_x, None, to_y, *([None] * 6)


torch.library.register_autograd(
    "seqebm::warp_pair_energies", _pairs_backward, setup_context=_keep_pairs
)


for _name in ("warp_free_energies", "warp_pair_energies", "warp_feature_energies"):
    cuda_dispatch.register(_name)
