"""Elastic matching as torch operators: differentiable, checked, dispatched by device.

Every function takes lengths, never masks; what lies beyond a length may hold anything and changes
nothing. Free energies are not divided by a path length: the caller divides, by
:meth:`seqebm.kernels.patterns.StepPattern.normaliser`. A pair without any path has free energy
+inf and zero gradients; the caller knows its name and reports it.

At beta = inf the free energy is the least energy, and its gradient is the indicator of the best
path times the step weights. Where steps into a cell tie, the step that the pattern lists first
wins (all built-in patterns list the diagonal first).

Devices: the operators run where their tensors lie, CPU or CUDA (:mod:`seqebm.kernels.warp.cuda`);
lengths may lie anywhere. Anywhere else is an error that says what to do.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seqebm.kernels.machine import cuda_dispatch
from seqebm.kernels.machine.checks import (
    check_beta,
    check_floats,
    check_lengths,
    check_size,
    needs_gradient,
)
from seqebm.kernels.warp import cpu
from seqebm.kernels.warp.checks import check_features, check_local
from seqebm.kernels.warp.operators import offset, squared_factors
from seqebm.kernels.warp.patterns import StepPattern, Window, get_pattern
from seqebm.lengths import valid_frames

METRICS = ("sqeuclidean", "cosine")


def _arguments(
    pattern: str | StepPattern, window: Window | None
) -> tuple[list[float], float, float]:
    chosen = get_pattern(pattern)
    return [float(n) for step in chosen.steps for n in step], *(window or Window()).limits


def _table_energies(
    local: Tensor, t_lengths: Tensor, l_lengths: Tensor, beta: float,
    pattern: str | StepPattern, window: Window | None,
) -> Tensor:  # fmt: skip
    return torch.ops.seqebm.warp_free_energies(
        local, t_lengths, l_lengths, beta, *_arguments(pattern, window), needs_gradient(local)
    )[0]


def free_energy(
    local: Tensor, t_lengths: Tensor, l_lengths: Tensor, beta: float,
    pattern: str | StepPattern, window: Window | None = None,
) -> Tensor:  # fmt: skip
    """Free energy of each pair over all its warping paths.

    Args:
        local: (P, T, L) local energies, float32 or float64, of any sign; +inf is an impossible
            cell. Differentiable: the gradient is the Gibbs posterior times the step weights.
        t_lengths: (P,) valid input frames, 1 to T.
        l_lengths: (P,) valid template frames, 1 to L.
        beta: inverse temperature, > 0; inf for the least energy.
        pattern: step pattern or its name.
        window: None for no window.

    Returns:
        (P,) in the type of ``local``; +inf where no path exists.

    Raises:
        ValueError: beta, a length or a local energy is out of range; it names index and value.
        OverflowError: a table is too large to index.
    """
    check_floats("local", local, 3)
    P, T, L = local.shape
    check_size(T, L)
    beta = check_beta(beta)
    ts = check_lengths(t_lengths, P, T, "t_lengths")[None]
    ls = check_lengths(l_lengths, P, L, "l_lengths")[None]
    return _table_energies(local[None], ts, ls, beta, pattern, window)[0]


def best_path(
    local: Tensor, t_lengths: Tensor, l_lengths: Tensor,
    pattern: str | StepPattern, window: Window | None = None,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """Least energy and best warping path of each pair; ties as in :func:`free_energy`.

    Args:
        local: (P, T, L), see :func:`free_energy`; no gradient flows.
        t_lengths, l_lengths: (P,).

    Returns:
        energies (P,) in the type of ``local``, and P paths, each (n, 2) int64 of cells (input
        frame, template frame) from (0, 0) to the end; (0, 2) where no path exists.

    Raises:
        ValueError, OverflowError: see :func:`free_energy`.
    """
    check_floats("local", local, 3)
    P, T, L = local.shape
    check_size(T, L)
    ts = check_lengths(t_lengths, P, T, "t_lengths")
    ls = check_lengths(l_lengths, P, L, "l_lengths")
    table = local.detach()
    if not torch.ops.aten.is_non_overlapping_and_dense(table):
        table = table.contiguous()
    check_local(table[None], ts[None], ls[None])
    steps, band, slope = _arguments(pattern, window)
    if table.device.type == "cuda":
        cuda = cuda_dispatch.module("warp.cuda")
        energies, paths = cuda.best_paths(table, ts, ls, steps, band, slope)
        return energies.to(local.dtype), paths
    rules = cpu.Rules(tuple(steps), band, slope)
    energies, paths = cpu.best_paths(table.numpy(), ts.numpy(), ls.numpy(), rules)
    return torch.from_numpy(energies).to(local.dtype), [torch.from_numpy(p) for p in paths]


def _unit(features: Tensor) -> Tensor:
    """Frames scaled to length 1; a zero frame stays zero and gets no gradient."""
    norm = features.norm(dim=-1, keepdim=True)
    return features * torch.where(norm > 0, 1.0 / torch.where(norm > 0, norm, 1.0), 0.0)


def _check_metric(metric: str) -> None:
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r} is not one of {', '.join(METRICS)}")


def _factors(x: Tensor, y: Tensor, metric: str) -> tuple[Tensor, Tensor, float]:
    """(u, v, constant) such that the local energy is ``constant + u . v``: one matmul does it."""
    if metric == "cosine":
        return -_unit(x), _unit(y), 1.0
    return *squared_factors(*offset(x, y)), 0.0


def local_energy(x: Tensor, y: Tensor, metric: str = "sqeuclidean") -> Tensor:
    """Local energy of every frame of every input against every frame of every template.

    Args:
        x: (B, T, D); y: (M, L, D); differentiable.
        metric: "sqeuclidean", ``|x - y|**2`` (rounding may leave it a little below 0), or
            "cosine", ``1 - cos(x, y)`` (1 where either is the zero vector).

    Returns:
        (B, M, T, L), in the type of ``x``.

    Raises:
        ValueError: shapes, types or the metric do not fit.
    """
    _check_features_pair(x, y, metric)
    return _lane_energy(x, y, metric)


def _lane_energy(x: Tensor, y: Tensor, metric: str) -> Tensor:
    """(B, M, T, L) with the templates innermost in memory: lanes are then contiguous."""
    u, v, constant = _factors(x, y, metric)
    M, L, D = v.shape
    columns = v.transpose(0, 1).reshape(L * M, D)
    table = torch.matmul(u.reshape(-1, D), columns.t())
    if constant:
        table = table + constant
    return table.view(*x.shape[:2], L, M).permute(0, 3, 1, 2)


def _check_features_pair(x: Tensor, y: Tensor, metric: str) -> None:
    _check_metric(metric)
    check_floats("x", x, 3)
    check_floats("y", y, 3)
    if x.shape[2] != y.shape[2] or x.dtype != y.dtype:
        raise ValueError(
            f"x {tuple(x.shape)} {x.dtype} and y {tuple(y.shape)} {y.dtype} must have the same "
            "number of features and the same type"
        )
    check_size(x.shape[1], y.shape[1])


def _without_padding(features: Tensor, lengths: Tensor) -> Tensor:
    """Padding set to 0, because 0 times whatever it held need not be 0 in the backward pass."""
    if not torch.compiler.is_compiling() and bool((lengths == features.shape[1]).all()):
        return features
    padding = ~valid_frames(lengths.to(features.device), features.shape[1])
    return features.masked_fill(padding[:, :, None], 0.0)


def _squared_form(features: Tensor, metric: str, side: int) -> Tensor:
    """Features whose squared distance is the metric.

    The cosine energy is half the squared distance of unit vectors. A zero frame of an input and
    one of a template get an axis of their own each (``side``), at right angles to all else.
    """
    if metric == "sqeuclidean":
        return features
    norm = features.norm(dim=-1, keepdim=True)
    axes = features.new_zeros(*features.shape[:-1], 2)
    axes[..., side] = (norm[..., 0] == 0).to(features.dtype)
    return torch.cat((_unit(features), axes), -1) * math.sqrt(0.5)


def matrix(
    x: Tensor, x_lengths: Tensor, y: Tensor, y_lengths: Tensor, beta: float,
    pattern: str | StepPattern, window: Window | None = None, metric: str = "sqeuclidean",
) -> Tensor:  # fmt: skip
    """Free energy of every input against every template.

    Under autograd the gradients to ``x`` and ``y`` are exact, and a table (B, M, T, L) is kept.
    Without, local energies are computed where they are consumed: O(L) memory per pair.

    Args:
        x: (B, T, D) inputs, float32 or float64; x_lengths: (B,) valid frames.
        y: (M, L, D) templates; y_lengths: (M,).
        beta, pattern, window: see :func:`free_energy`.
        metric: see :func:`local_energy`.

    Returns:
        (B, M); +inf where no path exists.

    Raises:
        ValueError: beta, a length, a shape or a feature is out of range.
        OverflowError: a table is too large to index.
    """
    _check_features_pair(x, y, metric)
    beta = check_beta(beta)
    ts = check_features("x", x, check_lengths(x_lengths, len(x), x.shape[1], "x_lengths"))
    ls = check_features("y", y, check_lengths(y_lengths, len(y), y.shape[1], "y_lengths"))
    if not needs_gradient(x, y):
        return torch.ops.seqebm.warp_feature_energies(
            _squared_form(x, metric, 0), ts, _squared_form(y, metric, 1), ls, beta,
            *_arguments(pattern, window),
        )  # fmt: skip
    x, y = _without_padding(x, ts), _without_padding(y, ls)
    local = _lane_energy(x, y, metric)
    ts, ls = (n.contiguous() for n in torch.broadcast_tensors(ts[:, None], ls[None, :]))
    if len(y) < cpu.LANES // 2:
        # Too few templates to fill the lanes: let pairs of several inputs share them.
        flat = local.reshape(1, -1, *local.shape[2:])
        energies = _table_energies(
            flat, ts.reshape(1, -1), ls.reshape(1, -1), beta, pattern, window
        )
        return energies.view(len(x), len(y))
    return _table_energies(local, ts, ls, beta, pattern, window)


def pairs(
    x: Tensor, x_lengths: Tensor, y: Tensor, y_lengths: Tensor, beta: float,
    pattern: str | StepPattern, window: Window | None = None, metric: str = "sqeuclidean",
) -> Tensor:  # fmt: skip
    """Free energy of input p against template p, as soft-DTW is used (beta = 1 / gamma).

    Args:
        x: (P, T, D), x_lengths: (P,), y: (P, L, D), y_lengths: (P,); the rest and the errors as
            in :func:`matrix`. Gradients flow to ``x`` and ``y``.

    Returns:
        (P,); +inf where no path exists.
    """
    _check_features_pair(x, y, metric)
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} items and y has {len(y)}; pairs need as many of each")
    beta = check_beta(beta)
    ts = check_features("x", x, check_lengths(x_lengths, len(x), x.shape[1], "x_lengths"))
    ls = check_features("y", y, check_lengths(y_lengths, len(y), y.shape[1], "y_lengths"))
    x, y = _without_padding(x, ts), _without_padding(y, ls)
    x, y = _squared_form(x, metric, 0), _squared_form(y, metric, 1)
    return torch.ops.seqebm.warp_pair_energies(
        x, ts, y, ls, beta, *_arguments(pattern, window), needs_gradient(x, y)
    )[0]
