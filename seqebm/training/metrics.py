"""What a training run says about its energy surface, epoch by epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqebm.inference.terms import Terms
from seqebm.models.storage import write_bytes

# An item is flat, "collapsed", when its energies differ by less than this share of their size.
FLAT = 1e-3


class EnergyMeter:
    """Averages over the feasible items of an epoch.

    ``loss``; ``gap``, the energy gap I - C; ``violations``, the share with a gap below the loss's
    margin; ``accuracy``, the share whose right answer is lowest; ``collapsed``, the share of flat
    items, |I - C| <= 0.001 (|I| + |C|) / 2; ``infeasible``, the count of items without a path.
    Where the offending energy was not computed (NaN) only the loss counts.
    """

    def __init__(self, margin: float | None) -> None:
        self.margin = margin or 0.0
        self.sums = torch.zeros(5, dtype=torch.float64)
        self.count = self.compared = 0
        self.infeasible = 0

    @torch.no_grad()
    def add(self, losses: Tensor, terms: Terms) -> None:
        """Add a batch; items whose right answer is infeasible only count as such."""
        feasible = torch.isfinite(terms.correct)
        self.infeasible += int((~feasible).sum())
        correct, offending = terms.correct[feasible], terms.offending[feasible]
        gap = offending - correct
        size = (offending.abs() + correct.abs()) / 2
        self.sums += torch.stack(
            [
                losses[feasible].double().sum(),
                gap.nan_to_num(nan=0.0, posinf=0.0).double().sum(),
                (gap < self.margin).double().sum(),
                (gap > 0).double().sum(),
                ((gap.abs() <= FLAT * size) & torch.isfinite(gap)).double().sum(),
            ]
        ).cpu()
        self.count += int(feasible.sum())
        self.compared += int((~torch.isnan(offending)).sum())

    def row(self, prefix: str) -> dict[str, float | int]:
        """The averages, with names such as ``train_gap``."""
        names = ("loss", "gap", "violations", "accuracy", "collapsed")
        counts = [self.count, *[self.compared] * 4]
        values: dict[str, float | int] = {
            f"{prefix}_{n}": round(s / max(count, 1), 6)
            for n, s, count in zip(names, self.sums.tolist(), counts, strict=True)
            # A training loss that does not read I leaves nothing to compare C with.
            if count or not self.count
        }
        values[f"{prefix}_infeasible"] = self.infeasible
        return values


def write_history(path: Path, history: Sequence[dict[str, Any]]) -> None:
    """Write the metrics of every epoch as CSV, atomically."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_bytes(path, text.getvalue().encode())
