"""Acyclic graphs as a registered torch operator; :mod:`seqebm.kernels.dag.ops` calls it.

It takes checked arguments.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqebm.kernels.dag.cpu import sweep
from seqebm.kernels.dag.packed import Dags
from seqebm.kernels.machine import cuda_dispatch

torch.library.define(
    "seqebm::dag_free_energies",
    "(Tensor energies, Tensor[] packed, float beta, bool with_posterior) -> (Tensor, Tensor)",
)


@torch.library.impl("seqebm::dag_free_energies", "cpu")
def _free_energies(
    energies: Tensor, packed: list[Tensor], beta: float, with_posterior: bool
) -> tuple[Tensor, Tensor]:
    """Free energies (G,), posteriors (E,) or (0,)."""
    result = sweep(
        Dags(*packed), energies.detach().contiguous().numpy(), beta, with_posterior
    )  # fmt: skip
    return torch.from_numpy(result.free).to(energies.dtype), torch.from_numpy(result.posteriors)


@torch.library.register_fake("seqebm::dag_free_energies")
def _(energies, packed, beta, with_posterior):
    return (
        energies.new_empty(packed[0].shape[0] - 1),
        torch.empty_like(energies) if with_posterior else energies.new_empty(0),
    )


def _keep_posteriors(ctx, inputs, output) -> None:
    free, posteriors = output
    ctx.mark_non_differentiable(posteriors)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(torch.isinf(free), posteriors, inputs[1][0])


@once_differentiable
def _posterior_backward(ctx, gradient, _):
    if gradient is None:
        return None, [None] * 8, None, None
    infeasible, posteriors, offsets = ctx.saved_tensors
    # 0 * inf is not a number: a loss of an infeasible item may send back an infinite gradient.
    factor = gradient.masked_fill(infeasible, 0.0)
    sizes = offsets.diff().to(factor.device)
    each = factor.repeat_interleave(sizes, output_size=posteriors.shape[0])
    return posteriors * each, [None] * 8, None, None


torch.library.register_autograd(
    "seqebm::dag_free_energies", _posterior_backward, setup_context=_keep_posteriors
)


cuda_dispatch.register("dag_free_energies")
