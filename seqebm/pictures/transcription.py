"""Pictures of a recognised string of words: energies over time, and who was when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from seqebm.data.batching import Example
from seqebm.errors import SeqebmError
from seqebm.inference.found import Aligned, Segment, Segments
from seqebm.models import Recognizer
from seqebm.pictures.figures import save_figure

if TYPE_CHECKING:
    from seqebm.decoding.results import Transcription

_NAMED = 60  # classes whose names still fit beside the picture


@torch.no_grad()
def plot_transcription(
    model: Recognizer, example: Example, answer: Transcription, path: str | Path
) -> None:
    """Draw the frames and the emission energies, with the words and units of the answer.

    A front-end may draw the signal itself in place of its frames, coloured by the words (or
    characters) that its parts were read as; beside it stand the best alternatives, where the
    answer has them.

    The line is the path of the answer's words through the emission classes. Raises
    :class:`DataError` if ``path`` cannot be written.
    """
    lengths = torch.tensor([len(example.signal)])
    frontend = model.frontend
    features, feature_lengths = model.features(*frontend(example.signal[None], lengths))
    found = _path(model, features, feature_lengths, answer)
    # Frames that are not equally spaced in time are counted, not timed.
    shift = answer.frame_shift if answer.spans is None else 1.0
    timed = not frontend.draws_signal
    wide = 4 * answer.frames * answer.frame_shift
    figure = Figure(figsize=(float(np.clip(wide, 9, 40)), 8), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=timed, height_ratios=(1, 1.6))
    step = model.features.subsampling
    read_as = [(w.label, w.first * step, w.stop * step) for w in answer.words]
    frontend.draw(top, example.signal, read_as)
    if timed:
        top.set(xlabel="", title="")
    else:
        _list(top, answer)
    if found.emissions is not None:
        _draw_energies(bottom, found.emissions, found.classes, shift)
    bottom.set_xlabel("time (s)" if answer.spans is None else "feature frame")
    index = {name: row for row, name in enumerate(found.classes)}
    for state in found.segments.states:
        edges = (state.first * shift, state.stop * shift)
        bottom.plot(edges, [index[state.label]] * 2, color="tab:orange", linewidth=2.5)
    _mark(bottom, found.segments.units, shift, "tab:orange")
    for axes in (top, bottom) if timed else (bottom,):
        for word in answer.words:
            for edge in (word.first, word.stop):
                axes.axvline(edge * shift, color="white", linewidth=0.8, linestyle="--")
    if timed:
        _mark(top, answer.words, shift, "black")
    known = "" if answer.confidence is None else f", confidence {answer.confidence:.0%}"
    figure.suptitle(f"{answer.id}: {answer.text!r} (energy {answer.energy:.3f}{known})")
    save_figure(figure, path)


def _path(model: Recognizer, features: Tensor, lengths: Tensor, answer: Transcription) -> Aligned:
    """The path of the answer's words, or the words alone where there is none."""
    values = [model.lattice.parse(answer.text)]
    energies = model.lattice.meet(features, lengths)
    found = energies.align(values, [answer.id], answer.frame_shift)[0]
    if isinstance(found, SeqebmError):
        return Aligned(answer.energy, Segments(answer.words))
    return found


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
