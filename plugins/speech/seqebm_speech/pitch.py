"""Pitch: what tells words apart that differ in their tones alone.

The fundamental frequency is the lag at which a stretch of speech is most like itself, and it moves
little from frame to frame: both together are an energy of a path of lags (Talkin 1995, RAPT;
Ghahremani et al. 2014, "A pitch extraction algorithm tuned for automatic speech recognition",
sections 2 and 3, where the path of least energy is taken). Here the path is marginalised. As in the
latter every frame has a pitch, voiced or not, and a number beside it says how far it is to be
believed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from seqebm_speech.options import PitchOptions
from seqebm_speech.resampling import ratio, resample_batch
from seqebm_speech.statistics import valid

DIMENSION = 3  # pitch, its slope, voicing
RATE = 4000  # samples per second: of the voice's lowest harmonics alone
WINDOW = 0.030  # seconds that are compared with themselves
PER_OCTAVE = 24  # lags
FINER = 4  # how much finer than a sample lags are
BETA = 20.0  # inverse temperature
MOVE = 1.0  # energy of an octave from one frame to the next, squared octaves
LONG = 0.1  # what a lag of one window costs: of equal lags, and their multiples, the shortest
QUIET = 0.02  # of the mean energy of a window; what is weaker counts as less periodic
# Tones span half an octave: scaled to be of the size of log energies, which networks listen to.
OCTAVE, VOICED = 20.0, 5.0


def pitch(
    signal: Tensor,
    lengths: Tensor,
    centres: Tensor,
    counts: Tensor,
    rate: int,
    options: PitchOptions,
    real: Tensor | None = None,
) -> Tensor:
    """Pitch features of frames.

    Args:
        signal: ``(B, N)`` waveforms, zero past their ends; lengths: ``(B,)`` samples.
        centres: ``(B, T)`` the sample in the middle of each frame; counts: ``(B,)`` valid frames.
        rate: samples per second.
        options: see :class:`seqebm_speech.options.PitchOptions`.
        real: ``(B, T)`` frames that there are; others, which an end-pointer filled in, have no
            pitch, and no part in that of the rest. Default: all are.

    Returns ``(B, T, 3)``: octaves above the utterance's mean pitch (weighted with the squared
    voicing) and their change over five frames, both times the squared voicing and :data:`OCTAVE`;
    and the voicing, 0 to :data:`VOICED`. They are zero past the ends.
    """
    lags = _lags(options).to(signal.device)
    alike = self_similarity(signal, lengths, centres, rate, lags)
    inside = valid(counts, alike.shape[1])
    if real is not None:
        inside = inside & real
    alike = alike * inside[..., None]
    likely = posteriors(1 - alike * (1 - LONG * lags / WINDOW), counts, PER_OCTAVE)
    voicing = (likely * alike).sum(2).clamp(0, 1) * inside
    octaves = likely @ -torch.log2(lags)
    weight = voicing.square()
    mean = (octaves * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1e-6)
    above = (octaves - mean) * weight
    # Slope over +-2 frames within the utterance.
    time = torch.arange(octaves.shape[1], device=octaves.device)
    later = torch.minimum(time[None, :] + 2, counts[:, None] - 1)
    earlier = (time - 2).clamp(min=0).expand_as(later)
    slope = (octaves.gather(1, later) - octaves.gather(1, earlier)) * weight
    return torch.stack([OCTAVE * above, OCTAVE * slope, VOICED * voicing], 2) * inside[..., None]


def _lags(options: PitchOptions) -> Tensor:
    """Seconds, equally spaced in octaves, from those of the highest pitch to the lowest."""
    octaves = math.log2(options.f_max / options.f_min)
    steps = torch.arange(math.ceil(octaves * PER_OCTAVE) + 1) / PER_OCTAVE
    return 2**steps / options.f_max


def self_similarity(
    signal: Tensor, lengths: Tensor, centres: Tensor, rate: int, lags: Tensor
) -> Tensor:
    """Normalised cross-correlation of each frame with what is a lag later: ``(B, T, lags)``."""
    old, new = ratio(rate, RATE)
    if old != new:
        signal = resample_batch(signal, old, new)
        short = torch.div(lengths * new + old - 1, old, rounding_mode="floor")
        signal = signal * valid(short, signal.shape[1])
    else:
        short = lengths
    window, most = round(WINDOW * RATE), math.ceil(float(lags[-1]) * RATE) + 1
    size = window + most
    starts = (centres * new / old).round().long().clamp(max=signal.shape[1])
    padded = pad(signal, (size // 2, size))
    rows = torch.arange(len(signal), device=signal.device)[:, None]
    frames = padded.unfold(1, size, 1)[rows, starts.clamp(min=0)]
    frames = frames - frames.mean(2, keepdim=True)
    # Correlations by the Fourier transform, with zeros between its lines for finer lags.
    fft = 1 << size.bit_length()
    spectrum = torch.fft.rfft(frames, fft) * torch.fft.rfft(frames[..., :window], fft).conj()
    products = torch.fft.irfft(spectrum, fft * FINER)[..., : most * FINER] * FINER
    energies = pad(frames.square().cumsum(2), (1, 0))
    energies = energies[..., window:] - energies[..., : most + 1]  # of the window at each lag
    at = lags * RATE
    whole = at.long()
    share = at - whole
    later = energies[..., whole] * (1 - share) + energies[..., whole + 1] * share
    mean = signal.square().sum(1) / short.clamp(min=1) * window
    ballast = (QUIET * mean).square()[:, None, None]
    norm = (energies[..., :1] * later + ballast).clamp(min=1e-20).sqrt()
    return products[..., (at * FINER).round().long()] / norm


def posteriors(local: Tensor, counts: Tensor, per_octave: int) -> Tensor:
    """How likely each lag is in each frame: ``(B, T, K)``, summing to 1.

    ``local`` ``(B, T, K)`` are energies of lags; a path's energy is their sum and that of its
    moves, squared octaves; its probability is proportional to exp(-beta energy). Sums over all
    paths by the forward-backward algorithm: they do not leap when two paths are as good.
    """
    size, frames = local.shape[2], local.shape[1]
    steps = torch.arange(size, device=local.device)
    moves = MOVE * ((steps[:, None] - steps[None, :]) / per_octave).square()
    likely, kernel = (-BETA * local).exp(), (-BETA * moves).exp()
    forward = [likely[:, 0] / likely[:, 0].sum(1, keepdim=True)]
    for t in range(1, frames):
        after = (forward[-1] @ kernel) * likely[:, t]
        forward.append(after / after.sum(1, keepdim=True))
    backward = [torch.ones_like(forward[0])]
    for t in range(frames - 2, -1, -1):
        before = (backward[-1] * likely[:, t + 1]) @ kernel
        before = before / before.sum(1, keepdim=True)
        ended = t >= counts[:, None] - 1  # what follows is padding
        backward.append(torch.where(ended, 1.0, before))
    both = torch.stack(forward, 1) * torch.stack(backward[::-1], 1)
    return both / both.sum(2, keepdim=True)
