"""Pictures of a recognised string of words: energies over time, and who was when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from seqebm.data.batching import Example
from seqebm.decoding.figures import save_figure
from seqebm.decoding.pictures import draw_frames
from seqebm.decoding.segments import Classes, Segment, Segments, segments
from seqebm.decoding.transcription import Transcription
from seqebm.models import Recognizer

_NAMED = 60  # classes whose names still fit beside the picture


@torch.no_grad()
def plot_transcription(
    model: Recognizer, example: Example, answer: Transcription, path: str | Path
) -> None:
    """Draw the frames and the emission energies, with the words and units of the answer.

    A front-end with a method ``draw(axes, signal, parts)`` draws the signal itself in place of its
    frames, coloured by the words (or characters) that its parts were read as; beside it stand the
    best alternatives, where the answer has them.

    The line is the path of the answer's words through the emission classes. Raises
    :class:`DataError` if ``path`` cannot be written.
    """
    lengths = torch.tensor([len(example.signal)])
    frames, frame_lengths = model.frontend(example.signal[None], lengths)
    features, feature_lengths = model.features(frames, frame_lengths)
    emissions, names, parts = _path(model, features, feature_lengths, answer)
    # Frames that are not equally spaced in time are counted, not timed.
    shift = answer.frame_shift if answer.spans is None else 1.0
    draw = getattr(model.frontend, "draw", None)
    wide = 4 * answer.frames * answer.frame_shift
    figure = Figure(figsize=(float(np.clip(wide, 9, 40)), 8), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=draw is None, height_ratios=(1, 1.6))
    if draw is None:
        draw_frames(top, frames[0], model.frontend.frame_shift)
        top.set(xlabel="", title="")
    else:
        step = model.features.subsampling
        parts_drawn = [(w.label, w.first * step, w.stop * step) for w in answer.words]
        draw(top, example.signal, parts_drawn)
        _list(top, answer)
    _draw_energies(bottom, emissions[: answer.frames], names, shift)
    bottom.set_xlabel("time (s)" if answer.spans is None else "feature frame")
    index = {name: row for row, name in enumerate(names)}
    for state in parts.states:
        edges = (state.first * shift, state.stop * shift)
        bottom.plot(edges, [index[state.label]] * 2, color="tab:orange", linewidth=2.5)
    _mark(bottom, parts.units, shift, "tab:orange")
    for axes in (top, bottom) if draw is None else (bottom,):
        for word in answer.words:
            for edge in (word.first, word.stop):
                axes.axvline(edge * shift, color="white", linewidth=0.8, linestyle="--")
    if draw is None:
        _mark(top, answer.words, shift, "black")
    known = "" if answer.confidence is None else f", confidence {answer.confidence:.0%}"
    figure.suptitle(f"{answer.id}: {answer.text!r} (energy {answer.energy:.3f}{known})")
    save_figure(figure, path)


def _path(
    model: Recognizer, features: Tensor, lengths: Tensor, answer: Transcription
) -> tuple[Tensor, Sequence[str], Segments]:
    """Emission energies ``(T, C)``, names of the classes, and the path of the answer's words."""
    lattice = cast(Any, model.lattice)
    if not hasattr(lattice, "clamped"):  # a label for every frame
        emissions = lattice.labellings(features, lengths).emissions[0]
        return emissions, model.vocabulary, Segments(answer.words, (), answer.words)
    trellis = lattice.clamped(features, lengths, [answer.text])
    _, (path,) = trellis.best_path()
    classes = Classes.of(lattice.graphs)
    return trellis.emissions[0], classes.names, segments(trellis.graph(0), path, classes)


def _draw_energies(axes: Axes, emissions: Tensor, names: Sequence[str], shift: float) -> None:
    values = emissions.T.numpy()
    finite = np.ma.masked_invalid(values)
    image = axes.imshow(
        finite, origin="lower", aspect="auto", interpolation="nearest", cmap="viridis",
        extent=(0, values.shape[1] * shift, -0.5, len(names) - 0.5),
    )  # fmt: skip
    axes.figure.colorbar(image, ax=axes, label="emission energy (low is good)", pad=0.01)
    if len(names) <= _NAMED:
        axes.set_yticks(range(len(names)), names, fontsize=8 if len(names) <= 25 else 6)
    axes.set_ylabel("class")


def _list(axes: Axes, answer: Transcription) -> None:
    """Write the alternatives and by how much their energies are higher beside the axes."""
    lines = [
        f"{rank}. {other.text}  +{other.energy - answer.alternatives[0].energy:.2f}"
        for rank, other in enumerate(answer.alternatives[:10], 1)
    ]
    axes.text(
        1.01, 1.0, "\n".join(lines), transform=axes.transAxes, ha="left", va="top", fontsize=10
    )


def _mark(axes: Axes, parts: Sequence[Segment], shift: float, colour: str) -> None:
    """Write labels over the axes, at the middle of their segments."""
    for label, first, stop, _ in parts:
        axes.text(
            (first + stop) / 2 * shift, 1.01, label, transform=axes.get_xaxis_transform(),
            ha="center", va="bottom", color=colour, fontsize=8, clip_on=False,
        )  # fmt: skip
