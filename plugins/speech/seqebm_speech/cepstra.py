"""The front-end ``cepstra``: mel cepstra computed before, as network input."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from seqebm.hooks import DataError
from seqebm_speech import sphinx
from seqebm_speech.augment import DB, _off, _spans, _uniform
from seqebm_speech.cepstra_options import CepstraOptions
from seqebm_speech.statistics import Normalised, check_lengths, valid, with_deltas

_OCTAVE = 500.0  # Hz at which the spectrum of coloured noise turns
_SLOPES = (-3.0, 9.0)  # dB an octave that it falls by
_FLUCTUATION = 0.5  # deviation of its log energies from frame to frame


class Cepstra(Normalised):
    """Sphinx cepstra ``(B, T, dimension)``, perturbed in training, with differences, normalised.

    Cepstra being a truncated cosine series of the log-mel spectrum, what perturbs a spectrum acts
    on them too, mostly as a linear map. The spectrum meant is the one in the span of the first
    ``dimension`` cosines whose transform (:func:`seqebm_speech.sphinx.dct`) gives the cepstra
    back; ``to_mel`` gives it at so many points in place of the cepstra.

    Frames past an item's length are 0. In training mode the number of frames may change.

    Attributes:
        reads: ``"features"``.
        rate: 100 frames per second.
        limit: longest utterance accepted, seconds.
        output_dim: features per frame, D.
        frame_shift: 0.01 s.
    """

    Options = CepstraOptions
    options: CepstraOptions
    reads = "features"
    rate = sphinx.FRAME_RATE
    frame_shift = 1 / sphinx.FRAME_RATE
    variance_floor = 1e-5
    from_bands: Tensor
    to_bands: Tensor
    to_output: Tensor
    gain: Tensor
    warps: Tensor
    curve: Tensor
    jitter: Tensor

    def __init__(self, options: CepstraOptions | None = None) -> None:
        super().__init__()
        self.options = o = options if options is not None else CepstraOptions()
        self.limit = o.limit
        self.scaled = o.scale
        series = _series(o.dimension)
        width = o.to_mel or o.dimension
        output = _at_bands(series, o.to_mel) if o.to_mel else np.eye(o.dimension)
        dct = sphinx.dct(o.dimension)
        level = dct.sum(1) @ output.T  # what a gain of 1 adds
        grid = np.linspace(*o.augment.vtlp, o.augment.vtlp_steps)
        constants = {
            "from_bands": dct.T,
            "to_bands": _at_bands(series, sphinx.FILTERS).T,
            "to_output": output.T,
            "gain": level,
            "warps": np.stack([_warp(series, factor).T for factor in grid]),
            "curve": _knots(o.augment.eq_points),
            "jitter": np.linalg.cholesky(dct @ dct.T).T,
        }
        for name, value in constants.items():
            self.register_buffer(name, torch.from_numpy(value).float(), persistent=False)
        self._register_statistics(width * (1 + o.deltas))

    def forward(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T, dimension)`` cepstra and ``(B,)`` lengths -> ``(B, T', D)``, ``(B,)`` lengths.

        Raises:
            DataError: another dimension, an item has no frames, is longer than ``limit``, or than
                its row.
            ModelError: normalisation needs statistics and :meth:`fit` was never called.
        """
        with torch.autocast(signal.device.type, enabled=False):
            frames, counts = self._unnormalised(signal, lengths)
            return self._normalise(frames, counts), counts

    def _unnormalised(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        lengths = self._check(signal, lengths)
        frames = signal.float().masked_fill(~valid(lengths, signal.shape[1])[..., None], 0.0)
        perturbing = self.training and self.options.augment.enabled
        if perturbing:
            frames, lengths = self._perturb(frames, lengths)
        frames = frames @ self.to_output if self.options.to_mel else frames
        if perturbing:
            frames = self._masks(frames, lengths)
        frames = frames[:, : int(lengths.max())]
        return with_deltas(frames, lengths, self.options.deltas), lengths

    def _check(self, signal: Tensor, lengths: Tensor) -> Tensor:
        dimension = self.options.dimension
        if signal.dim() != 3 or lengths.shape != signal.shape[:1] or signal.shape[2] != dimension:
            raise DataError(
                f"Cepstra wants frames (B, T, {dimension}) and lengths (B,), not "
                f"{tuple(signal.shape)} and {tuple(lengths.shape)}; is 'dimension' right?"
            )
        return check_lengths(self, signal, lengths, "frames")

    def _level(self, mean: Tensor) -> Tensor:
        level = torch.zeros_like(mean)
        gain = self.gain
        weight = (mean[..., : len(gain)] @ gain) / gain.square().sum()
        level[..., : len(gain)] = weight[..., None] * gain
        return level

    def _perturb(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Perturb ``(B, T, dimension)`` cepstra. All draws come from torch's CPU generator."""
        a = self.options.augment
        batch, device = len(frames), frames.device
        if not _off(a.tempo):
            frames, lengths = _stretched(frames, lengths, _uniform(*a.tempo, batch).to(device))
        if not _off(a.vtlp):
            choice = torch.randint(len(self.warps), (batch,)).to(device)
            frames = torch.bmm(frames, self.warps[choice])
        if a.eq_db:
            knots = torch.randn(batch, a.eq_points).to(device) * (a.eq_db * DB)
            frames = frames + (knots @ self.curve @ self.from_bands)[:, None]
        if not _off(a.gain_db, 0.0):
            gain = (_uniform(*a.gain_db, batch, 1) * DB).to(device)
            frames = frames + (gain * self.from_bands.sum(0))[:, None]
        if a.noise_probability:
            frames = self._noise(frames, lengths)
        if a.jitter_db:
            # What independent noise on every band does to the cepstra, drawn directly.
            jitter = torch.randn(*frames.shape).to(device) @ self.jitter
            frames = frames + jitter * (a.jitter_db * DB)
        return frames, lengths

    def _noise(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Add the power of coloured noise to that of the smooth spectrum, for some items."""
        a = self.options.augment
        batch, device = len(frames), frames.device
        on = torch.rand(batch) < a.noise_probability
        snr = (_uniform(*a.snr_db, batch) * DB).to(device)
        slope = _uniform(*_SLOPES, batch, 1)
        rows = on.nonzero()[:, 0].to(device)
        if not len(rows):
            return frames
        octaves = torch.log2(torch.from_numpy(_centres()) / _OCTAVE).float()
        shape = (-slope * octaves * DB).to(device)[rows]
        speech = frames[rows] @ self.to_bands
        mask = valid(lengths[rows], frames.shape[1])[..., None]
        top = speech.masked_fill(~mask, -math.inf)
        # Mean power over bands and valid frames, of speech and of noise, as logarithms.
        size = (lengths[rows] * sphinx.FILTERS).log()
        signal_level = top.flatten(1).logsumexp(1) - size
        noise_level = shape.logsumexp(1) - math.log(sphinx.FILTERS)
        noise = shape + (signal_level - noise_level - snr[rows])[:, None]
        ripple = torch.randn(*speech.shape).to(device) * _FLUCTUATION
        added = torch.logaddexp(speech, noise[:, None] + ripple) - speech
        return frames.index_add(0, rows, added @ self.from_bands)

    def _masks(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Replace random spans of frames, and of mel bands, by the mean over the utterance."""
        a = self.options.augment
        batch, size, width = frames.shape
        spans = a.time_masks if a.time_mask_ms and a.time_mask_fraction else 0
        bands = a.frequency_masks if a.frequency_mask and self.options.to_mel else 0
        if not spans and not bands:
            return frames
        counts = lengths.cpu()
        lost = torch.zeros(batch, size, width, dtype=torch.bool)
        for _ in range(spans):
            longest = a.time_mask_ms / 1000 * self.rate
            most = (counts * a.time_mask_fraction).clamp(max=longest)
            lost |= _spans(counts, most, size)[:, :, None]
        for _ in range(bands):
            most = torch.full((batch,), float(min(a.frequency_mask, width)))
            lost |= _spans(torch.full((batch,), width), most, width)[:, None, :]
        mask = valid(lengths, size)[..., None]
        mean = (frames * mask).sum(1, keepdim=True) / lengths[:, None, None]
        return torch.where(lost.to(frames.device), mean, frames)

    def extra_repr(self) -> str:
        """Say what is worth knowing in a printed model."""
        o = self.options
        return (
            f"dimension={o.dimension}, to_mel={o.to_mel}, deltas={o.deltas}, "
            f"output_dim={self.output_dim}, normalisation={o.normalisation}"
        )


def _stretched(frames: Tensor, lengths: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Interpolate linearly at multiples of ``factors`` frames: ``n / factor`` frames each."""
    counts = (lengths / factors).round().long().clamp(min=1)
    time = torch.arange(int(counts.max()), device=frames.device)
    last = (lengths - 1)[:, None]
    place = torch.minimum(time * factors[:, None], last.to(factors))
    before = place.floor().long()
    weight = (place - before)[..., None]
    after = torch.minimum(before + 1, last)
    wide = (-1, -1, frames.shape[2])
    low = frames.gather(1, before[..., None].expand(*wide))
    high = frames.gather(1, after[..., None].expand(*wide))
    out = low + weight * (high - low)
    return out * valid(counts, out.shape[1])[..., None], counts


def _cosines(count: int, places: np.ndarray) -> np.ndarray:
    """``(places, count)``: cos(pi k x) at places x between 0 and 1 along the mel filters."""
    return np.cos(np.pi * np.outer(places, np.arange(count)))


def _middles(bands: int) -> np.ndarray:
    return (np.arange(bands) + 0.5) / bands


def _series(dimension: int) -> np.ndarray:
    """Cepstra to the coefficients of the cosine series that has them, ``(dim, dim)``."""
    return np.linalg.inv(sphinx.dct(dimension) @ _cosines(dimension, _middles(sphinx.FILTERS)))


def _at_bands(series: np.ndarray, bands: int) -> np.ndarray:
    """Cepstra to the smooth log-mel spectrum in the middle of each band, ``(bands, dim)``."""
    return _cosines(len(series), _middles(bands)) @ series


def _mel_step() -> float:
    ends = sphinx.mel(np.array([sphinx.LOW, sphinx.HIGH]))
    return float(ends[1] - ends[0]) / (sphinx.FILTERS + 1)


def _centres() -> np.ndarray:
    """The centres of Sphinx's filters in Hz."""
    return sphinx.hertz(sphinx.mel(sphinx.LOW) + _mel_step() * np.arange(1, sphinx.FILTERS + 1))


def _warp(series: np.ndarray, factor: float) -> np.ndarray:
    """Cepstra to those of the spectrum over a warped frequency axis, ``(dim, dim)``.

    What was at frequency f goes to ``factor * f`` up to a corner near 0.85 of the Nyquist
    frequency, and linearly from there to the Nyquist frequency (Jaitly & Hinton 2013, equation 1),
    as in :func:`seqebm_speech.augment.mel_filters`. Beyond the outermost filters the spectrum is
    continued flat.
    """
    nyquist = sphinx.RATE / 2
    corner = 0.85 * nyquist * min(factor, 1.0)
    slope = (nyquist - corner) / (nyquist - corner / factor)
    hertz = _centres()
    source = np.where(hertz <= corner, hertz / factor, nyquist - (nyquist - hertz) / slope)
    band = (sphinx.mel(source) - sphinx.mel(sphinx.LOW)) / _mel_step() - 1
    places = np.clip((band + 0.5) / sphinx.FILTERS, 0.5 / sphinx.FILTERS, 1 - 0.5 / sphinx.FILTERS)
    return sphinx.dct(len(series)) @ _cosines(len(series), places) @ series


def _knots(points: int) -> np.ndarray:
    """``(points, FILTERS)``: interpolates linearly between points that span the filters."""
    places = np.linspace(0, points - 1, sphinx.FILTERS)
    return np.clip(1 - np.abs(places - np.arange(points)[:, None]), 0, None)
