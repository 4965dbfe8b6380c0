from __future__ import annotations

import pytest
import torch
from seqebm_speech.augment import Augment, _spans, _speed_grid
from seqebm_speech.frontend import LogMel
from seqebm_speech.options import LogMelOptions

OFF = {
    "speed": (1, 1), "tempo": (1, 1), "vtlp": (1, 1), "trim_ms": 0, "pad_ms": 0,
    "noise_probability": 0, "eq_db": 0, "time_masks": 0, "frequency_masks": 0,
}  # fmt: skip
EACH = {
    "speed": {"speed": (0.8, 1.25)},
    "tempo": {"tempo": (0.8, 1.25)},
    "vtlp": {"vtlp": (0.85, 1.15)},
    "trim": {"trim_ms": 30},
    "pad": {"pad_ms": 60},
    "noise": {"noise_probability": 1.0, "snr_db": (0, 10)},
    "room": {"room_probability": 1.0},
    "clip": {"clip_probability": 1.0},
    "gain": {"gain_db": (-10, 10)},
    "tilt": {"tilt_db": 10},
    "eq": {"eq_db": 5},
    "time mask": {"time_masks": 2, "time_mask_ms": 100},
    "frequency mask": {"frequency_masks": 2},
}


def frontend(**augment):
    return LogMel(LogMelOptions(normalisation="none", augment={**OFF, **augment}))


def batch(items=6, n=4000):
    g = torch.Generator().manual_seed(5)
    lengths = torch.randint(150, n + 1, (items,), generator=g)
    lengths[0] = n
    signal = torch.randn(items, n, generator=g) * 0.1
    return signal * (torch.arange(n) < lengths[:, None]), lengths


@pytest.mark.parametrize("name", EACH)
def test_acts_in_training_only_and_is_seeded(name):
    module = frontend(**EACH[name])
    signal, lengths = batch()
    plain, counts = frontend().train()(signal, lengths)
    quiet, quiet_counts = module.eval()(signal, lengths)
    assert torch.equal(quiet, plain) and torch.equal(quiet_counts, counts)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        frames, counts = module.train()(signal, lengths)
        assert torch.isfinite(frames).all()
        assert frames.shape[:2] == (len(signal), int(counts.max()))
        assert (counts >= 1).all()
        for i, n in enumerate(counts.tolist()):
            assert (frames[i, n:] == 0).all()
        results.append(frames)
    assert torch.equal(results[0], results[1])
    assert results[0].shape != results[2].shape or not torch.equal(results[0], results[2])
    assert results[0].shape != plain.shape or not torch.equal(results[0], plain)


def test_defaults_train_on_the_shortest():
    module = LogMel().train()
    module.fit([batch()])
    for n in (1, 2, 50, 199, 200, 201):
        for _ in range(5):
            frames, counts = module(torch.randn(3, n), torch.full((3,), n))
            assert torch.isfinite(frames).all() and (counts >= 1).all()


def test_enabled_false_is_off():
    module = LogMel(LogMelOptions(augment={"enabled": False}))
    signal, lengths = batch()
    module.fit([(signal, lengths)])
    assert torch.equal(module.train()(signal, lengths)[0], module.eval()(signal, lengths)[0])


def test_speed_moves_the_pitch_and_the_length():
    augment = Augment(LogMelOptions(augment={**OFF, "speed": (1.25, 1.25)}), 256)
    t = torch.arange(8000) / 8000
    out, lengths = augment.waveform(torch.sin(2 * torch.pi * 400 * t)[None], torch.tensor([8000]))
    assert lengths.tolist() == [6400] and out.shape == (1, 6400)
    spectrum = torch.fft.rfft(out[0]).abs()
    assert spectrum.argmax() * 8000 / 6400 == pytest.approx(500, abs=2)


def test_speed_grid():
    assert _speed_grid((0.9, 1.1), 0.05) == [(9, 10), (19, 20), (1, 1), (21, 20), (11, 10)]
    assert _speed_grid((1, 1), 0.05) == [(1, 1)]
    assert _speed_grid((1.02, 1.03), 0.05) == [(41, 40)]


def test_tempo_changes_the_number_of_frames():
    signal, lengths = batch(40)
    plain = frontend()(signal, lengths)[1]
    counts = frontend(tempo=(0.5, 0.8)).train()(signal, lengths)[1]
    long = plain > 4
    ratio = counts[long] / plain[long]
    assert ratio.min() > 1.1 and ratio.max() < 2.2


@pytest.mark.parametrize("kind", ["white", "pink", "speech", "coloured"])
def test_noise_has_the_ratio_and_the_colour(kind):
    options = LogMelOptions(
        augment={**OFF, "noise_probability": 1.0, "noise_kinds": [kind], "snr_db": (7, 7)}
    )
    t = torch.arange(8000) / 8000
    clean = torch.sin(2 * torch.pi * 1000 * t).expand(20, -1).clone()
    clean[:, 6000:] = 0
    lengths = torch.full((20,), 6000)
    out, _ = Augment(options, 256).waveform(clean, lengths)
    noise = out - clean
    assert (noise[:, 6000:] == 0).all()
    ratio = 10 * torch.log10(clean.square().sum(1) / noise.square().sum(1))
    assert (ratio - 7).abs().max() < 0.01
    power = torch.fft.rfft(noise[:, :6000]).abs().square().mean(0)
    low, high = power[400:800].mean(), power[1600:].mean()  # 533 to 1067 Hz, above 2133 Hz
    fall = float(10 * torch.log10(low / high))
    bounds = {"white": (-1, 1), "pink": (3, 8), "speech": (10, 20), "coloured": (-10, 30)}[kind]
    assert bounds[0] < fall < bounds[1]


def test_noise_probability():
    options = LogMelOptions(augment={**OFF, "noise_probability": 0.3})
    clean = torch.randn(400, 300)
    torch.manual_seed(0)
    out, _ = Augment(options, 256).waveform(clean, torch.full((400,), 300))
    share = (out != clean).any(1).float().mean()
    assert 0.2 < share < 0.4


def test_ends_keep_most_of_the_utterance():
    options = LogMelOptions(augment={**OFF, "trim_ms": 1000, "pad_ms": 10})
    signal, lengths = torch.ones(50, 800), torch.full((50,), 800)
    out, new = Augment(options, 256).waveform(signal, lengths)
    assert new.min() >= 600 and new.max() <= 800 + 160
    assert ((out.sum(1) >= 600) & (out.sum(1) <= 800)).all()


def test_masks_are_limited_by_the_length():
    sizes = torch.tensor([3, 10, 40]).repeat(200)
    spans = _spans(sizes, (sizes * 0.2).clamp(max=6.0), 40)
    widths = spans.sum(1).view(200, 3)
    assert widths.amax(0).tolist() == [0, 2, 6] and widths.amin(0).tolist() == [0, 0, 0]
    assert not (spans & (torch.arange(40) >= sizes[:, None])).any()


def test_masked_frames_hold_the_mean():
    module = frontend(time_masks=1, time_mask_ms=200, time_mask_fraction=1.0).train()
    signal = torch.randn(1, 8000)
    torch.manual_seed(0)
    plain = module.eval()(signal, torch.tensor([8000]))[0][0]
    masked = module.train()(signal, torch.tensor([8000]))[0][0]
    changed = (masked != plain).all(1)
    assert 0 < changed.sum() <= 20
    torch.testing.assert_close(masked[changed][0], plain.mean(0))


def test_vtlp_draws_from_the_grid():
    augment = Augment(LogMelOptions(augment={"vtlp": (0.8, 1.2), "vtlp_steps": 5}), 256)
    assert augment.bank.shape == (5, 129, 40)
    assert augment.warped_filters(7).shape == (7, 129, 40)
    torch.testing.assert_close(augment.bank[2], LogMel().filters)


def test_a_room_adds_echoes_of_the_energy_that_was_asked_for():
    module = frontend(room_probability=1.0, room_db=(6, 6), room_s=(0.3, 0.3)).train()
    signal = torch.zeros(2, 8000)
    signal[:, 100] = 1.0  # an impulse: what comes after it is the room's response
    lengths = torch.tensor([8000, 1000])
    wet, counts = module.augment.waveform(signal, lengths)
    assert torch.equal(counts, lengths) and not wet[1, 1000:].any()
    torch.testing.assert_close(wet[:, 100], torch.ones(2))
    for part in (wet[:, :100], wet[:, 101:116]):  # walls are 2 ms away
        assert part.abs().max() < 1e-6
    echoes = wet[0, 116:]
    assert 10 * torch.log10(1 / echoes.square().sum()) == pytest.approx(6, abs=0.1)
    early, late = (echoes[a : a + 400].square().mean() for a in (0, 1200))
    assert 10 * torch.log10(early / late) == pytest.approx(60 * 0.15 / 0.3, abs=4)


def test_clipping_is_below_the_peak_by_what_was_asked_for():
    module = frontend(clip_probability=1.0, clip_db=12.0).train()
    signal, lengths = batch()
    clipped, _ = module.augment.waveform(signal, lengths)
    ratio = signal.abs().amax(1) / clipped.abs().amax(1)
    assert (ratio >= 1).all() and (ratio <= 10 ** (12 / 20) + 1e-4).all() and (ratio > 1.1).any()
    inside = signal.abs() < clipped.abs().amax(1, keepdim=True)
    torch.testing.assert_close(clipped[inside], signal[inside])
