"""The Sphinx front-end against a loop written from its description, frame by frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
from seqebm_speech import sphinx


def slow_cepstra(samples, count=13):
    """One frame, one filter, one coefficient at a time."""
    x = [0.0, *(float(s) * 32768 for s in samples)]
    window = [0.54 - 0.46 * math.cos(2 * math.pi * n / 409) for n in range(410)]

    def hz(m):
        return 700 * (10 ** (m / 2595) - 1)

    low, high = (2595 * math.log10(1 + f / 700) for f in (130, 6800))
    edges = [hz(low + i * (high - low) / 41) for i in range(42)]
    edges = [int(e / 31.25 + 0.5) * 31.25 for e in edges]
    out = []
    start, more = 0, True
    while more:
        more = start + 410 <= len(samples)  # the last frame is not whole
        emphasised = []
        for n in range(start, start + 410):
            now = x[n + 1] if n + 1 < len(x) else 0.0
            before = x[n] if n < len(x) else 0.0
            emphasised.append(now - 0.97 * before)
        spectrum = np.fft.fft(np.array(emphasised) * window, 512)[:257]
        logs = []
        for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
            power = 0.0
            for k, value in enumerate(spectrum):
                f = k * 31.25
                rise, fall = (f - left) / (centre - left), (right - f) / (right - centre)
                power += abs(value) ** 2 * max(0.0, min(rise, fall)) * 2 / (right - left)
            logs.append(math.log(power) if power > math.exp(-10) else -10.0)
        frame = []
        for k in range(count):
            terms = [v * math.cos(math.pi * k * (j + 0.5) / 40) for j, v in enumerate(logs)]
            frame.append((terms[0] / 2 + sum(terms[1:])) / 40)
        out.append(frame)
        start += 160
    return np.array(out)


@pytest.mark.parametrize("samples", [1, 409, 410, 411, 570, 1000])
def test_equals_the_loop(tone, samples):
    wave = tone(1.0, 16000)[:samples]
    expected = slow_cepstra(wave)
    found = sphinx.cepstra(wave)
    assert found.dtype == np.float32 and found.shape == (sphinx.frame_count(samples), 13)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_silence_and_blocks(tone, monkeypatch):
    silent = sphinx.cepstra(np.zeros(1000, dtype=np.float32))
    assert np.allclose(silent[:, 0], -10 * 39.5 / 40)
    wave = tone(0.5, 16000)
    whole = sphinx.cepstra(wave)
    monkeypatch.setattr(sphinx, "_BLOCK", 7)
    np.testing.assert_allclose(sphinx.cepstra(wave), whole, atol=1e-6)


def test_filters_have_area_one():
    bank = sphinx.filters()
    assert bank.shape == (257, 40)
    np.testing.assert_allclose(bank.sum(0) * 31.25, 1.0, atol=1e-9)  # corners lie on bins
    assert (bank.argmax(0)[1:] > bank.argmax(0)[:-1]).all()


def test_mel_round_trip():
    f = np.array([0.0, 130.0, 1000.0, 6800.0])
    np.testing.assert_allclose(sphinx.hertz(sphinx.mel(f)), f, atol=1e-9)
