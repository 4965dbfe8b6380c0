"""The end-pointer: what it keeps of a word in silence, hiss, clicks and breath."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqebm_speech.endpoint import cut
from seqebm_speech.frontend import MFCC, LogMel
from seqebm_speech.options import AugmentOptions, EndpointOptions, LogMelOptions, MFCCOptions

RATE = 8000
SHIFT = 10.0
OPTIONS = EndpointOptions(range_db=35, margin_ms=80, click_ms=60)


def levels(*parts: tuple[int, float], mels: int = 4) -> torch.Tensor:
    """Frames of so many dB: (how many, dB)."""
    db = torch.cat([torch.full((count,), level) for count, level in parts])
    return (db * math.log(10) / 10)[:, None].expand(-1, mels).clone()


def found(frames: torch.Tensor, options: EndpointOptions = OPTIONS) -> tuple[int, int]:
    """First and one past the last frame that is kept."""
    result = cut(frames[None], torch.tensor([len(frames)]), options, SHIFT)
    first = int(result.first[0])
    return first, first + int(result.counts[0])


@pytest.mark.parametrize(
    ("parts", "kept"),
    [
        ([(30, -90), (40, -20), (50, -90)], (22, 78)),
        ([(30, -55), (40, -20), (50, -55)], (22, 78)),  # a noisy room
        ([(30, -90), (10, -50), (30, -20), (10, -50), (30, -90)], (22, 88)),  # weak consonants
        ([(10, -90), (3, -20), (30, -90), (40, -20), (50, -90)], (35, 91)),  # a click before
        ([(30, -90), (40, -20), (20, -90), (4, -10), (20, -90)], (22, 78)),  # and after
        ([(30, -90), (20, -20), (15, -90), (20, -20), (30, -90)], (22, 93)),  # a pause within
        ([(30, -90), (40, -20), (30, -60), (30, -90)], (22, 78)),  # breath after it
        ([(40, -20)], (-8, 48)),  # cut tightly
        ([(8, -45), (30, -20), (10, -48)], (-8, 56)),  # cut tightly, weak consonants at its ends
        ([(40, -32), (40, -20), (50, -32)], (32, 88)),  # a very noisy room
        ([(2, -90), (3, -20), (2, -90)], (-6, 13)),  # nothing but a click
        ([(1, -20)], (-8, 9)),
    ],
)
def test_what_is_kept(parts, kept):
    first, stop = found(levels(*parts))
    assert abs(first - kept[0]) <= 1 and abs(stop - kept[1]) <= 1, (first, stop)


def test_margins_are_filled_with_the_lowest_value():
    frames = levels((3, -60), (40, -20))
    result = cut(frames[None], torch.tensor([43]), OPTIONS, SHIFT)
    kept = result.frames[0, : int(result.counts[0])]
    first = int(result.first[0])
    assert first < 0
    torch.testing.assert_close(kept[-first : -first + 43], frames)
    assert (kept[:-first] == frames.min()).all() and (kept[-first + 43 :] == frames.min()).all()


def test_options_are_in_milliseconds():
    parts = [(30, -90), (40, -20), (50, -90)]
    assert found(levels(*parts), EndpointOptions(margin_ms=0)) in [(30, 70), (29, 71)]
    tight = found(levels(*parts), EndpointOptions(margin_ms=200))
    assert tight[0] in (9, 10) and tight[1] in (90, 91)
    frames = levels((10, -90), (5, -20), (30, -90), (40, -20), (50, -90))
    assert found(frames, EndpointOptions(click_ms=0))[0] in (1, 2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(0, 20), st.integers(0, 99))
def test_padding_changes_nothing(sizes, extra, seed):
    generator = torch.Generator().manual_seed(seed)
    items = [5 * torch.randn(size, 6, generator=generator) for size in sizes]
    batch = torch.full((len(sizes), max(sizes) + extra, 6), 1e3)
    for row, item in zip(batch, items, strict=True):
        row[: len(item)] = item
    together = cut(batch, torch.tensor(sizes), OPTIONS, SHIFT)
    for i, item in enumerate(items):
        alone = cut(item[None], torch.tensor([len(item)]), OPTIONS, SHIFT)
        count = int(alone.counts[0])
        assert int(together.counts[i]) == count and int(together.first[i]) == int(alone.first[0])
        torch.testing.assert_close(together.frames[i, :count], alone.frames[0, :count])


def word(seconds: float = 0.4) -> torch.Tensor:
    time = torch.arange(round(seconds * RATE)) / RATE
    return 0.3 * torch.sin(2 * math.pi * 500 * time) + 0.1 * torch.sin(2 * math.pi * 1500 * time)


@pytest.mark.parametrize("cepstral", [False, True])
def test_silence_around_a_word_changes_nothing(cepstral):
    kind, options = (MFCC, MFCCOptions) if cepstral else (LogMel, LogMelOptions)
    frontend = kind(options(normalisation="utterance_mean", deltas=1, endpoint=OPTIONS)).eval()
    _, counts = frontend(word()[None], torch.tensor([len(word())]))
    shift = frontend.shift
    for before, after in ((30, 50), (100, 20), (9, 200)):
        padded = torch.nn.functional.pad(word(), (before * shift, after * shift))
        _, more = frontend(padded[None], torch.tensor([len(padded)]))
        assert abs(int(more[0]) - int(counts[0])) <= 6, "windows overlap the silence"
        begin, end = frontend.frame_spans(padded)[[0, -1], [0, 1]].tolist()
        assert begin == pytest.approx(before * 0.01 - 0.08, abs=0.04)
        assert end == pytest.approx(before * 0.01 + 0.4 + 0.08, abs=0.04)
        assert len(frontend.frame_spans(padded)) == int(more[0])


def test_without_it_frames_are_equally_spaced():
    assert LogMel(LogMelOptions()).frame_spans(word()) is None


def test_in_training_it_cuts_what_augmentation_made():
    calm = AugmentOptions(noise_probability=0.0)  # noise as loud as speech would be kept
    options = LogMelOptions(normalisation="none", endpoint=OPTIONS, augment=calm)
    frontend = LogMel(options).train()
    torch.manual_seed(0)
    signals = torch.stack([torch.nn.functional.pad(word(), (8000, 8000))] * 8)
    frames, counts = frontend(signals, torch.tensor([signals.shape[1]] * 8))
    assert torch.isfinite(frames).all() and frames.shape[1] == int(counts.max())
    assert (counts < 150).all() and (counts > 30).all()
