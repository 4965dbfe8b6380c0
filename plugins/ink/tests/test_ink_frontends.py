"""The front-ends of ink: padding, invariances, degenerate ink, times and pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from seqebm_ink import augment, normalise, raster, trajectory
from seqebm_ink.amap import AnnotatedImage
from seqebm_ink.options import AnnotatedImageOptions, InkAugmentOptions, PenOptions
from seqebm_ink.pen import Pen

from seqebm.errors import DataError

AUGMENT = InkAugmentOptions(
    width=0.2, height=0.2, rotation=10, shear=0.3, shift=0.1, elastic=0.1, jitter=0.05, pace=0.2,
    reverse=0.5, reorder=0.5,
)  # fmt: skip
PENS = {
    "box": PenOptions(context=5),
    "bare": PenOptions(),
    "lines": PenOptions(normalisation="lines", step=0.25, delayed="hat", context=3, cell=0.3),
}


def front_ends(**options):
    for pen in PENS.values():
        yield Pen(pen.model_copy(update=options))
    for how in ("box", "lines"):
        yield AnnotatedImage(AnnotatedImageOptions(normalisation=how, **options))


def word(seed: int = 0, strokes: int = 4) -> torch.Tensor:
    """Loops from left to right: ``(N, 4)`` points."""
    rng = np.random.default_rng(seed)
    rows, clock = [], 0.0
    for stroke in range(strokes):
        t = np.linspace(0, 2 * math.pi, int(rng.integers(8, 20)))
        x = 12 * stroke + 5 * np.sin(t) + t
        y = 5 + 5 * np.cos(t) + rng.normal(0, 0.2, len(t))
        times = clock + np.arange(len(t)) / 100
        clock = times[-1] + 0.2
        rows.append(np.stack([x, y, times, np.full(len(t), stroke)], 1))
    return torch.from_numpy(np.concatenate(rows)).float()


def batch(*inks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(ink) for ink in inks])
    padded = torch.full((len(inks), int(lengths.max()) + 3, 4), 777.0)
    for row, ink in zip(padded, inks, strict=True):
        row[: len(ink)] = ink
    return padded, lengths


@pytest.mark.parametrize("index", range(5))
def test_neither_padding_nor_companions_change_an_item(index):
    front_end = list(front_ends())[index].eval()
    inks = [word(0), word(1, 2), word(2, 6)]
    frames, counts = front_end(*batch(*inks))
    assert frames.shape[2] == front_end.output_dim and frames.dtype == torch.float32
    for b, ink in enumerate(inks):
        alone, count = front_end(ink[None], torch.tensor([len(ink)]))
        assert int(count[0]) == int(counts[b])
        assert torch.equal(alone[0], frames[b, : int(count[0])])
        assert (frames[b, int(count[0]) :] == 0).all()


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("scale", [1e-3, 40.0])
def test_size_and_place_do_not_matter(index, scale):
    front_end = list(front_ends())[index].eval()
    ink, moved = word(3), word(3)
    moved[:, :2] = moved[:, :2] * scale + 5 * scale
    one, two = (front_end(i[None], torch.tensor([len(i)]))[0] for i in (ink, moved))
    assert one.shape == two.shape
    assert (one - two).abs().max() < 2e-3


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize(
    "points",
    [
        [[0, 0, 0, 0]],
        [[3, 3, 0, 0]] * 5,
        [[0, 0, 0, 0], [9, 0, 0, 0]],
        [[0, 0, 0, 0], [0, 9, 0, 0]],
        [[0, 0, 0, 0], [5, 5, 0, 1], [0, 5, 0, 2]],
        [[0, 0, 0, 0], [1e6, 1e-6, 0, 0], [0, 0, 0, 1]],
    ],
    ids=["point", "repeated", "level", "upright", "dots", "thin"],
)
@pytest.mark.parametrize("training", [False, True])
def test_degenerate_ink_gives_finite_frames(index, points, training):
    front_end = list(front_ends(augment=AUGMENT))[index].train(training)
    ink = torch.tensor(points, dtype=torch.float32)
    frames, counts = front_end(ink[None], torch.tensor([len(ink)]))
    assert torch.isfinite(frames).all() and 1 <= int(counts[0]) == frames.shape[1]
    spans = front_end.frame_spans(ink)
    assert torch.isfinite(spans).all()


@given(
    st.lists(
        st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
@settings(max_examples=60, deadline=None)
def test_any_ink_gives_finite_frames_and_every_point_a_frame(drawn):
    rows, stroke = [], 0
    for i, (x, y, lifted) in enumerate(drawn):
        stroke += lifted and i > 0
        rows.append([x, y, i / 100, stroke])
    ink = torch.tensor(rows)
    for front_end in front_ends():
        frames, counts = front_end.eval()(ink[None], torch.tensor([len(ink)]))
        assert torch.isfinite(frames).all()
        frame = front_end.frame_of_point(ink)
        assert frame.min() >= 0 and frame.max() < counts[0]


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda s, n: (s[:, :, :3], n), "wants points"),
        (lambda s, n: (s, n * 0), "has 0 points"),
        (lambda s, n: (s, n + 99), "exceeds its row"),
        (lambda s, n: (torch.full_like(s, math.nan), n), "NaN"),
    ],
)
def test_what_is_no_batch_of_ink_is_refused(index, spoil, match):
    front_end = list(front_ends())[index]
    signal, lengths = batch(word())
    with pytest.raises(DataError, match=match):
        front_end(*spoil(signal, lengths))


def test_a_scribble_over_the_limit_is_refused_and_below_it_gets_few_frames():
    rng = np.random.default_rng(0)
    count = 20_000
    scribble = np.stack(
        [*rng.normal(0, 1, (2, count)), np.arange(count) / 100, 0 * np.arange(count)]
    )
    ink = torch.from_numpy(scribble.T).float()
    with pytest.raises(DataError, match="over the limit"):
        Pen()(ink[None], torch.tensor([count]))
    frames, _ = Pen(PenOptions(limit=1000, context=3))(ink[None], torch.tensor([count]))
    assert frames.shape[1] == PenOptions().most_frames


def test_training_differs_by_the_seed_and_evaluation_does_not():
    pen = Pen(PenOptions(context=3, augment=AUGMENT))
    signal, lengths = batch(word(0), word(1))
    pen.train()
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(pen(signal, lengths)[0])
    assert made[0].shape == made[1].shape and torch.equal(made[0], made[1])
    assert made[0].shape != made[2].shape or not torch.equal(made[0], made[2])
    pen.eval()
    assert torch.equal(pen(signal, lengths)[0], pen(signal, lengths)[0])


def test_frames_are_equally_far_apart_along_the_way():
    ink = word(1, 1)
    points = ink.double().numpy()
    x, y, stroke = (np.ascontiguousarray(points[:, c]) for c in (0, 1, 3))
    length = trajectory.way(x, y, stroke)
    count, step = trajectory.steps(length[-1], 1.0, 2, 1000)
    px, py, pen = trajectory.resample(x, y, stroke, length, count, step)
    assert (pen == 1).all()
    assert px[0] == x[0] and px[-1] == pytest.approx(x[-1])
    apart = np.hypot(np.diff(px), np.diff(py))
    assert apart.max() <= step + 1e-9 and apart.min() > 0.8 * step, "chords of a smooth way"


def test_direction_and_curvature_of_a_circle():
    angle = np.linspace(0, 2 * math.pi, 61)[:-1]
    px, py = np.cos(angle), np.sin(angle)
    out = np.zeros((60, 5), np.float32)
    trajectory.describe(px, py, np.ones(60), out)
    middle = slice(5, 55)
    assert np.allclose(out[middle, 0], -np.sin(angle)[middle], atol=1e-3)
    assert np.allclose(out[middle, 1], np.cos(angle)[middle], atol=1e-3)
    turn = 2 * (2 * math.pi / 60)  # between chords of two frames
    assert np.allclose(out[middle, 2], math.cos(turn) - 1, atol=1e-4)
    assert np.allclose(out[middle, 3], math.sin(turn), atol=1e-4)


def test_reference_lines_and_slant_are_found_again():
    rng = np.random.default_rng(0)
    x, y, stroke = [], [], []
    # Zigzag letters: body from 0 to 1, every fourth an ascender to 2, one descender to -0.9.
    tops = [1, 1, 1, 2, 1, 1, 1, 2, 1, 1]
    bottoms = [0, 0, 0, 0, 0, -0.9, 0, 0, 0, 0]
    for k, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
        for i, height in enumerate((bottom, top)):
            x.append(k + 0.5 * i + rng.normal(0, 0.02))
            y.append(height + rng.normal(0, 0.02))
            stroke.append(0.0)
    x, y, stroke = np.array(x), np.array(y), np.array(stroke)
    fine = np.linspace(0, len(x) - 1, 400)
    x, y = (np.interp(fine, np.arange(len(v)), v) for v in (x, y))
    stroke = np.zeros(400)
    for slope, scale in ((0.0, 1.0), (0.1, 7.0), (-0.1, 0.01)):
        found, base, core = normalise.reference_lines(x * scale, (y + slope * x) * scale, stroke)
        assert found == pytest.approx(slope, abs=0.03)
        assert base / scale == pytest.approx(0, abs=0.2)
        assert core / scale == pytest.approx(1, abs=0.2)
    down = np.array([2.0, 1.0, 0.0, 0.0])
    leaning = np.array([0.6, 0.3, 0.0, 2.0])
    assert normalise.slant(leaning, down, np.zeros(4)) == pytest.approx(0.3)


def test_dots_and_bars_are_delayed_and_stems_are_not():
    # u (0..2), n (2..4), then a dot above u, and the tall stem of a t beside n's middle.
    x = np.array([0.0, 1, 2, 2.2, 3, 4, 1.0, 1.05, 2.6, 2.6])
    y = np.array([1.0, 0, 1, 0, 1, 0, 1.8, 1.8, 2.0, 0.0])
    stroke = np.array([0.0, 0, 0, 1, 1, 1, 2, 2, 3, 3])
    late = trajectory.delayed(x, y, stroke, 0.5)
    assert late.tolist() == [False] * 6 + [True] * 2 + [False] * 2


def test_the_hat_stands_over_what_was_written_under_it():
    pen = Pen(PENS["lines"]).eval()
    ink = word(0, 3)
    dot = torch.tensor([[12.0, 22, 9, 3], [12.2, 22, 9.01, 3]])
    with_dot = torch.cat([ink, dot])
    frames = pen(with_dot[None], torch.tensor([len(with_dot)]))[0][0]
    hat = frames[:, 1 + 5]
    assert hat.max() > 0.1 and hat[0] == 0 and hat[-1] == 0
    assert pen.frame_of_point(with_dot)[-1] == pytest.approx(int(hat.argmax()), abs=6)


def test_reversing_keeps_the_ink_and_changes_its_order():
    points = word(5, 3).double().numpy()
    x, y, stroke = points[:, 0], points[:, 1], points[:, 3]
    ox, oy, number = augment._rewritten(x, y, stroke, 1, 1.0, True)
    assert sorted(zip(ox, oy, strict=True)) == sorted(zip(x, y, strict=True))
    assert (np.diff(number) >= 0).all() and number[-1] == 2
    first = np.flatnonzero(stroke == 0)
    at = [int(np.flatnonzero((ox == x[i]) & (oy == y[i]))[0]) for i in (first[0], first[-1])]
    assert at[0] > at[1], "written from its end"


def test_spans_cover_the_time_of_their_points():
    for front_end in front_ends():
        ink = word(2)
        spans = front_end.eval().frame_spans(ink)
        frame = front_end.frame_of_point(ink)
        assert (spans[:, 0] <= spans[:, 1]).all()
        assert (spans[frame, 0] <= ink[:, 2]).all() and (ink[:, 2] <= spans[frame, 1]).all()


def test_the_picture_is_coloured_by_part():
    pen = Pen(PENS["box"]).eval()
    ink = word(1)
    count = int(pen(ink[None], torch.tensor([len(ink)]))[1][0])
    axes = Figure().add_subplot()
    pen.draw(axes, ink, [("a", 0, count // 2), ("b", count // 2, count)])
    assert {text.get_text() for text in axes.texts} == {"a", "b"}
    assert len({str(line.get_color()) for line in axes.lines}) == 2
    assert axes.get_aspect() == 1


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="needs normalisation: lines or given"):
        PenOptions(delayed="hat")
    with pytest.raises(ValueError, match="least_frames"):
        PenOptions(least_frames=99, most_frames=9)


def test_normalised_ink_gives_the_same_frames_when_it_is_given():
    own, given_ink = PENS["lines"], PENS["lines"].model_copy(update={"normalisation": "given"})
    ink = word(4)
    n = torch.tensor([len(ink)])
    made = Pen(own).eval()(ink[None], n)[0]
    again = Pen(given_ink).eval()(Pen(own).normalised(ink)[None], n)[0]
    assert made.shape == again.shape and (made - again).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("to", "plane"),
    [((9, 0), 0), ((-9, 0), 0), ((9, 9), 1), ((0, 9), 2), ((0, -9), 2), ((-9, 9), 3)],
)
def test_a_straight_stroke_is_in_the_plane_of_its_direction(to, plane):
    x, y = np.linspace(0, to[0], 20) + 15, 15 - np.linspace(0, to[1], 20)
    image = np.zeros((30, 5, 30), np.float32)
    raster.draw(x, y, np.zeros(20), 4, True, image)
    inked = image[:, :4].sum((0, 2))
    assert inked.argmax() == plane and inked[plane] > 0.99 * inked.sum()
    assert image[:, 4].max() < 1e-6, "it does not turn"
    assert image[round(x[10]), plane, round(y[10])] > 0.2


def test_all_ink_is_drawn_once_and_corners_are_seen():
    x, y = np.array([5.0, 15.2, 15.2]), np.array([5.0, 5.0, 18.3])
    image = np.zeros((30, 5, 30), np.float32)
    raster.draw(x, y, np.zeros(3), 4, True, image)
    wet = image[:, :4].sum(1)
    assert wet.sum() == pytest.approx(10.2 + 13.3, rel=0.02)
    at = np.unravel_index(image[:, 4].argmax(), (30, 30))
    assert np.hypot(at[0] - 15.2, at[1] - 5) < 3, "the plane of curvature is high at the corner"


def test_a_dot_is_not_lost():
    image = np.zeros((10, 5, 10), np.float32)
    raster.draw(np.array([4.0]), np.array([6.0]), np.zeros(1), 4, True, image)
    assert image[4, :4, 6].sum() == pytest.approx(1)


def test_the_image_does_not_depend_on_the_order_of_strokes():
    ink = word(7, 3)
    other = ink[ink[:, 3].argsort(descending=True, stable=True)].clone()
    other[:, 3] = 2 - other[:, 3]
    front_end = AnnotatedImage().eval()
    one, two = (front_end(i[None], torch.tensor([len(ink)]))[0] for i in (ink, other))
    assert torch.allclose(one, two, atol=1e-5)
