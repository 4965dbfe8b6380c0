"""Free ends: a template finds its word within a longer recording.

A path may begin and end anywhere, at a price for every frame that it leaves out. Before the first
and after the last frame of a template there is a *background*: column 0 and column L + 1 of a table
of local energies, which meet the frames that belong to no word. A row before the input's first
frame and one after its last give every path a place to begin and to end, so that the kernels for
paths from corner to corner serve here, too, with their gradients and posteriors, on every device.

With the price alone this is the search for a subsequence (Sakoe 1979, "Two-level DP-matching";
"subsequence DTW" in Mueller 2007, chapter 4.4); with a price that depends on the frame it is a
garbage model (Rose & Paul 1990), trained with everything else.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqebm.kernels.warp import ops
from seqebm.kernels.warp.patterns import StepPattern
from seqebm.lengths import valid_frames


class Match(NamedTuple):
    """Templates within a longer input, for pictures and alignment.

    Attributes:
        energies: ``(M,)`` of the best path of each template.
        paths: M paths ``(n, 2)`` of (input frame, template frame), of the word alone.
    """

    energies: Tensor
    paths: list[Tensor]


class FreeEnds(nn.Module):
    """What a frame costs that no template explains, and energies relative to that.

    The energy of a template is ``price + (F - F0) / n``: F the free energy of all paths, F0 what
    the background alone costs, and n the frames that the template usually meets, ``pace`` times its
    length. It is the mean local energy of the frames that were matched; silence before and after
    the word changes nothing, and the energy is above ``price`` where the background explains the
    recording better than the word.

    Args:
        dimension: D, of the features.
        learned: whether the price depends on the frame, linearly in its direction.

    Attributes:
        price: energy of a frame that is left out; learned.
        direction: ``(D,)`` by how much less it costs where a frame has this direction; or None.
        pace: input frames a template frame usually meets.
    """

    pace: Tensor

    def __init__(self, dimension: int, learned: bool) -> None:
        super().__init__()
        self.price = nn.Parameter(torch.tensor(0.5))
        self.direction = nn.Parameter(torch.zeros(dimension)) if learned else None
        self.register_buffer("pace", torch.tensor(1.0))

    @torch.no_grad()
    def initialise(self, local: Tensor, pace: float) -> None:
        """Set the price to half of what a frame and a template frame have between them on average,
        from some local energies, and the pace."""
        self.price.fill_(0.5 * float(local.mean()))
        self.pace.fill_(pace)
        if self.direction is not None:
            self.direction.zero_()

    def costs(self, features: Tensor) -> Tensor:
        """``(B, T, D)`` -> ``(B, T)`` energies of leaving a frame out."""
        costs = self.price.expand(features.shape[:2])
        if self.direction is not None:
            unit = nn.functional.normalize(features, dim=2)
            costs = costs - unit @ self.direction
        return costs

    def energies(
        self, features: Tensor, lengths: Tensor, references: Tensor, reference_lengths: Tensor,
        beta: float, pattern: StepPattern, metric: str,
    ) -> Tensor:  # fmt: skip
        """``(B, T, D)``, ``(B,)``, ``(M, L, D)``, ``(M,)`` -> ``(B, M)`` energies of templates."""
        inside = valid_frames(lengths.to(features.device), features.shape[1])
        features = features.masked_fill(~inside[..., None], 0.0)  # padding may hold anything
        local = ops.local_energy(features, references, metric)
        costs = self.costs(features)
        table = _framed(local, costs, lengths, reference_lengths)
        rows, columns = torch.broadcast_tensors(
            lengths[:, None].cpu() + 2, reference_lengths[None, :].cpu() + 2
        )
        free = ops.free_energy(
            table.flatten(0, 1), rows.reshape(-1), columns.reshape(-1), beta, pattern
        )
        background = (costs * inside).sum(1)
        return self._relative(free.view(rows.shape), background, reference_lengths)

    def match(
        self, features: Tensor, local: Tensor, reference_lengths: Tensor, pattern: StepPattern
    ) -> Match:
        """The best path of ``(T, D)`` features through M templates, given their ``(M, T, L)``
        local energies."""
        costs = self.costs(features[None])
        lengths = torch.tensor([len(features)])
        table = _framed(local[None], costs, lengths, reference_lengths)[0].contiguous()
        rows = (lengths + 2).expand(len(table))
        raw, paths = ops.best_path(table, rows, reference_lengths + 2, pattern)
        energies = self._relative(raw[None], costs.sum(1), reference_lengths)[0]
        words = [
            path[(path[:, 1] >= 1) & (path[:, 1] <= length)] - 1
            for path, length in zip(paths, reference_lengths.tolist(), strict=True)
        ]
        return Match(energies, words)

    def _relative(self, free: Tensor, background: Tensor, reference_lengths: Tensor) -> Tensor:
        frames = self.pace * reference_lengths
        return self.price + (free - background[:, None]) / frames


def _framed(local: Tensor, costs: Tensor, lengths: Tensor, reference_lengths: Tensor) -> Tensor:
    """``(B, M, T, L)`` local energies with the background around: ``(B, M, T + 2, L + 2)``.

    Rows 0 and ``length + 1`` are where paths begin and end, at no cost, in the corners alone.
    """
    time, size = local.shape[2:]
    device = local.device
    row = torch.arange(time + 2, device=device)[None, :]
    column = torch.arange(size + 2, device=device)
    outside = (row == 0) | (row > lengths.to(device)[:, None])  # (B, T + 2)
    price = nn.functional.pad(costs, (1, 1)).masked_fill(outside, 0.0)[:, None, :, None]
    stop = reference_lengths.to(device)[:, None] + 1
    last = (column == stop)[None, :, None, :]  # (1, M, 1, L + 2)
    table = nn.functional.pad(local, (1, 1, 1, 1))
    table = torch.where(last | (column == 0), price, table)
    # In the first row only the first corner, in the last one only the last.
    wrong = (row == 0)[:, None, :, None] & (column != 0)
    wrong = wrong | ((row > lengths.to(device)[:, None])[:, None, :, None] & ~last)
    return table.masked_fill(wrong, math.inf)
