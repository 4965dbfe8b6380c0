"""The picture of a diagnosis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from seqebm.pictures.figures import save_figure

if TYPE_CHECKING:
    from seqebm.training.diagnosis import Diagnosis

_MOST = 60  # parts of a lattice that are drawn one by one


def plot_diagnosis(found: Diagnosis, path: str | Path) -> None:
    """Draw C against I, the distribution of gaps, push and pull, and the use of the parts.

    Raises :class:`seqebm.errors.DataError` if ``path`` cannot be written.
    """
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    (surface, gaps), (forces, parts) = figure.subplots(2, 2)
    known = np.isfinite(found.offending)
    correct, offending = found.correct[known], found.offending[known]
    right = found.gaps > 0
    for mask, colour, label in ((right, "tab:blue", "right"), (~right, "tab:red", "wrong")):
        surface.plot(correct[mask], offending[mask], ".", color=colour, label=label)
    ends = [min(correct.min(), offending.min()), max(correct.max(), offending.max())]
    surface.plot(ends, ends, "k-", linewidth=0.8, label="flat: I = C")
    if found.margin:
        above = [e + found.margin for e in ends]
        surface.plot(ends, above, "k--", linewidth=0.8, label="I = C + margin")
    surface.set(title="each item", xlabel="C, right answer", ylabel="I, most offending answer")
    surface.legend(fontsize=8)
    gaps.hist(found.gaps, bins=40, color="tab:blue")
    gaps.axvline(0, color="black", linewidth=0.8)
    if found.margin:
        gaps.axvline(found.margin, color="black", linestyle="--", linewidth=0.8)
    gaps.set(
        title=f"energy gap I - C: {found.accuracy:.1%} right, {found.flat:.1%} flat",
        xlabel="gap", ylabel="items",
    )  # fmt: skip
    names = ["push\n(right answer)", "pull\n(others)", "both"]
    colours = ["tab:green", "tab:red", "tab:gray"]
    forces.barh(names, [found.push, found.pull, found.net], color=colours)
    forces.set(title=f"gradient of the loss at the features: {found.pull_share:.0%} pulls up")
    used = sorted(found.used.items(), key=lambda pair: pair[1])
    if used:
        shown = used[:_MOST]
        parts.bar(range(len(shown)), [count for _, count in shown], color="tab:blue")
        parts.set_xticks(range(len(shown)), [name for name, _ in shown], rotation=90, fontsize=6)
    least = f", the least used {_MOST}" if len(used) > _MOST else ""
    parts.set(title=f"use of {len(used)} parts{least}: {len(found.idle)} are idle", ylabel="times")
    save_figure(figure, path)
