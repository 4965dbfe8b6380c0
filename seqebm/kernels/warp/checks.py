"""Checks of features and local energies: each error names the index and the value."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seqebm.kernels.machine.checks import traceable
from seqebm.lengths import valid_frames


@traceable(
    "check_features(str name, Tensor features, Tensor lengths) -> Tensor",
    lambda name, features, lengths: torch.empty_like(lengths),
)
def check_features(name: str, features: Tensor, lengths: Tensor) -> Tensor:
    """ValueError that names the first valid frame (batch item, frame, feature) not finite.

    Returns:
        the lengths.
    """
    lengths = lengths.clone()
    # One pass over everything is cheap; only when it fails is padding told from frames.
    if bool(torch.isfinite(features.detach().sum())):
        return lengths
    wrong = ~torch.isfinite(features.detach())
    wrong &= valid_frames(lengths.to(wrong.device), features.shape[1])[:, :, None]
    places = wrong.nonzero()
    if len(places):
        item, frame, feature = (int(n) for n in places[0])
        raise ValueError(
            f"{name}[{item}, {frame}, {feature}] is {features[item, frame, feature].item()}; "
            "features must be finite"
        )
    return lengths


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
