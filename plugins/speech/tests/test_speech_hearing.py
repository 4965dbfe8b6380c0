"""Recordings without sound, channels that do not belong together, and streams' headers."""

from __future__ import annotations

import io
import logging
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from seqebm_speech import audio, streamed
from seqebm_speech.audio import AudioReader
from seqebm_speech.hearing import ENOUGH, Hearing

from seqebm.errors import DataError

RATE = 8000
N = 1200


def voice(seed: int, level: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rough = np.repeat(rng.normal(size=N // 4), 4) * np.hanning(N)
    return (level * rough / np.abs(rough).max()).astype(np.float32)


@pytest.fixture
def said(caplog, monkeypatch):
    """``said(columns, **options)``: the samples read, and the warnings."""
    monkeypatch.setattr(audio, "_announced", set())

    def make(path, columns, channel=None, mixdown="mean"):
        soundfile.write(path, np.stack(columns, 1), RATE, subtype="FLOAT")
        caplog.clear()
        reader = AudioReader(AudioReader.Options(mixdown=mixdown))
        with caplog.at_level(logging.WARNING):
            samples = reader.read(path, RATE, channel=channel)
        return samples, [r.getMessage() for r in caplog.records if "(said once)" not in r.message]

    return make


ONE, TWO = voice(1), voice(2)


@pytest.mark.parametrize(
    ("columns", "words", "is_like"),
    [
        ([ONE], [], ONE),
        ([np.zeros(N, np.float32)], ["digital silence", "microphone on"], None),
        ([np.full(N, 0.25, np.float32)], ["constant (0.25), without sound"], None),
        ([ONE + 0.25], [], ONE + 0.25),
        ([1e-6 * ONE], ["digital silence"], None),
        ([0.001 * ONE], [], 0.001 * ONE),
        ([ONE, ONE], [], ONE),
        ([ONE, 0.3 * ONE], [], 0.65 * ONE),
        ([ONE, 0 * ONE], [], 0.5 * ONE),
        ([ONE, -ONE], ["cancel each other", "the first is taken", "mixdown=first"], ONE),
        ([ONE, -0.8 * ONE], ["cancel each other"], ONE),
        ([ONE, TWO], ["nothing in common", "mixdown=first", "fifth field in segments"], None),
        ([ONE, 0.7 * ONE + 0.3 * TWO], [], None),
        ([ONE, 0.01 * TWO], [], None),
    ],
)
def test_what_is_said_of_a_recording(said, tmp_path, columns, words, is_like):
    samples, messages = said(tmp_path / "a.wav", columns)
    assert len(messages) == bool(words), messages
    assert all(word in messages[0] for word in words)
    if is_like is not None:
        np.testing.assert_allclose(samples, is_like, atol=1e-6)


def test_a_channel_can_be_chosen(said, tmp_path):
    both = [ONE, TWO]
    for chosen, want in ((0, ONE), (1, TWO)):
        samples, messages = said(tmp_path / "a.wav", both, channel=chosen)
        np.testing.assert_array_equal(samples, want)
        assert not messages
        np.testing.assert_array_equal(said(tmp_path / "a.wav", both, mixdown=chosen)[0], want)
    np.testing.assert_array_equal(said(tmp_path / "a.wav", both, mixdown="first")[0], ONE)
    with pytest.raises(DataError, match=r"has no channel 2: it has 2 channels, 0 to 1"):
        said(tmp_path / "a.wav", both, channel=2)
    with pytest.raises(DataError, match=r"has no channel 1: it has one channel, number 0"):
        said(tmp_path / "a.wav", [ONE], channel=1)


def test_silence_in_the_chosen_channel_names_the_other(said, tmp_path):
    _, (message,) = said(tmp_path / "a.wav", [ONE, 0 * ONE], channel=1)
    assert "is digital silence; there is sound in channel 0" in message


@given(st.integers(1, 4), st.integers(0, 2**32 - 1), st.floats(-1, 1))
def test_blocks_add_up_and_offsets_are_not_heard(channels, seed, offset):
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(2 * ENOUGH, channels)).astype(np.float32) * 0.1
    whole, parts, moved = Hearing(channels), Hearing(channels), Hearing(channels)
    whole.add(samples, samples.mean(1))
    for block in np.split(samples, [1, 7, ENOUGH]):
        parts.add(block, block.mean(1))
    shifted = samples + np.float32(offset)
    moved.add(shifted, shifted.mean(1))
    for other in (parts, moved):
        assert (other.loud, other.cancels, other.unrelated) == (
            whole.loud, whole.cancels, whole.unrelated,
        )  # fmt: skip


def stream(form: str, subtype: str, channels: int = 1) -> tuple[bytes, np.ndarray]:
    samples = np.stack([voice(k) for k in range(channels)], 1)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=form, subtype=subtype)
    data = file.getvalue()
    return data, soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0]


def without_sizes(data: bytes, form: str) -> bytes:
    """As a program leaves them that writes to a pipe, or is stopped."""
    data = bytearray(data)
    if form in ("WAV", "RF64"):
        at = data.index(b"data") + 4
        if form == "RF64":
            sizes = data.index(b"ds64") + 8
            data[sizes : sizes + 24] = bytes(24)
        data[4:8] = data[at : at + 4] = bytes(4)
    elif form == "AU":
        data[8:12] = bytes(4)
    elif form == "CAF":
        at = data.index(b"data") + 4
        data[at : at + 8] = b"\xff" * 8
    elif form == "FLAC":
        at = 21
        value = int.from_bytes(data[at : at + 5], "big") & ~((1 << 36) - 1)
        data[at : at + 5] = value.to_bytes(5, "big")
    return bytes(data)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "PCM_16"), ("WAV", "ULAW"), ("WAV", "FLOAT"), ("RF64", "PCM_16"),
        ("AU", "PCM_16"), ("CAF", "PCM_16"), ("FLAC", "PCM_16"),
    ],
)  # fmt: skip
def test_headers_of_streams_are_filled_in(tmp_path, form, subtype, channels):
    data, samples = stream(form, subtype, channels)
    path = tmp_path / f"a.{form.lower()}"
    path.write_bytes(without_sizes(data, form))
    assert path.read_bytes() != data
    read = AudioReader(AudioReader.Options(mixdown="first")).read(path, RATE)
    np.testing.assert_array_equal(read, samples[:, 0])
    assert path.read_bytes() == without_sizes(data, form), "the file is left alone"


def test_whole_headers_are_left_alone(tmp_path):
    for form in ("WAV", "RF64", "AU", "CAF", "FLAC"):
        path = tmp_path / form
        path.write_bytes(stream(form, "PCM_16")[0])
        assert streamed.mended(path) is None


def test_no_samples_are_made_of_other_chunks(tmp_path):
    """A recording of nothing, with a title after it."""
    data = bytearray(stream("WAV", "PCM_16")[0])
    at = data.index(b"data") + 4
    title = b"LIST" + struct.pack("<I", 12) + b"INFOINAM\0\0\0\0"
    data[4:8] = struct.pack("<I", at + 4 + len(title) - 8)
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(data[:at]) + bytes(4) + title)
    with pytest.raises(DataError, match="holds 0 samples"):
        AudioReader().read(path, RATE)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("form", ["WAV", "RF64", "AU", "CAF", "FLAC"])
def test_damaged_streams_print_nothing(tmp_path, form):
    """libsndfile seeks where a damaged header says; what the callback raises would be printed."""
    data = without_sizes(stream(form, "PCM_16")[0], form)
    rng = np.random.default_rng(0)
    path = tmp_path / "a"
    for _ in range(80):
        damaged = bytearray(data)
        for at in rng.integers(0, min(len(data), 120), 3):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            AudioReader().read(path, RATE, limit=60)
        except DataError:
            continue
