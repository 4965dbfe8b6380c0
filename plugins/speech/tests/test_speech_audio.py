from __future__ import annotations

import logging
import struct
import time

import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st
from seqebm_speech import audio, resampling
from seqebm_speech.audio import AudioReader
from seqebm_speech.options import AudioOptions

from seqebm.errors import DataError
from seqebm.hooks import Reader


@pytest.fixture
def reader():
    return AudioReader()


@pytest.fixture(autouse=True)
def nothing_announced():
    audio._announced.clear()


def fails(reader, path, *words, **arguments):
    with pytest.raises(DataError) as caught:
        reader.read(path, 8000, **arguments)
    message = str(caught.value)
    assert str(path) in message
    for word in words:
        assert word in message
    return message


def test_follows_the_protocol(reader):
    assert isinstance(reader, Reader)
    assert reader.kind == "audio"
    assert ".wav" in reader.suffixes


@pytest.mark.parametrize(
    ("ending", "kind", "subtype", "tolerance"),
    [
        ("wav", "WAV", "PCM_16", 1e-4),
        ("wav", "WAV", "FLOAT", 0),
        ("wav", "WAV", "PCM_U8", 2e-2),
        ("flac", "FLAC", "PCM_16", 1e-4),
        ("aiff", "AIFF", "PCM_24", 1e-6),
        ("au", "AU", "PCM_16", 1e-4),
        ("ogg", "OGG", "VORBIS", 0.1),
        ("opus", "OGG", "OPUS", None),
        ("mp3", "MP3", None, None),
    ],
)
def test_reads_what_libsndfile_reads(reader, tmp_path, tone, ending, kind, subtype, tolerance):
    wave = tone(1.0)
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, wave, 8000, format=kind, subtype=subtype)
    got = reader.read(path, 8000)
    assert got.dtype == np.float32 and got.ndim == 1
    assert abs(len(got) - len(wave)) <= (0 if tolerance is not None else 2304)
    if tolerance is not None:
        assert np.abs(got - wave).max() <= tolerance
    assert path.suffix in reader.suffixes


def test_missing(reader, tmp_path):
    fails(reader, tmp_path / "no.wav", "no such file")


def test_directory(reader, tmp_path):
    fails(reader, tmp_path, "directory")


def test_empty(reader, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    fails(reader, tmp_path / "a.wav", "0 bytes")


@pytest.mark.parametrize("content", [b"\x00" * 5000, b"hello world\n" * 100, b"RIFF", b"ID3"])
def test_not_audio(reader, tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    fails(reader, tmp_path / "a.wav", "not audio")


def test_no_samples(reader, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.float32), 8000)
    fails(reader, tmp_path / "a.wav", "0 samples")


@pytest.mark.parametrize(
    ("ending", "kind", "subtype"),
    [
        ("wav", "WAV", "PCM_16"),
        ("rf64", "RF64", "PCM_16"),
        ("w64", "W64", "PCM_16"),
        ("aiff", "AIFF", "PCM_16"),
        ("au", "AU", "PCM_16"),
        ("flac", "FLAC", "PCM_16"),
        ("mp3", "MP3", None),
    ],
)
def test_truncated(reader, tmp_path, tone, ending, kind, subtype):
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, tone(2.0), 8000, format=kind, subtype=subtype)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    fails(reader, path, "truncated", "again")


def test_header_alone_is_truncated(reader, tmp_path, tone):
    soundfile.write(tmp_path / "a.wav", tone(), 8000)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[:44])
    fails(reader, tmp_path / "a.wav", "truncated")


def test_a_wav_from_a_pipe_has_no_true_length(reader, tmp_path, tone):
    wave = tone()
    path = tmp_path / "a.wav"
    soundfile.write(path, wave, 8000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(bytes(content))
    assert len(reader.read(path, 8000)) == len(wave)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(reader, tmp_path, tone, value):
    wave = tone()
    wave[1234] = value
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype="FLOAT")
    fails(reader, tmp_path / "a.wav", "sample 1234")
    fails(reader, tmp_path / "a.wav", "sample 1234", start=1000, stop=2000)
    assert len(reader.read(tmp_path / "a.wav", 8000, stop=1234)) == 1234


def test_three_hours_are_refused_before_decoding(reader, tmp_path):
    path = tmp_path / "a.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        for _ in range(180):
            file.write(np.zeros(60 * 8000, np.int16))
    began = time.perf_counter()
    message = fails(reader, path, "3.0 h", "limit of 30 s", limit=30.0)
    assert time.perf_counter() - began < 0.5
    assert "segments" in message
    assert len(reader.read(path, 8000, start=9 * 10**7 - 8 * 10**6, stop=82100000, limit=30)) > 0


@pytest.mark.parametrize(
    ("start", "stop"), [(-1, None), (0, 4001), (100, 100), (200, 100), (4000, None), (None, 0)]
)
def test_segment_outside(reader, tmp_path, tone, start, stop):
    soundfile.write(tmp_path / "a.wav", tone(0.5), 8000)
    fails(reader, tmp_path / "a.wav", "4000 samples", start=start, stop=stop)


def test_absurd_rate(reader, tmp_path, tone):
    soundfile.write(tmp_path / "a.wav", tone(), 7)
    fails(reader, tmp_path / "a.wav", "7 Hz")
    with pytest.raises(DataError, match="7 Hz"):
        reader.file_rate(tmp_path / "a.wav")


def test_file_rate(reader, tmp_path, tone):
    soundfile.write(tmp_path / "a.wav", tone(), 11025)
    assert reader.file_rate(tmp_path / "a.wav") == 11025


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_segment_equals_slice(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "segment.flac"
    if not path.exists():
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (150_000, 2))
        soundfile.write(path, noise, 8000)
    start = data.draw(st.integers(0, 149_999))
    stop = data.draw(st.integers(start + 1, 150_000))
    whole = AudioReader().read(path, 8000)
    part = AudioReader().read(path, 8000, start, stop)
    assert np.array_equal(part, whole[start:stop])


def test_mixdown(tmp_path, tone):
    left, right = tone(seed=1), tone(hertz=1000, seed=2)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([left, right], 1), 8000, subtype="FLOAT")
    assert np.allclose(AudioReader().read(path, 8000), (left + right) / 2, atol=1e-7)
    first = AudioReader(AudioOptions(mixdown="first"))
    assert np.array_equal(first.read(path, 8000), left)


def test_announced_once(reader, tmp_path, tone, caplog):
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.stack([tone(rate=44100)] * 2, 1), 44100)
    soundfile.write(tmp_path / "c.wav", tone(rate=16000), 16000)
    with caplog.at_level(logging.WARNING):
        for name in ("a.wav", "b.wav", "a.wav", "c.wav", "c.wav"):
            assert len(reader.read(tmp_path / name, 8000)) == 4000
    said = [r.getMessage() for r in caplog.records]
    assert len(said) == 3
    assert "2 channels are mixed down" in said[0]
    assert "44100 Hz is resampled to 8000 Hz (said once)" in said[1]
    assert "16000 Hz" in said[2]


def test_no_news_at_the_right_rate(reader, tmp_path, tone, caplog):
    soundfile.write(tmp_path / "a.wav", tone(), 8000)
    reader.read(tmp_path / "a.wav", 8000)
    assert not caplog.records


@settings(max_examples=25, deadline=None)
@given(
    rates=st.sampled_from([(44100, 8000), (8000, 44100), (16000, 8000), (9, 10), (48000, 11025)]),
    length=st.integers(1, 3000),
)
def test_resampling_agrees_with_torchaudio(rates, length):
    old, new = rates
    wave = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    ours = resampling.resample(wave, old, new)
    theirs = torchaudio.functional.resample(torch.from_numpy(wave), old, new).numpy()
    assert ours.shape == theirs.shape
    # torchaudio makes its filters in float32.
    assert np.abs(ours - theirs).max() < 1e-4
    batch = resampling.resample_batch(torch.from_numpy(wave)[None], *resampling.ratio(old, new))
    assert np.allclose(batch[0], ours, atol=1e-5)


def test_resampling_of_rates_without_a_divisor():
    t = np.arange(44101)
    wave = np.sin(2 * np.pi * 440 * t / 44101).astype(np.float32)
    got = resampling.resample(wave, 44101, 8000)
    assert len(got) == 8000
    want = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    assert np.abs(got - want)[200:-200].max() < 2e-2
    assert len(resampling.resample(wave[:1], 44101, 8000)) == 1


def test_a_header_that_claims_too_much_does_not_take_the_memory(reader, tmp_path, tone):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(), 8000)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the total number of samples, 36 bits of STREAMINFO
    content[22:26] = b"\xff" * 4
    path.write_bytes(bytes(content))
    fails(reader, path, "truncated")
    fails(reader, path, "limit of 30 s", limit=30)


def test_without_permission(reader, tmp_path, tone, monkeypatch):
    soundfile.write(tmp_path / "a.wav", tone(), 8000)
    monkeypatch.setattr(audio.os, "access", lambda *_: False)
    fails(reader, tmp_path / "a.wav", "permission")


@pytest.mark.parametrize("bytes_a_second", [0, 1, 9000, 10**6])
def test_adpcm_of_other_programs(reader, tmp_path, tone, bytes_a_second):
    """What they say of bytes a second differs, and says nothing about the length."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 8000, subtype="MS_ADPCM")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"fmt ") + 16, bytes_a_second)
    path.write_bytes(data)
    assert len(reader.read(path, 8000)) == len(tone())
    path.write_bytes(data[:-1000])
    fails(reader, path, "truncated")


def test_what_cannot_be_read_can_be_converted(reader, tmp_path):
    path = tmp_path / "voice.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A \0\0\2\0isomiso2" + bytes(100))
    fails(reader, path, "ffmpeg -i voice.m4a voice.wav")
