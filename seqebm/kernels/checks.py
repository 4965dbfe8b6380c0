"""Checks of what callers hand to the kernels: each error names the index and the value."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seqebm.lengths import valid_frames

#: Longest sequence, in frames. Lanes of float32 compare whole numbers exactly up to here, and a
#: device kernel may index one table with 32 bits.
MAX_FRAMES = 1 << 24
MAX_TABLE = 1 << 31

#: Least inverse temperature: below it, 1 / beta times a logarithm may leave the float32 range.
MIN_BETA = 1e-30


def check_beta(beta: float) -> float:
    """``beta`` as a float; ValueError unless it is positive (inf is legal)."""
    value = float(beta)
    if math.isnan(value) or value < MIN_BETA:
        raise ValueError(f"beta is {beta}; it must be at least {MIN_BETA}, inf for the minimum")
    return value


def check_lengths(lengths: Tensor, count: int, frames: int, name: str) -> Tensor:
    """Lengths (count,) as int64 on the CPU; ValueError unless each is in 1 .. frames."""
    if not isinstance(lengths, Tensor):
        lengths = torch.as_tensor(lengths)
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise ValueError(f"{name} has dtype {lengths.dtype}; lengths are whole numbers of frames")
    if lengths.shape != (count,):
        raise ValueError(f"{name} has shape {tuple(lengths.shape)}, expected ({count},)")
    lengths = lengths.detach().to("cpu", torch.int64).contiguous()
    wrong = ((lengths < 1) | (lengths > frames)).nonzero()
    if len(wrong):
        index = int(wrong[0])
        raise ValueError(
            f"{name}[{index}] is {int(lengths[index])}; it must be 1 to {frames}, "
            "the number of frames with padding"
        )
    return lengths


def check_size(T: int, L: int) -> None:
    """OverflowError when a table of T x L cells is beyond what the kernels index."""
    if T > MAX_FRAMES or L > MAX_FRAMES or T * L >= MAX_TABLE:
        raise OverflowError(
            f"a table of {T} x {L} cells is too large: at most {MAX_FRAMES} frames a side and "
            f"{MAX_TABLE} cells; split the sequence or use fewer frames a second"
        )


def check_floats(name: str, tensor: Tensor, dimensions: int) -> None:
    """ValueError unless the tensor is float32 or float64 and has that many dimensions."""
    if tensor.dim() != dimensions:
        shape = tuple(tensor.shape)
        raise ValueError(f"{name} has shape {shape}, expected {dimensions} dimensions")
    if tensor.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name} has dtype {tensor.dtype}; the kernels take float32 or float64")
    if tensor.device.type not in ("cpu", "cuda"):
        raise ValueError(
            f"{name} is on {tensor.device}; there are kernels for CPU and CUDA: call {name}.cpu() "
            "first (gradients flow back through it)"
        )


def check_features(name: str, features: Tensor, lengths: Tensor) -> None:
    """ValueError that names the first valid frame (batch item, frame, feature) not finite."""
    # One pass over everything is cheap; only when it fails is padding told from frames.
    if bool(torch.isfinite(features.detach().sum())):
        return
    wrong = ~torch.isfinite(features.detach())
    wrong &= valid_frames(lengths.to(wrong.device), features.shape[1])[:, :, None]
    places = wrong.nonzero()
    if len(places):
        item, frame, feature = (int(n) for n in places[0])
        raise ValueError(
            f"{name}[{item}, {frame}, {feature}] is {features[item, frame, feature].item()}; "
            "features must be finite"
        )


def check_local(local: Tensor, t_lengths: Tensor, l_lengths: Tensor) -> None:
    """ValueError that names the first valid local energy (N, M, T, L) that is NaN or -inf."""
    if not bool((torch.isnan(local) | (local == -math.inf)).any()):
        return
    N, M, T, L = local.shape
    rows = valid_frames(t_lengths.reshape(-1).to(local.device), T).view(N, M, T, 1)
    columns = valid_frames(l_lengths.reshape(-1).to(local.device), L).view(N, M, 1, L)
    wrong = (rows & columns & (torch.isnan(local) | (local == -math.inf))).any(3).any(2)
    if bool(wrong.any()):
        refuse_local(local, t_lengths, l_lengths, wrong)


def refuse_local(local: Tensor, t_lengths: Tensor, l_lengths: Tensor, bad: Tensor) -> None:
    """Raise the ValueError that names the first valid local energy that is NaN or -inf.

    Args:
        local: (N, M, T, L).
        t_lengths, l_lengths: (N, M).
        bad: (N, M) whether a pair has such a number.
    """
    n, m = (int(i) for i in bad.nonzero()[0])
    table = local[n, m, : int(t_lengths[n, m]), : int(l_lengths[n, m])]
    i, j = (int(k) for k in (torch.isnan(table) | (table == -math.inf)).nonzero()[0])
    where = f"[{m}, {i}, {j}]" if local.shape[0] == 1 else f"[{n}, {m}, {i}, {j}]"
    raise ValueError(
        f"local{where} is {float(table[i, j])}; a local energy may be negative or +inf "
        "(impossible), but neither NaN nor -inf"
    )
