"""Pictures of what a recogniser does with an utterance, and of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from seqebm.data.batching import Example
from seqebm.decoding.figures import save_figure
from seqebm.decoding.words import Recognition
from seqebm.models import Recognizer


@torch.no_grad()
def plot_recognition(
    model: Recognizer, example: Example, answer: Recognition, path: str | Path
) -> None:
    """Draw the frames, the warp onto the winning template, and the energies of all words.

    A front-end with a method ``draw`` draws the signal in place of its frames.

    A lattice without an ``align`` method (no latent warp) gets no warp panel. Raises
    :class:`DataError` if ``path`` cannot be written.
    """
    lengths = torch.tensor([len(example.signal)])
    frames, frame_lengths = model.frontend(example.signal[None], lengths)
    features, feature_lengths = model.features(frames, frame_lengths)
    align = getattr(model.lattice, "align", None)
    figure = Figure(figsize=(11, 8 if align else 5), layout="constrained")
    grid = GridSpec(2 if align else 1, 2, figure, width_ratios=(2, 1))
    shift = model.frontend.frame_shift
    axes = figure.add_subplot(grid[0, 0])
    draw = getattr(model.frontend, "draw", None)
    if draw is None:
        draw_frames(axes, frames[0], shift)
    else:
        draw(axes, example.signal, [(answer.word, 0, len(frames[0]))])
    _draw_energies(figure.add_subplot(grid[:, 1]), answer)
    if align:
        alignment = align(features[0, : int(feature_lengths[0])], answer.word)
        _draw_warp(figure.add_subplot(grid[1, 0]), alignment, shift * model.features.subsampling)
    figure.suptitle(
        f"{answer.id}: {answer.word!r} (energy {answer.energy:.3f}, margin {answer.margin:.3f}, "
        f"confidence {answer.confidence:.0%})"
    )
    save_figure(figure, path)


def draw_frames(axes: Axes, frames: torch.Tensor, shift: float) -> None:
    """Draw the frames ``(T, D)`` of a front-end; ``shift`` is the seconds between them."""
    axes.imshow(
        frames.T.numpy(), origin="lower", aspect="auto", interpolation="nearest",
        extent=(0, len(frames) * shift, 0, frames.shape[1]), cmap="magma",
    )  # fmt: skip
    axes.set(title="front-end", xlabel="time (s)", ylabel="coefficient")


def _draw_warp(axes: Axes, alignment: Any, shift: float) -> None:
    path, local = alignment.path.numpy(), alignment.local.numpy()
    extent = (0, len(local) * shift, -0.5, local.shape[1] - 0.5)
    terrain = axes.imshow(
        local.T, origin="lower", aspect="auto", interpolation="nearest", extent=extent,
        cmap="Blues_r",
    )  # fmt: skip
    axes.figure.colorbar(terrain, ax=axes, label="local energy")
    axes.plot((path[:, 0] + 0.5) * shift, path[:, 1], "o-", color="tab:orange", markersize=4)
    axes.set(
        title=f"warping path onto template {alignment.template} of {alignment.word!r}",
        xlabel="time (s)", ylabel="template frame",
    )  # fmt: skip


def _draw_energies(axes: Axes, answer: Recognition, most: int = 30) -> None:
    shown = list(answer.energies.items())[:most]
    colours = ["tab:green", *["tab:gray"] * (len(shown) - 1)]
    axes.barh([word for word, _ in shown], [energy for _, energy in shown], color=colours)
    axes.invert_yaxis()
    low, high = shown[0][1], shown[-1][1]
    room = max((high - low) * 0.15, 1e-3)
    axes.set(title="energy of each word (low is good)", xlim=(low - room, high + room))


def plot_history(history: Sequence[dict[str, Any]], path: str | Path) -> None:
    """Draw loss, energy gap and the shares of violations and collapsed items by epoch."""
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    epochs = [row["epoch"] for row in history]
    panels = (("loss",), ("gap",), ("accuracy", "violations", "collapsed"))
    for ax, names in zip(axes, panels, strict=True):
        for part, style in (("train", "-"), ("valid", "--")):
            for name in names:
                if history and f"{part}_{name}" in history[0]:
                    values = [row[f"{part}_{name}"] for row in history]
                    ax.plot(epochs, values, style, label=f"{part} {name}")
        ax.set(xlabel="epoch", title=", ".join(names))
        ax.grid(alpha=0.3)
        if ax.lines:
            ax.legend(fontsize=8)
    save_figure(figure, path)
