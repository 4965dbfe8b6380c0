from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from seqebm_speech import sphinx
from seqebm_speech.cepstra import Cepstra, _series, _stretched, _warp
from seqebm_speech.cepstra_options import CepstraAugmentOptions, CepstraOptions

from seqebm.errors import DataError, ModelError

QUIET = {"tempo": (1, 1), "vtlp": (1, 1)}
EVERYTHING = {
    "tempo": (0.8, 1.2), "vtlp": (0.85, 1.15), "gain_db": (-6, 6), "eq_db": 4.0,
    "noise_probability": 0.7, "jitter_db": 1.0, "time_masks": 2, "frequency_masks": 2,
}  # fmt: skip


def make(augment=None, **options):
    return Cepstra(CepstraOptions(augment=CepstraAugmentOptions(**(augment or QUIET)), **options))


@pytest.fixture
def batch():
    """Three items of cepstra-like frames, garbage in the padding."""
    torch.manual_seed(3)
    spread = torch.tensor([3.0] + [0.5 * 0.85**k for k in range(12)])
    signal = torch.randn(3, 60, 13) * spread + torch.tensor([9.0] + [0.1] * 12)
    return signal, torch.tensor([60, 41, 1])


def fitted(frontend, batch):
    frontend.fit([batch])
    return frontend.eval()


@pytest.mark.parametrize(
    "normalisation", ["utterance_map", "utterance_mean", "utterance_meanvar", "global", "none"]
)
@pytest.mark.parametrize("to_mel", [0, 24])
def test_padding_and_companions_do_not_matter(batch, normalisation, to_mel):
    signal, lengths = batch
    frontend = fitted(make(to_mel=to_mel, normalisation=normalisation), batch)
    together, counts = frontend(signal, lengths)
    assert together.shape == (3, 60, 3 * (to_mel or 13)) == (3, 60, frontend.output_dim)
    assert counts.tolist() == [60, 41, 1]
    again, _ = frontend(signal, lengths)
    torch.testing.assert_close(again, together, rtol=0, atol=0)
    for i, n in enumerate(lengths.tolist()):
        alone, count = frontend(signal[i : i + 1, :n], lengths[i : i + 1])
        assert count.tolist() == [n] and alone.shape[1] == n
        torch.testing.assert_close(alone[0], together[i, :n], rtol=1e-4, atol=1e-4)
        assert (together[i, n:] == 0).all()


def test_normalisation_numbers(batch):
    signal, lengths = batch
    mean_of, _ = fitted(make(normalisation="utterance_mean", scale=False), batch)(signal, lengths)
    expected = signal[1, :41] - signal[1, :41].mean(0)
    torch.testing.assert_close(mean_of[1, :41, :13], expected, atol=1e-4, rtol=1e-4)
    meanvar, _ = fitted(make(normalisation="utterance_meanvar"), batch)(signal, lengths)
    assert (meanvar[0].std(0, correction=0) - 1).abs().max() < 0.05
    assert meanvar[0].mean(0).abs().max() < 1e-4
    scaled, _ = fitted(make(), batch)(signal, lengths)
    rows = torch.cat([scaled[0], scaled[1, :41], scaled[2, :1]])
    torch.testing.assert_close(rows.square().mean(0), torch.ones(39), atol=1e-3, rtol=1e-3)
    globally, _ = fitted(make(normalisation="global"), batch)(signal, lengths)
    rows = torch.cat([globally[0], globally[1, :41], globally[2, :1]])
    torch.testing.assert_close(rows.mean(0), torch.zeros(39), atol=1e-4, rtol=0)
    torch.testing.assert_close(rows.std(0, correction=0), torch.ones(39), atol=1e-3, rtol=1e-3)
    none, _ = make(normalisation="none", deltas=0).eval()(signal, lengths)
    torch.testing.assert_close(none[0], signal[0])


def test_statistics_are_required_saved_and_explained(batch):
    signal, lengths = batch
    frontend = make().eval()
    with pytest.raises(ModelError, match="fit"):
        frontend(signal, lengths)
    with pytest.raises(DataError, match="at least one utterance"):
        frontend.fit([])
    fitted(frontend, batch)
    other = make().eval()
    other.load_state_dict(frontend.state_dict())
    torch.testing.assert_close(other(signal, lengths), frontend(signal, lengths))
    untouched = make(scale=False)
    untouched.fit(iter(int, 1))  # an endless iterator that must not be asked
    assert not untouched.fitted


@pytest.mark.parametrize("to_mel", [0, 20])
def test_a_gain_is_undone_by_utterance_map(batch, to_mel):
    signal, lengths = batch
    frontend = fitted(make(normalisation="utterance_map", to_mel=to_mel), batch)
    louder = signal + torch.from_numpy(sphinx.dct().sum(1)).float() * 2.0
    before, _ = frontend(signal, lengths)
    after, _ = frontend(louder, lengths)
    torch.testing.assert_close(after, before, atol=2e-4, rtol=1e-4)


def test_to_mel_inverts_the_transform(batch):
    signal, lengths = batch
    bands, _ = make(to_mel=40, deltas=0, normalisation="none").eval()(signal, lengths)
    back = bands @ torch.from_numpy(sphinx.dct()).float().T
    torch.testing.assert_close(back[0], signal[0], atol=1e-4, rtol=1e-4)
    # A spectrum in the span of the cosines comes back at any number of bands.
    x = (np.arange(40) + 0.5) / 40
    spectrum = 3 + np.cos(np.pi * x) - 2 * np.cos(5 * np.pi * x)
    cepstra = torch.from_numpy(sphinx.dct() @ spectrum).float()[None, None]
    x = (np.arange(17) + 0.5) / 17
    expected = 3 + np.cos(np.pi * x) - 2 * np.cos(5 * np.pi * x)
    frontend = make(to_mel=17, deltas=0, normalisation="none").eval()
    found, _ = frontend(cepstra, torch.tensor([1]))
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-4)


def test_warps():
    series = _series(13)
    np.testing.assert_allclose(_warp(series, 1.0), np.eye(13), atol=1e-9)
    # The warped cepstra of one vowel are nearer to those of the scaled vowel than the plain ones.
    rng = np.random.default_rng(0)

    def vowel(scale):
        t = np.arange(8000) / 16000
        harmonics = 100 * np.arange(1, 70)
        envelope = sum(
            a / (1 + ((harmonics - f * scale) / (120 * scale)) ** 2)
            for f, a in ((500, 1), (1500, 0.5), (2500, 0.3))
        )
        wave = (envelope[:, None] * np.sin(2 * np.pi * harmonics[:, None] * t)).sum(0)
        return sphinx.cepstra(0.05 * wave + 1e-4 * rng.normal(size=8000))[5:40].mean(0)

    plain, target = vowel(1.0), vowel(1.15)
    error = [np.linalg.norm((_warp(series, f) @ plain - target)[1:]) for f in (1.0, 1.15, 1 / 1.15)]
    assert error[1] < 0.6 * error[0] and error[2] > error[0]


def test_stretching():
    ramp = torch.arange(40.0)[None, :, None].repeat(2, 1, 3)
    out, counts = _stretched(ramp, torch.tensor([40, 20]), torch.tensor([0.8, 1.25]))
    assert counts.tolist() == [50, 16]
    torch.testing.assert_close(out[0, :, 0], (torch.arange(50) * 0.8).clamp(max=39))
    torch.testing.assert_close(out[1, :16, 2], torch.arange(16) * 1.25)
    assert (out[1, 16:] == 0).all()


@pytest.mark.parametrize("to_mel", [0, 24])
def test_perturbations_follow_the_seed_and_do_not_leak(batch, to_mel):
    signal, lengths = batch
    options = dict(EVERYTHING)
    if not to_mel:
        options["frequency_masks"] = 0
    frontend = fitted(make(options, to_mel=to_mel), batch)
    plain, _ = frontend(signal, lengths)
    frontend.train()

    def draw(x, seed):
        torch.manual_seed(seed)
        return frontend(x, lengths)

    first, counts = draw(signal, 0)
    assert torch.isfinite(first).all()
    assert all(0.8 * n <= c * 1.05 + 1 for n, c in zip(lengths, counts, strict=True))
    torch.testing.assert_close(draw(signal, 0), (first, counts), rtol=0, atol=0)
    assert draw(signal, 1)[0].shape != first.shape or not torch.equal(draw(signal, 1)[0], first)
    for i, n in enumerate(counts.tolist()):
        assert (first[i, n:] == 0).all()
    garbage = signal.clone()
    garbage[1, 41:] = 1e6
    torch.testing.assert_close(draw(garbage, 0), (first, counts))
    frontend.eval()
    torch.testing.assert_close(frontend(signal, lengths)[0], plain, rtol=0, atol=0)


@pytest.mark.parametrize(
    "name", ["tempo", "vtlp", "gain_db", "eq_db", "noise_probability", "jitter_db", "time_masks"]
)
def test_each_perturbation_acts_alone_and_can_be_switched_off(batch, name):
    signal, lengths = batch
    frontend = make(QUIET | {name: EVERYTHING[name]}, normalisation="none").train()
    plain, _ = make(normalisation="none").train()(signal, lengths)
    frames, _ = frontend(signal, lengths)
    assert frames.shape != plain.shape or not torch.allclose(frames, plain)
    off = make({"enabled": False, name: EVERYTHING[name]}, normalisation="none").train()
    torch.testing.assert_close(off(signal, lengths)[0], plain)
    if name in ("gain_db", "eq_db"):  # a constant of each utterance
        difference = (frames - plain)[0, :, :13]
        torch.testing.assert_close(difference, difference[:1].expand(60, -1), atol=1e-4, rtol=1e-4)


def test_noise_has_the_power_asked_for():
    # Flat spectra at different levels: noise at 0 dB doubles the mean power.
    torch.manual_seed(0)
    levels = torch.linspace(0, 4, 400)
    signal = (levels[:, None] * torch.from_numpy(sphinx.dct().sum(1)).float())[None]
    options = QUIET | {"noise_probability": 1.0, "snr_db": (0, 0)}
    frontend = make(options, normalisation="none", deltas=0, to_mel=40, dimension=13).train()
    ratios = []
    for _ in range(20):
        bands, _ = frontend(signal, torch.tensor([400]))
        ratios.append(float(bands.exp().mean() / levels.exp().mean()))
    assert math.log10(np.mean(ratios)) * 10 == pytest.approx(3.0, abs=1.0)


def test_masks_show_the_mean(batch):
    signal, lengths = batch
    options = QUIET | {
        "time_masks": 1,
        "time_mask_ms": 200,
        "time_mask_fraction": 0.5,
        "frequency_masks": 1,
        "frequency_mask": 5,
    }
    frontend = make(options, to_mel=24, deltas=0, normalisation="utterance_mean", scale=False)
    torch.manual_seed(1)
    frames, _ = frontend.train()(signal, lengths)
    plain, _ = make(to_mel=24, deltas=0, scale=False).eval()(signal, lengths)
    same = (frames - plain).abs() < 0.5
    assert 0.5 < same[0].float().mean() < 1.0
    bands = (~same[0]).float().mean(0)
    assert ((bands > 0.9).sum() <= 5) and frames[0][~same[0]].std() < plain[0].std()


def test_refusals(batch):
    signal, lengths = batch
    frontend = make(normalisation="none", limit=0.5).eval()
    with pytest.raises(DataError, match=r"item 0 lasts 0\.6 s"):
        frontend(signal, lengths)
    with pytest.raises(DataError, match="0 frames"):
        frontend(signal, torch.tensor([5, 0, 1]))
    with pytest.raises(DataError, match="exceeds its row"):
        frontend(signal[:, :10], torch.tensor([10, 11, 1]))
    with pytest.raises(DataError, match="is 'dimension' right"):
        frontend(signal[..., :12], lengths)
    with pytest.raises(DataError, match="wants frames"):
        frontend(signal[..., 0], lengths)
    with pytest.raises(ValidationError, match="at least dimension"):
        CepstraOptions(to_mel=5)
    with pytest.raises(ValidationError, match="no bands to mask"):
        make(QUIET | {"frequency_masks": 1})
    with pytest.raises(ValidationError, match="low <= high"):
        CepstraAugmentOptions(tempo=(1.1, 0.9))


def test_half_precision_regions_keep_float32(batch):
    signal, lengths = batch
    frontend = fitted(make(to_mel=24), batch)
    plain, _ = frontend(signal, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(frontend(signal, lengths)[0], plain)


def test_jitter_has_the_deviation_asked_for():
    torch.manual_seed(0)
    options = QUIET | {"jitter_db": 10 * math.log10(math.e)}  # deviation 1 in log power
    frontend = make(options, normalisation="none", deltas=0).train()
    frames, _ = frontend(torch.zeros(1, 3000, 13), torch.tensor([3000]))
    expected = sphinx.dct() @ sphinx.dct().T  # covariance of the transform of white noise
    found = np.cov(frames[0].numpy().T)
    np.testing.assert_allclose(found, expected, atol=0.1 * expected.max())
