"""Mel cepstra as CMU Sphinx computes them, from 16 kHz samples (NumPy only).

The recipe of Sphinx-3's ``wave2feat`` and SphinxBase's ``fe_sigproc``, with the parameters that
the AN4 corpus's cepstra were made with:

- samples on the scale of 16-bit integers, pre-emphasis ``x[t] - 0.97 x[t-1]``, no dither, the mean
  is not removed;
- Hamming windows of 25.6 ms (410 samples), 100 a second; the samples after the last whole window,
  padded with zeros before the pre-emphasis, make one more frame, as the end of an utterance does
  there: ``T = 2 + (N - 410) // 160``, and one frame for fewer than 410 samples;
- power spectrum of 512 points; 40 triangular filters between 130 and 6800 Hz, their corners spaced
  equally in mel (``2595 log10(1 + f / 700)``) and rounded to bins, each of area 1 over Hz;
- natural logarithm; the "legacy" cosine transform, in which the first filter counts half:
  ``c_k = (l_0 / 2 + sum_{j=1}^{39} l_j cos(pi k (j + 1/2) / 40)) / 40``, the cosine also for l_0.

Agreement with the corpus's own files, over the 79 utterances that it gives both as audio and as
cepstra (15,911 frames): as many frames in each utterance, and for each of the 13 coefficients
correlation above 1 - 2e-12, mean absolute difference at most 6.1e-7 (c7, whose deviation is 0.19)
and largest difference 1.9e-6: the rounding of single precision. So models trained on the corpus's
cepstra read audio directly.
"""

from __future__ import annotations

import functools
import math

import numpy as np

RATE = 16000  # samples per second
FRAME_RATE = 100  # frames per second
SHIFT = RATE // FRAME_RATE
WINDOW = 410
FFT = 512
FILTERS = 40
LOW, HIGH = 130.0, 6800.0  # Hz
CEPSTRA = 13
SCALE = 32768.0  # of the samples: full scale is that of 16-bit integers
_PREEMPHASIS = 0.97
_FLOOR = math.exp(-10.0)  # Sphinx takes -10 for the logarithm of silence
_BLOCK = 4096  # frames transformed at a time


def mel(hertz: np.ndarray | float) -> np.ndarray:
    """Frequency in Hz to mel."""
    return 2595.0 * np.log10(1.0 + np.asarray(hertz, dtype=np.float64) / 700.0)


def hertz(mel: np.ndarray | float) -> np.ndarray:
    """Mel to frequency in Hz, the inverse of :func:`mel`."""
    return 700.0 * (10.0 ** (np.asarray(mel, dtype=np.float64) / 2595.0) - 1.0)


@functools.cache
def filters() -> np.ndarray:
    """The triangular filters, float64 ``(FFT / 2 + 1, FILTERS)``, each of area 1 over Hz."""
    bin_width = RATE / FFT
    edges = hertz(np.linspace(mel(LOW), mel(HIGH), FILTERS + 2))
    edges = np.floor(edges / bin_width + 0.5) * bin_width
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bins = np.arange(FFT // 2 + 1)[:, None] * bin_width
    shape = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    return np.maximum(shape, 0.0) * 2.0 / (right - left)


def dct(count: int = CEPSTRA, bands: int = FILTERS) -> np.ndarray:
    """The legacy cosine transform, float64 ``(count, bands)``: cepstra = dct @ log energies."""
    matrix = np.cos(np.pi / bands * np.outer(np.arange(count), np.arange(bands) + 0.5)) / bands
    matrix[:, 0] /= 2
    return matrix


def frame_count(samples: int) -> int:
    """Frames that so many samples at 16 kHz give."""
    return 2 + (samples - WINDOW) // SHIFT if samples >= WINDOW else 1


def cepstra(samples: np.ndarray, count: int = CEPSTRA) -> np.ndarray:
    """Mel cepstra of one utterance.

    Args:
        samples: ``(N,)`` at 16 kHz, full scale +-1, N >= 1.
        count: coefficients to keep, c0 first; at most 40.

    Returns:
        float32 ``(frame_count(N), count)``.
    """
    frames = frame_count(len(samples))
    padded = np.zeros((frames - 1) * SHIFT + WINDOW + 1)
    padded[1 : len(samples) + 1] = np.asarray(samples, dtype=np.float64)[: len(padded) - 1] * SCALE
    windows = np.lib.stride_tricks.sliding_window_view(
        padded[1:] - _PREEMPHASIS * padded[:-1], WINDOW
    )[::SHIFT]
    hamming, bank, transform = np.hamming(WINDOW), filters(), dct(count).T
    out = np.empty((frames, count), dtype=np.float32)
    for at in range(0, frames, _BLOCK):
        spectrum = np.fft.rfft(windows[at : at + _BLOCK] * hamming, FFT)
        power = (spectrum.real**2 + spectrum.imag**2) @ bank
        out[at : at + _BLOCK] = np.log(np.maximum(power, _FLOOR)) @ transform
    return out
