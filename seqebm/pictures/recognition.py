"""Pictures of what a recogniser does with an utterance, and of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from seqebm.data.batching import Example
from seqebm.lattices.answers import AnswerSet, Warp
from seqebm.models import Recognizer
from seqebm.pictures.figures import save_figure

if TYPE_CHECKING:
    from seqebm.decoding.results import Recognition


@torch.no_grad()
def plot_recognition(
    model: Recognizer, example: Example, answer: Recognition, path: str | Path
) -> None:
    """Draw the frames, the warp onto the winning template, and the energies of all words.

    A front-end may draw the signal in place of its frames; a lattice without a warp gets no warp
    panel. Where the word is only a part of the recording (free ends), lines say which. Raises
    :class:`DataError` if ``path`` cannot be written.
    """
    lengths = torch.tensor([len(example.signal)])
    frames, frame_lengths = model.frontend(example.signal[None], lengths)
    features, feature_lengths = model.features(frames, frame_lengths)
    lattice = model.lattice
    assert isinstance(lattice, AnswerSet)  # answers are one of a list
    warp = lattice.warp(features[0, : int(feature_lengths[0])], answer.word)
    figure = Figure(figsize=(11, 8 if warp else 5), layout="constrained")
    grid = GridSpec(2 if warp else 1, 2, figure, width_ratios=(2, 1))
    axes = figure.add_subplot(grid[0, 0])
    place = _place(model, warp, len(frames[0]))
    model.frontend.draw(axes, example.signal, [(answer.word, *place)])
    if not model.frontend.draws_signal and place != (0, len(frames[0])):
        for edge in place:  # where the word was found
            axes.axvline(edge * model.frontend.frame_shift, color="white", linestyle="--")
    _draw_energies(figure.add_subplot(grid[:, 1]), answer)
    if warp:
        _draw_warp(figure.add_subplot(grid[1, 0]), warp, model.frame_shift)
    figure.suptitle(
        f"{answer.id}: {answer.word!r} (energy {answer.energy:.3f}, margin {answer.margin:.3f}, "
        f"confidence {answer.confidence:.0%})"
    )
    save_figure(figure, path)


def _place(model: Recognizer, warp: Warp | None, frames: int) -> tuple[int, int]:
    """First frame of the front-end that was matched, and one past the last."""
    if warp is None or not len(warp.path):
        return 0, frames
    step = model.features.subsampling
    first, last = warp.path[[0, -1], 0].tolist()
    return first * step, min((last + 1) * step, frames)


def _draw_warp(axes: Axes, warp: Warp, shift: float) -> None:
    path, local = warp.path.numpy(), warp.local.numpy()
    extent = (0, len(local) * shift, -0.5, local.shape[1] - 0.5)
    terrain = axes.imshow(
        local.T, origin="lower", aspect="auto", interpolation="nearest", extent=extent,
        cmap="Blues_r",
    )  # fmt: skip
    axes.figure.colorbar(terrain, ax=axes, label="local energy")
    axes.plot((path[:, 0] + 0.5) * shift, path[:, 1], "o-", color="tab:orange", markersize=4)
    axes.set(
        title=f"warping path onto template {warp.template} of {warp.word!r}",
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
