"""The trellis as registered torch operators; :mod:`seqebm.kernels.trellis.ops` calls them.

They take checked arguments: lengths and graphs int64 on the CPU, the packed graphs joined.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqebm.kernels.machine import cuda_dispatch
from seqebm.kernels.trellis import cpu
from seqebm.kernels.trellis.packed import split

torch.library.define(
    "seqebm::trellis_free_energies",
    "(Tensor emissions, Tensor lengths, Tensor wide, Tensor flat, Tensor graph_of,"
    " Tensor energies, float beta, bool with_posterior, bool with_counts)"
    " -> (Tensor, Tensor, Tensor)",
)
# Products with the gradient of the free energies. NumPy does them: see doubles.
torch.library.define(
    "seqebm::trellis_emission_gradient", "(Tensor posterior, Tensor factor) -> Tensor"
)
torch.library.define(
    "seqebm::trellis_entry_gradient",
    "(Tensor counts, Tensor factor, Tensor graph_of, Tensor wide, Tensor like) -> Tensor",
)


def doubles(values: Tensor) -> NDArray[np.float64]:
    """A dense float64 array on the CPU: its kernels are compiled for this type alone.

    By NumPy, whose functions are sooner called than torch's.
    """
    return np.ascontiguousarray(values.detach().cpu().numpy(), np.float64)


@torch.library.impl("seqebm::trellis_free_energies", "cpu")
def _free_energies(
    emissions: Tensor, lengths: Tensor, wide: Tensor, flat: Tensor, graph_of: Tensor,
    energies: Tensor, beta: float, with_posterior: bool, with_counts: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Free energies (B,), posteriors (B, T, C) or (0,), counts of all entries of all items or (0,).

    ``wide`` and ``flat`` are a :class:`Packed`, joined.
    """
    sums = cpu.free_energies(
        split(wide.numpy(), flat.numpy()), graph_of.numpy(), doubles(emissions), lengths.numpy(),
        doubles(energies), beta, with_posterior, with_counts,
    )  # fmt: skip
    dtype = emissions.detach().numpy().dtype
    none = np.empty(0)
    return (
        torch.from_numpy(sums.free.astype(dtype)),
        torch.from_numpy((none if sums.posterior is None else sums.posterior).astype(dtype)),
        torch.from_numpy((none if sums.counts is None else sums.counts).astype(dtype)),
    )


@torch.library.register_fake("seqebm::trellis_free_energies")
def _(emissions, lengths, wide, flat, graph_of, energies, beta, with_posterior, with_counts):
    size = torch.library.get_ctx().new_dynamic_size() if with_counts else 0
    return (
        emissions.new_empty(emissions.shape[0]),
        torch.empty_like(emissions, memory_format=torch.contiguous_format)
        if with_posterior
        else emissions.new_empty(0),
        emissions.new_empty(size),
    )


@torch.library.impl("seqebm::trellis_emission_gradient", "cpu")
def _emission_gradient(posterior: Tensor, factor: Tensor) -> Tensor:
    """Gradient (B, T, C) of the emissions: the posteriors times ``factor`` (B,) of each item."""
    return torch.from_numpy(posterior.numpy() * factor.numpy()[:, None, None])


@torch.library.register_fake("seqebm::trellis_emission_gradient")
def _(posterior, factor):
    return torch.empty_like(posterior)


@torch.library.impl("seqebm::trellis_entry_gradient", "cpu")
def _entry_gradient(
    counts: Tensor, factor: Tensor, graph_of: Tensor, wide: Tensor, like: Tensor
) -> Tensor:
    """Gradient (E,) of the entries: the counts of each item times its ``factor`` (B,).

    ``wide`` begins with the offsets of the entries.
    """
    total = np.zeros(like.shape[0], counts.numpy().dtype)
    own, offsets = counts.numpy(), wide.numpy()
    place = 0
    for graph, weight in zip(graph_of.tolist(), factor.numpy(), strict=True):
        first, last = offsets[graph], offsets[graph + 1]
        if weight != 0.0:
            total[first:last] += own[place : place + last - first] * weight
        place += last - first
    return torch.from_numpy(total).to(like.dtype)


@torch.library.register_fake("seqebm::trellis_entry_gradient")
def _(counts, factor, graph_of, wide, like):
    return torch.empty_like(like)


def _keep(ctx, inputs, output) -> None:
    _, _, wide, _, graph_of, energies, _, ctx.with_posterior, ctx.with_counts = inputs
    free, posterior, counts = output
    ctx.mark_non_differentiable(posterior, counts)
    ctx.set_materialize_grads(False)  # else a table of zeros comes back for the posterior
    ctx.save_for_backward(torch.isinf(free), posterior, counts, graph_of, wide, energies)


@once_differentiable
def _backward(ctx, free_gradient, *_):
    if free_gradient is None:
        return (None,) * 9
    infeasible, posterior, counts, graph_of, wide, energies = ctx.saved_tensors
    # 0 * inf is not a number: a loss of an infeasible item may send back an infinite gradient.
    factor = free_gradient.masked_fill(infeasible, 0.0)
    to_emissions, to_energies = None, None
    if ctx.with_posterior:
        to_emissions = torch.ops.seqebm.trellis_emission_gradient(posterior, factor)
    if ctx.with_counts:
        to_energies = torch.ops.seqebm.trellis_entry_gradient(
            counts, factor, graph_of, wide, energies
        )
    return to_emissions, None, None, None, None, to_energies, None, None, None


for _name in (
    "trellis_free_energies", "trellis_emission_gradient", "trellis_entry_gradient"
):  # fmt: skip
    cuda_dispatch.register(_name)

torch.library.register_autograd("seqebm::trellis_free_energies", _backward, setup_context=_keep)
