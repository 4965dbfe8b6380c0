"""Pitch features: of voices whose pitch is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqebm_speech.frontend import LogMel
from seqebm_speech.options import LogMelOptions, PitchOptions
from seqebm_speech.pitch import BETA, OCTAVE, VOICED, pitch, posteriors

from seqebm.errors import ConfigError
from seqebm.testing import assert_sound, check

SHIFT = 0.010


def voice(pitches, rate, snr_db=None, seed=0):
    """Harmonics under two formants: ``pitches`` Hz, one for each sample."""
    phase = 2 * np.pi * np.cumsum(pitches) / rate
    signal = np.zeros(len(pitches))
    for harmonic in range(1, 40):
        f = harmonic * pitches
        level = np.exp(-(((f - 600) / 500) ** 2)) + 0.3 * np.exp(-(((f - 1800) / 400) ** 2)) + 0.05
        signal += np.cos(harmonic * phase) * level * (f < 3500)
    if snr_db is not None:
        noise = np.random.default_rng(seed).standard_normal(len(signal))
        signal += noise * np.sqrt(np.square(signal).mean() / 10 ** (snr_db / 10))
    return torch.tensor(signal / np.abs(signal).max(), dtype=torch.float32)


def features(signal, rate, **options):
    count = (len(signal) - round(0.025 * rate)) // round(SHIFT * rate) + 1
    centres = torch.arange(count) * round(SHIFT * rate) + round(0.0125 * rate)
    return pitch(
        signal[None], torch.tensor([len(signal)]), centres[None], torch.tensor([count]), rate,
        PitchOptions(**options),
    )[0], centres.numpy()  # fmt: skip


@pytest.mark.parametrize("snr_db", [None, 10, 0])
@pytest.mark.parametrize(
    ("first", "last"), [(100, 200), (250, 120), (180, 180), (75, 95), (380, 300)]
)
@pytest.mark.parametrize("rate", [8000, 16000])
def test_the_pitch_of_a_glide_is_found(rate, first, last, snr_db):
    n = rate
    truth = first * (last / first) ** (np.arange(n) / n)
    found, centres = features(voice(truth, rate, snr_db), rate)
    voicing = found[:, 2].numpy() / VOICED
    assert voicing.mean() > (0.5 if snr_db == 0 else 0.8)
    octaves = found[:, 0].numpy() / OCTAVE / voicing**2
    expected = np.log2(truth[centres])
    expected -= (expected * voicing**2).sum() / (voicing**2).sum()
    assert np.abs(octaves - expected).max() < 0.1  # a semitone is 0.083
    slope = found[5:-5, 1].numpy() / OCTAVE / voicing[5:-5] ** 2
    # over 40 ms, in steps of the grid
    assert abs(slope.mean() - np.log2(last / first) * 0.04) < 0.01


def test_noise_has_no_voice():
    torch.manual_seed(0)
    found, _ = features(0.1 * torch.randn(8000), 8000)
    assert found[:, 2].mean() < 0.5 * VOICED
    loud = voice(np.full(8000, 150.0), 8000)
    assert features(loud, 8000)[0][:, 2].mean() > 0.9 * VOICED


def test_the_level_changes_nothing_and_silence_is_none():
    signal = voice(np.linspace(120, 180, 8000), 8000)
    torch.testing.assert_close(
        features(signal, 8000)[0], features(signal * 1e-3, 8000)[0], atol=5e-3, rtol=0
    )
    assert not features(torch.zeros(8000), 8000)[0].any()


def test_posteriors_are_those_of_all_paths():
    """Against the sum over all paths through up to 4 frames of 3 lags."""
    generator = torch.Generator().manual_seed(1)
    local = torch.rand(4, 4, 3, generator=generator)
    counts = torch.tensor([4, 3, 2, 1])
    found = posteriors(local, counts, 4)
    for item, energies, n in zip(found, local, counts.tolist(), strict=True):
        paths = torch.cartesian_prod(*[torch.arange(3)] * n).reshape(-1, n)
        moves = ((paths[:, 1:] - paths[:, :-1]) / 4).square().sum(1)
        total = energies[torch.arange(n), paths].sum(1) + moves
        weights = torch.softmax(-BETA * total, 0)
        for t in range(n):
            expected = torch.stack([weights[paths[:, t] == k].sum() for k in range(3)])
            torch.testing.assert_close(item[t], expected, atol=1e-5, rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(400, 9000), min_size=1, max_size=4), st.integers(0, 800), st.integers(0, 9)
)
def test_padding_and_company_change_nothing(sizes, extra, seed):
    front = LogMel(LogMelOptions(normalisation="utterance_mean", pitch={}, endpoint={})).eval()
    rng = np.random.default_rng(seed)
    signals = [voice(np.linspace(*rng.uniform(80, 300, 2), n), 8000, 20) for n in sizes]
    padded = torch.zeros(len(sizes), max(sizes) + extra)
    for row, signal in zip(padded, signals, strict=True):
        row[: len(signal)] = signal
    together, counts = front(padded, torch.tensor(sizes))
    for i, signal in enumerate(signals):
        alone, count = front(signal[None], torch.tensor([len(signal)]))
        assert count.item() == counts[i].item()
        torch.testing.assert_close(together[i, : counts[i]], alone[0], atol=1e-2, rtol=0)
        assert not together[i, counts[i] :].any()


def test_in_training_it_follows_the_perturbed_waveform():
    """Faster by a tenth is higher by a tenth: the pitch is that of what the network hears."""
    signal = voice(np.linspace(120, 240, 12000), 8000)[None]
    augment = {
        "speed": (1.1, 1.1), "tempo": (1, 1), "vtlp": (1, 1), "trim_ms": 0, "pad_ms": 0,
        "noise_probability": 0, "eq_db": 0,
    }  # fmt: skip
    front = LogMel(LogMelOptions(normalisation="utterance_mean", pitch={}, augment=augment))
    perturbed, counts = front.train()(signal, torch.tensor([12000]))
    plain, _ = front.eval()(signal, torch.tensor([12000]))
    assert counts.tolist() == pytest.approx([148 / 1.1], abs=2)
    above = [frames[0, :, -3].max().item() for frames in (perturbed, plain)]
    assert above[0] == pytest.approx(above[1], abs=0.06 * OCTAVE)
    slopes = [frames[0, 20:-20, -2].mean().item() for frames in (perturbed, plain)]
    assert slopes[0] == pytest.approx(1.1 * slopes[1], rel=0.1)


def test_silence_around_a_word_leaves_its_pitch():
    """The margins that the end-pointer fills in have no part in the mean pitch."""
    word = voice(np.linspace(120, 240, 2400), 8000)
    around = torch.cat([torch.zeros(2400), word, torch.zeros(4000)])
    front = LogMel(LogMelOptions(pitch={}, endpoint={}, normalisation="utterance_mean")).eval()
    middle = []
    for signal in (word, around):
        frames = front(signal[None], torch.tensor([len(signal)]))[0][0]
        middle.append(frames[len(frames) // 2, -3].item() / OCTAVE)
        if signal is word:  # cut tightly: both margins were filled in
            assert not frames[:7, -3:].any() and not frames[-7:, -3:].any()
            assert frames[10:-10, -1].min() > 0
    assert middle[0] == pytest.approx(middle[1], abs=0.06)  # of the octave that it rises


def test_it_is_a_sound_front_end():
    assert_sound(check("frontends", "logmel", pitch={}, normalisation="utterance_mean"))
    assert_sound(check("frontends", "mfcc", pitch={}, endpoint={}, normalisation="utterance_mean"))


def test_statistics_of_the_corpus_leave_it_alone():
    signal = voice(np.linspace(120, 240, 6000), 8000)[None]
    front = LogMel(LogMelOptions(pitch={})).eval()  # normalisation: utterance_map
    front.fit([(signal, torch.tensor([6000]))])
    plain = LogMel(LogMelOptions(pitch={}, normalisation="none")).eval()
    first, second = (f(signal, torch.tensor([6000]))[0][..., -3:] for f in (front, plain))
    assert torch.equal(first, second) and front.output_dim == first.shape[-1] + 40


def test_bounds_are_checked():
    with pytest.raises(ConfigError, match=r"f_max \(100 Hz\) must be at least 1.5 times"):
        check("frontends", "logmel", pitch={"f_min": 90, "f_max": 100})
