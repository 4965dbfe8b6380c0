from __future__ import annotations

import math

import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st
from seqebm_speech.augment import mel_filters
from seqebm_speech.frontend import MFCC, LogMel
from seqebm_speech.options import LogMelOptions, MFCCOptions

from seqebm.errors import ConfigError, DataError, ModelError
from seqebm.hooks.registry import validate

NORMALISATIONS = ("utterance_map", "utterance_mean", "utterance_meanvar", "global", "none")


def speech(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, generator=g)
    return 0.1 * noise.cumsum(0) / n**0.5 + 0.05 * noise


def one(frontend, wave):
    frames, counts = frontend.eval()(wave[None], torch.tensor([len(wave)]))
    assert frames.shape == (1, int(counts[0]), frontend.output_dim)
    return frames[0]


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 2500), min_size=1, max_size=4),
    extra=st.integers(0, 900),
    how=st.sampled_from(NORMALISATIONS),
    deltas=st.integers(0, 2),
    cepstral=st.booleans(),
    garbage=st.sampled_from([0.0, 1e3, math.nan]),
)
def test_padding_changes_nothing(sizes, extra, how, deltas, cepstral, garbage):
    kind, options = (MFCC, MFCCOptions) if cepstral else (LogMel, LogMelOptions)
    frontend = kind(options(normalisation=how, deltas=deltas)).eval()
    waves = [speech(n, seed=n) for n in sizes]
    frontend.fit([(speech(4000)[None], torch.tensor([4000]))])
    batch = torch.full((len(sizes), max(sizes) + extra), garbage)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave
    frames, counts = frontend(batch, torch.tensor(sizes))
    assert frames.dtype == torch.float32 and counts.dtype == torch.int64
    assert torch.isfinite(frames).all()
    for i, wave in enumerate(waves):
        alone = one(frontend, wave)
        assert len(alone) == counts[i] == 1 + max(0, len(wave) - 200) // 80
        torch.testing.assert_close(frames[i, : counts[i]], alone, atol=1e-5, rtol=1e-5)
        assert (frames[i, counts[i] :] == 0).all()


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_logmel_agrees_with_torchaudio(scale):
    options = LogMelOptions(
        normalisation="none", preemphasis=0, floor="absolute", floor_db=100, mel_scale=scale,
        f_min=50, f_max=3900, mels=23,
    )  # fmt: skip
    wave = speech(4000)
    theirs = torchaudio.transforms.MelSpectrogram(
        8000, n_fft=256, win_length=200, hop_length=80, f_min=50, f_max=3900, n_mels=23,
        center=False, mel_scale=scale,
    )  # fmt: skip
    # torchaudio centres the window in the transform: the 28 samples on either side are ignored.
    want = theirs(torch.nn.functional.pad(wave, (28, 28))).clamp(min=1e-10).log().T
    torch.testing.assert_close(one(LogMel(options), wave), want, atol=1e-4, rtol=1e-4)


def test_mfcc_agrees_with_torchaudio():
    options = MFCCOptions(normalisation="none", preemphasis=0, floor_db=80, f_min=0, mels=23)
    wave = speech(4000)
    theirs = torchaudio.transforms.MFCC(
        8000, 13, melkwargs={"n_fft": 256, "win_length": 200, "hop_length": 80, "n_mels": 23,
                             "center": False},
    )  # fmt: skip
    want = theirs(torch.nn.functional.pad(wave, (28, 28))).T * math.log(10) / 10  # dB to nepers
    torch.testing.assert_close(one(MFCC(options), wave), want, atol=1e-3, rtol=1e-3)


def test_deltas_agree_with_torchaudio():
    wave = speech(4000)
    static = one(LogMel(LogMelOptions(normalisation="none")), wave)
    both = one(LogMel(LogMelOptions(normalisation="none", deltas=2)), wave)
    first = torchaudio.functional.compute_deltas(static.T)
    second = torchaudio.functional.compute_deltas(first)
    want = torch.cat([static, first.T, second.T], 1)
    torch.testing.assert_close(both, want, atol=1e-4, rtol=1e-4)


def test_lifter():
    wave = speech(4000)
    plain = one(MFCC(MFCCOptions(normalisation="none")), wave)
    lifted = one(MFCC(MFCCOptions(normalisation="none", lifter=22)), wave)
    n = torch.arange(13)
    torch.testing.assert_close(lifted, plain * (1 + 11 * torch.sin(math.pi * n / 22)))


def test_normalisations():
    wave = speech(6000)
    mean = one(LogMel(LogMelOptions(normalisation="utterance_mean")), wave)
    assert mean.mean(0).abs().max() < 1e-4
    both = one(LogMel(LogMelOptions(normalisation="utterance_meanvar")), wave)
    assert (both.std(0, correction=0) - 1).abs().max() < 0.05
    frontend = LogMel(LogMelOptions(normalisation="global"))
    with pytest.raises(ModelError, match="fit"):
        one(frontend, wave)
    frontend.train().fit([(wave[None], torch.tensor([6000]))])
    assert frontend.training
    frames = one(frontend.eval(), wave)
    assert frames.mean(0).abs().max() < 1e-4
    assert (frames.std(0, correction=0) - 1).abs().max() < 1e-3
    other = LogMel(LogMelOptions(normalisation="global")).eval()
    other.load_state_dict(frontend.state_dict())
    assert torch.equal(one(other, wave), frames)
    with pytest.raises(DataError, match="at least one"):
        frontend.fit([])


def test_fit_leaves_the_data_alone_unless_needed():
    def broken():
        raise AssertionError
        yield

    LogMel(LogMelOptions(normalisation="utterance_mean")).fit(broken())


@pytest.mark.parametrize("cepstral", [False, True])
def test_map_normalisation_shrinks_to_the_corpus(cepstral):
    kind, options = (MFCC, MFCCOptions) if cepstral else (LogMel, LogMelOptions)
    wave, corpus = speech(6000, seed=1), speech(9000, seed=2)

    def frames(prior: float, gain: float = 1.0, how: str = "utterance_map"):
        frontend = kind(options(normalisation=how, prior_frames=prior, deltas=1)).eval()
        frontend.fit([(corpus[None], torch.tensor([9000]))])
        return one(frontend, wave * gain)

    torch.testing.assert_close(frames(0), frames(0, how="utterance_mean"), atol=1e-4, rtol=1e-4)
    n = len(frames(0))
    # With as many frames from the corpus as from the utterance, half of each mean is subtracted.
    halfway = (frames(0) + frames(1e9)) / 2
    torch.testing.assert_close(frames(n), halfway, atol=1e-3, rtol=1e-3)
    # The gain goes entirely, whatever the prior.
    torch.testing.assert_close(frames(1e9, gain=0.1), frames(1e9), atol=1e-2, rtol=1e-2)
    with pytest.raises(ModelError, match="utterance_map has no statistics"):
        one(kind(options()).eval(), wave)


@pytest.mark.parametrize("floor", ["relative", "absolute"])
def test_silence_is_finite(floor):
    frontend = LogMel(
        LogMelOptions(
            normalisation="utterance_mean", floor=floor, augment={"noise_probability": 1.0}
        )
    )
    for mode in (True, False):
        frames, _ = frontend.train(mode)(torch.zeros(2, 1000), torch.tensor([1000, 3]))
        assert torch.isfinite(frames).all()


def test_relative_floor_ignores_the_gain():
    frontend = LogMel(LogMelOptions(normalisation="none")).eval()
    loud, quiet = (one(frontend, speech(4000) * a) for a in (1.0, 0.1))
    torch.testing.assert_close(loud - math.log(100), quiet, atol=1e-3, rtol=1e-3)
    assert loud.max() - loud.min() <= 5 * math.log(10) + 1e-4


@pytest.mark.parametrize(
    ("signal", "lengths", "words"),
    [
        (torch.zeros(2, 100), [100, 0], "item 1 of the batch has 0 samples"),
        (torch.zeros(1, 100), [101], "exceeds its row"),
        (torch.zeros(1, 8000), [8000], "over the limit of 0.5 s"),
        (torch.zeros(100), [100], "wants signals"),
        (torch.zeros(2, 100), [100], "wants signals"),
    ],
)
def test_bad_batches(signal, lengths, words):
    with pytest.raises(DataError, match=words):
        LogMel(LogMelOptions(limit=0.5))(signal, torch.tensor(lengths))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"melz": 3}, "Did you mean 'mels'"),
        ({"augment": {"sped": [1, 1]}}, "augment.sped: unknown key. Did you mean 'speed'"),
        ({"f_min": 4000}, "must be below f_max"),
        ({"f_max": 5000}, "above half the rate"),
        ({"fft": 128}, "shorter than the window"),
        ({"cepstra": 41}, "must not exceed mels"),
        ({"augment": {"vtlp": [1.1, 0.9]}}, "low <= high"),
        ({"rate": 0}, "greater than or equal to 1000"),
    ],
)
def test_bad_options(values, words):
    with pytest.raises(ConfigError) as caught:
        validate(MFCCOptions, values, "frontend")
    assert words in str(caught.value)


def test_fft_size():
    assert LogMel(LogMelOptions()).fft == 256
    fine = LogMel(LogMelOptions(mels=128))
    assert fine.fft > 256 and (fine.filters.sum(0) > 0).all()
    with pytest.raises(ConfigError, match=f"use fft: {fine.fft}"):
        LogMel(LogMelOptions(mels=128, fft=256))


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_warped_filters(scale):
    options = LogMelOptions(mel_scale=scale)
    plain = mel_filters(256, options)
    torch.testing.assert_close(mel_filters(256, options, 1 + 1e-7), plain, atol=1e-3, rtol=0)
    bins = torch.arange(129.0)[:, None]

    def centre(warp):
        filters = mel_filters(256, options, warp)
        assert (filters.sum(0) > 0).all()
        return (filters * bins).sum(0) / filters.sum(0)

    # A factor above 1 moves the spectrum up, so that a filter takes its energy from lower bins.
    middle = slice(10, 30)
    ratio = centre(1.0)[middle] / centre(1.2)[middle]
    assert (ratio - 1.2).abs().max() < 0.06


def test_attributes_that_a_model_needs():
    frontend = MFCC(MFCCOptions(deltas=1, rate=16000, shift_ms=12.5, limit=7))
    assert (frontend.reads, frontend.rate, frontend.limit) == ("audio", 16000, 7)
    assert (frontend.output_dim, frontend.frame_shift) == (26, 0.0125)
    assert not list(frontend.parameters())
