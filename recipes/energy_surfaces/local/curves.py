"""Every loss as a curve over the gap I - C, of two answers, with its push and pull.

usage: curves.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from surfaces import make_loss

from seqebm.hooks import get_host
from seqebm.testing.losses import evaluate

CORRECT = 1.5  # energies of both answers stay above 0


def main() -> None:
    """Draw a panel for each registered loss."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    names = [c.name for c in get_host().registry.all() if c.kind == "losses"]
    gap = torch.linspace(-1.4, 3, 400, dtype=torch.float64)
    energies = torch.stack([torch.full_like(gap, CORRECT), CORRECT + gap], 1)
    columns = 5
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(11, 2.1 * rows), sharex=True, layout="constrained"
    )
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, names, strict=False):
        values, slopes = evaluate(make_loss(name), energies, 1.0)
        axis.plot(gap, values, "k", label="loss")
        axis.plot(gap, slopes[:, 0], "C0--", lw=1, label="push: dL/dC")
        axis.plot(gap, -slopes[:, 1], "C3:", lw=1.5, label="pull: -dL/dI")
        axis.axvline(0, color="0.8", lw=0.8, zorder=0)
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
    axes[0][0].legend(fontsize=6)
    figure.supxlabel("I - C (right of 0 the answer is right)", fontsize=9)
    figure.savefig(out / "curves.png", dpi=80)


if __name__ == "__main__":
    main()
