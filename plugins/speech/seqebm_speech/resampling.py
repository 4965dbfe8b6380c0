"""Band-limited resampling by a ratio of whole numbers, for NumPy and for batches in torch."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

ZEROS = 6  # zero crossings of the sinc on either side
ROLLOFF = 0.99  # cutoff as a share of the lower Nyquist frequency
_TABLE = 8_000_000  # most entries of a filter table
_BLOCK = 1 << 14  # windows filtered at a time


@functools.lru_cache(maxsize=64)
def sinc_table(old: int, new: int) -> tuple[np.ndarray, int]:
    """The filters from ``old`` to ``new`` Hz (in lowest terms): float32 ``(new, K)``, and padding.

    Row j gives the samples j, j + new, ... of the output: one window of K input samples each, the
    windows being ``old`` samples apart, over the input padded by so many zeros at the left. A
    Hann-windowed sinc (Smith, "Digital Audio Resampling", section "Theory of operation"), with the
    same constants as torchaudio's.
    """
    cutoff = ROLLOFF * min(old, new)
    width = math.ceil(ZEROS * old / cutoff)
    t = np.arange(-width, width + old)[None, :] / old - np.arange(new)[:, None] / new
    t = np.clip(t * cutoff, -ZEROS, ZEROS)
    table = np.sinc(t) * np.cos(t * np.pi / ZEROS / 2) ** 2 * (cutoff / old)
    return table.astype(np.float32), width


def ratio(old: int, new: int) -> tuple[int, int]:
    """``old : new`` in lowest terms."""
    divisor = math.gcd(old, new)
    return old // divisor, new // divisor


def resample(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    """Resample float32 ``(N,)`` from ``old`` to ``new`` Hz, giving ``ceil(N new / old)`` samples.

    Rates with hardly a common divisor, for which the filter table would be huge, go through the
    Fourier transform instead.
    """
    old, new = ratio(old, new)
    if old == new:
        return samples
    count = -(-len(samples) * new // old)
    if new * (old + 14 * max(old, new)) > _TABLE:
        return _fourier(samples, old, new, count)
    table, width = sinc_table(old, new)
    padded = np.pad(samples, (width, width + old))
    windows = np.lib.stride_tricks.sliding_window_view(padded, table.shape[1])[::old]
    out = np.empty((len(windows), new), dtype=np.float32)
    for at in range(0, len(windows), _BLOCK):
        # Not "@": waking BLAS threads costs more than such small products, up to 50 times more.
        np.einsum("wk,jk->wj", windows[at : at + _BLOCK], table, out=out[at : at + _BLOCK])
    return out.reshape(-1)[:count]


def _fourier(samples: np.ndarray, old: int, new: int, count: int) -> np.ndarray:
    edge = max(64, old // new * 32)  # zeros, so that the ends do not wrap around
    padded = np.pad(samples.astype(np.float64), edge)
    total = max(1, round(len(padded) * new / old))
    spectrum = np.fft.rfft(padded)
    kept = np.zeros(total // 2 + 1, dtype=spectrum.dtype)
    bins = min(len(kept), len(spectrum))
    kept[:bins] = spectrum[:bins]
    out = np.fft.irfft(kept, total) * (total / len(padded))
    skip = round(edge * new / old)
    out = out[skip : skip + count].astype(np.float32)
    return np.pad(out, (0, count - len(out)))


def resample_batch(signal: Tensor, old: int, new: int) -> Tensor:
    """As :func:`resample`, for a torch batch ``(B, N)``; old and new in lowest terms."""
    import torch

    table, width = sinc_table(old, new)
    filters = torch.from_numpy(table).to(signal)
    padded = torch.nn.functional.pad(signal, (width, width + old))
    out = padded.unfold(1, filters.shape[1], old) @ filters.T
    return out.flatten(1)[:, : -(-signal.shape[1] * new // old)]
