"""Random perturbations of waveforms and mel spectra, batched, driven by torch's generator."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from seqebm_speech.options import AugmentOptions, LogMelOptions, WaveformAugmentOptions
from seqebm_speech.resampling import ratio, resample_batch

FIRST_ECHO = 0.002  # seconds after the direct sound: walls are that far
DB = math.log(10) / 10  # natural logarithm of power in one dB


def _uniform(low: float, high: float, *shape: int) -> Tensor:
    # On the CPU, so that a seed gives the same perturbations on every device.
    return torch.rand(*shape) * (high - low) + low


def _off(bounds: tuple[float, float], neutral: float = 1.0) -> bool:
    return bounds == (neutral, neutral)


def mel_filters(fft: int, options: LogMelOptions, warp: float = 1.0) -> Tensor:
    """Triangular mel filters ``(fft / 2 + 1, mels)`` over a warped frequency axis.

    Bin frequency f becomes ``warp * f`` up to a corner near 0.85 of the Nyquist frequency, and goes
    linearly from there to the Nyquist frequency (Jaitly & Hinton 2013, equation 1). At warp 1 the
    filters are torchaudio's. A warped filter that falls between two bins takes the nearest one.
    """
    o = options
    nyquist = o.rate / 2
    if warp == 1.0:
        with warnings.catch_warnings():  # of filters without a bin: the caller looks for them
            warnings.simplefilter("ignore")
            return melscale_fbanks(fft // 2 + 1, o.f_min, o.top, o.mels, o.rate, None, o.mel_scale)
    edges, bins = _mel_edges(o), torch.linspace(0, nyquist, fft // 2 + 1, dtype=torch.float64)
    corner = 0.85 * nyquist * min(warp, 1.0)
    low = bins <= corner / warp
    slope = (nyquist - corner) / (nyquist - corner / warp)
    bins = torch.where(low, warp * bins, nyquist - slope * (nyquist - bins))
    rise = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    filters = torch.minimum(rise, fall).clamp(min=0).float()
    empty = filters.sum(0) == 0
    nearest = (bins[:, None] - edges[1:-1]).abs().argmin(0)
    filters[nearest[empty], empty.nonzero()[:, 0]] = 1.0
    return filters


def _mel_edges(options: LogMelOptions) -> Tensor:
    """The ``mels + 2`` corner frequencies in Hz, equally spaced on the mel scale."""
    scale = _slaney if options.mel_scale == "slaney" else _htk
    ends = [scale(f, False) for f in (options.f_min, options.top)]
    points = torch.linspace(ends[0], ends[1], options.mels + 2, dtype=torch.float64)
    return torch.tensor([scale(p, True) for p in points.tolist()], dtype=torch.float64)


def _htk(value: float, inverse: bool) -> float:
    if inverse:
        return 700.0 * (10 ** (value / 2595.0) - 1.0)
    return 2595.0 * math.log10(1.0 + value / 700.0)


def _slaney(value: float, inverse: bool) -> float:
    step, corner = 200.0 / 3, 1000.0
    log_step = math.log(6.4) / 27.0
    if inverse:
        mel = value
        base = corner / step
        return mel * step if mel < base else corner * math.exp(log_step * (mel - base))
    return value / step if value < corner else corner / step + math.log(value / corner) / log_step


class WaveformAugment(nn.Module):
    """The perturbations of waveforms: speed (Ko et al. 2015), ends, room, noise, clipping, gain.

    All draws come from torch's default CPU generator, except the noise itself, which comes from
    that of the signal's device.
    """

    options: WaveformAugmentOptions

    def __init__(self, options: WaveformAugmentOptions, rate: int) -> None:
        super().__init__()
        self.options = options
        self.rate = rate
        self.active = options.enabled
        self._factors = _speed_grid(options.speed, options.speed_step)

    def waveform(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N)``, ``(B,)`` -> perturbed ``(B, N')``, ``(B,)``; zeros past each length."""
        a = self.options
        if len(self._factors) > 1 or self._factors[0] != (1, 1):
            signal, lengths = self._speed(signal, lengths)
        if a.trim_ms or a.pad_ms:
            signal, lengths = self._ends(signal, lengths)
        if a.room_probability:
            signal = self._room(signal, lengths)
        if a.noise_probability:
            signal = self._noise(signal, lengths)
        if a.clip_probability:
            signal = self._clip(signal)
        if not _off(a.gain_db, 0.0):
            gain = 10 ** (_uniform(*a.gain_db, len(signal), 1) / 20)
            signal = signal * gain.to(signal.device)
        return signal, lengths

    def _speed(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Each item resampled by one factor of the grid; items of one factor go together."""
        choice = torch.randint(len(self._factors), (len(signal),))
        new_lengths = torch.empty_like(lengths)
        groups: list[tuple[Tensor, Tensor]] = []
        for k in choice.unique().tolist():
            rows = (choice == k).nonzero()[:, 0].to(signal.device)
            old, new = self._factors[k]
            n = lengths[rows]
            part = signal[rows, : int(n.max())]
            if old != new:
                part = resample_batch(part, old, new)
                n = torch.div(n * new + old - 1, old, rounding_mode="floor")
                n = n.clamp(min=1, max=part.shape[1])
            new_lengths[rows] = n
            groups.append((rows, part))
        out = signal.new_zeros(len(signal), int(new_lengths.max()))
        for rows, part in groups:
            size = min(part.shape[1], out.shape[1])
            out[rows, :size] = part[:, :size]
        mask = torch.arange(out.shape[1], device=out.device)[None, :] < new_lengths[:, None]
        return out * mask, new_lengths

    def _ends(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Cut or pad head and tail by random amounts."""
        a = self.options
        low, high = (-a.trim_ms * self.rate / 1000, a.pad_ms * self.rate / 1000)
        head, tail = _uniform(low, high, 2, len(signal)).round().long().tolist()
        old = lengths.tolist()
        ends = [(max(h, -n // 8), max(t, -n // 8)) for h, t, n in zip(head, tail, old, strict=True)]
        new = [max(1, n + h + t) for n, (h, t) in zip(old, ends, strict=True)]
        out = signal.new_zeros(len(signal), max(new))
        for row, source, n, (h, t) in zip(out, signal, old, ends, strict=True):
            first, stop = max(0, -h), max(n + min(0, t), max(0, -h) + 1)
            row[max(0, h) : max(0, h) + stop - first] = source[first:stop]
        return out, torch.tensor(new, device=lengths.device)

    def _noise(self, signal: Tensor, lengths: Tensor) -> Tensor:
        """Add stationary noise to some items at a random signal-to-noise ratio."""
        a = self.options
        on = (torch.rand(len(signal)) < a.noise_probability).to(signal.device)
        kinds = torch.randint(len(a.noise_kinds), (len(signal),))
        snr = _uniform(*a.snr_db, len(signal)).to(signal.device)
        slope = _uniform(-3.0, 9.0, len(signal))
        rows = on.nonzero()[:, 0]
        if not len(rows):
            return signal
        clean, n = signal[rows], lengths[rows]
        size = -(-signal.shape[1] // 512) * 512  # a length that the transform likes
        white = torch.randn(len(rows), size // 2 + 1, dtype=torch.cfloat, device=signal.device)
        names = [a.noise_kinds[k] for k in kinds[rows.cpu()].tolist()]
        shape = self._noise_shape(names, slope[rows.cpu()], size // 2 + 1).to(signal.device)
        noise = torch.fft.irfft(white * shape, n=size)[:, : signal.shape[1]]
        mask = torch.arange(signal.shape[1], device=signal.device)[None, :] < n[:, None]
        noise = noise * mask
        ratio = clean.square().sum(1) / noise.square().sum(1).clamp(min=1e-20)
        scale = (ratio / 10 ** (snr[rows] / 10)).sqrt()
        return signal.index_add(0, rows, noise * scale[:, None])

    def _room(self, signal: Tensor, lengths: Tensor) -> Tensor:
        """Some items with what the walls of a room send back.

        The response is made: the direct sound, and noise that falls by 60 dB in the reverberation
        time (Polack 1988). What would come after an item's end is cut off.
        """
        a = self.options
        rows = (torch.rand(len(signal)) < a.room_probability).nonzero()[:, 0]
        times, above = _uniform(*a.room_s, len(signal), 1), _uniform(*a.room_db, len(signal), 1)
        if not len(rows):
            return signal
        size = round(float(times[rows].max()) * self.rate)
        seconds = torch.arange(size) / self.rate
        tail = torch.randn(len(rows), size) * 10 ** (-3 * seconds / times[rows])
        tail[:, : 1 + round(FIRST_ECHO * self.rate)] = 0.0
        power = tail.square().sum(1, keepdim=True).clamp(min=1e-12)
        tail = (tail * (10 ** (-above[rows] / 10) / power).sqrt()).to(signal.device)
        rows = rows.to(signal.device)
        dry = signal[rows]
        fft = 1 << (dry.shape[1] + size - 1).bit_length()
        wet = torch.fft.irfft(torch.fft.rfft(dry, fft) * torch.fft.rfft(tail, fft), fft)
        wet = wet[:, : dry.shape[1]]
        inside = torch.arange(dry.shape[1], device=signal.device) < lengths[rows, None]
        return signal.index_add(0, rows, wet * inside)

    def _clip(self, signal: Tensor) -> Tensor:
        """Some items as a converter gives them whose full scale is below their peak."""
        a = self.options
        on = (torch.rand(len(signal), 1) < a.clip_probability).to(signal.device)
        over = _uniform(0.0, a.clip_db, len(signal), 1).to(signal.device)
        limit = signal.abs().amax(1, keepdim=True) / 10 ** (over / 20)
        return torch.where(on, signal.clamp(-limit, limit), signal)

    def _noise_shape(self, names: list[str], slope: Tensor, bins: int) -> Tensor:
        """Amplitude over frequency for each noise, ``(B, bins)``."""
        f = torch.linspace(0, self.rate / 2, bins).clamp(min=50.0)
        octaves = torch.log2(f / 500.0)
        # Long-term speech: level up to 500 Hz, then about 9 dB less an octave (Byrne et al. 1994).
        speech = -9.0 * octaves.clamp(min=0)
        curves = {"white": torch.zeros(bins), "pink": -3.0 * octaves, "speech": speech}
        decibels = [
            -s * octaves if name == "coloured" else curves[name]
            for name, s in zip(names, slope, strict=True)
        ]
        return 10 ** (torch.stack(decibels) / 20)


class Augment(WaveformAugment):
    """The perturbations of one front-end. :class:`LogMel` calls the methods in this order.

    ======================  ====================================================================
    :meth:`waveform`        speed (Ko et al. 2015), ends cut or padded, room, noise, clipping, gain
    :meth:`frames`          tempo: another frame shift for each utterance
    :meth:`warped_filters`  vocal-tract-length perturbation (Jaitly & Hinton 2013)
    :meth:`channel`         random tilt and smooth channel curve
    :meth:`masks`           time and frequency masks (SpecAugment, Park et al. 2019, section 2)
    ======================  ====================================================================
    """

    options: AugmentOptions
    bank: Tensor
    interpolation: Tensor

    def __init__(self, options: LogMelOptions, fft: int) -> None:
        a = options.augment
        super().__init__(a, options.rate)
        self.window, self.shift = options.window, options.shift
        self.mels = options.mels
        self.tempos = not _off(a.tempo)
        self.warps = a.enabled and not _off(a.vtlp)
        if self.warps:
            grid = torch.linspace(a.vtlp[0], a.vtlp[1], a.vtlp_steps).tolist()
            bank = torch.stack([mel_filters(fft, options, w) for w in grid])
            self.register_buffer("bank", bank, persistent=False)
        points = torch.linspace(0, a.eq_points - 1, self.mels)
        knots = torch.arange(a.eq_points)[:, None]
        self.register_buffer(
            "interpolation", (1 - (points - knots).abs()).clamp(min=0), persistent=False
        )

    def frames(self, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Where windows begin, ``(B, T)``, each item at a shift of its own, and their counts."""
        shift = self.shift * _uniform(*self.options.tempo, len(lengths), 1).to(lengths.device)
        spare = (lengths - self.window).clamp(min=0)
        counts = (spare / shift[:, 0]).long() + 1
        starts = (torch.arange(int(counts.max()), device=lengths.device) * shift).long()
        return torch.minimum(starts, spare[:, None]), counts

    def warped_filters(self, batch: int) -> Tensor:
        """Mel filters ``(B, bins, mels)``, one random warp of the grid for each item."""
        choice = torch.randint(len(self.bank), (batch,))
        return self.bank[choice.to(self.bank.device)]

    def channel(self, batch: int, like: Tensor) -> Tensor:
        """A random addition to the log-mel, ``(B, 1, mels)``."""
        a = self.options
        curve = torch.zeros(batch, self.mels)
        if a.eq_db:
            curve = curve + torch.randn(batch, a.eq_points) * a.eq_db @ self.interpolation.cpu()
        if a.tilt_db:
            curve = curve + _uniform(-a.tilt_db, a.tilt_db, batch, 1) * torch.linspace(
                -1, 1, self.mels
            )
        return (curve * DB)[:, None, :].to(like)

    def masks(self, logmel: Tensor, counts: Tensor, mask: Tensor) -> Tensor:
        """Replace random bands and spans by the mean over the utterance, ``(B, T, mels)``."""
        a = self.options
        batch, frames, mels = logmel.shape
        spans = a.time_masks if a.time_mask_ms and a.time_mask_fraction else 0
        bands = a.frequency_masks if a.frequency_mask else 0
        if not spans and not bands:
            return logmel
        longest = a.time_mask_ms * self.rate / 1000 / self.shift
        lost = torch.zeros(batch, frames, mels, dtype=torch.bool, device=logmel.device)
        for _ in range(spans):
            most = (counts.cpu() * a.time_mask_fraction).clamp(max=longest)
            hit = _spans(counts.cpu(), most, frames).to(logmel.device)
            lost |= hit[:, :, None]
        for _ in range(bands):
            most = torch.full((batch,), float(min(a.frequency_mask, mels)))
            hit = _spans(torch.full((batch,), mels), most, mels).to(logmel.device)
            lost |= hit[:, None, :]
        mean = (logmel * mask[..., None]).sum(1, keepdim=True) / counts[:, None, None]
        return torch.where(lost, mean, logmel)


def _spans(sizes: Tensor, most: Tensor, size: int) -> Tensor:
    """Random spans of at most ``most`` inside ``sizes``: ``(B, size)`` bool."""
    width = (torch.rand(len(sizes)) * (most + 1)).long()
    width = torch.minimum(width, most.long())
    first = (torch.rand(len(sizes)) * (sizes - width + 1)).long()
    at = torch.arange(size)[None, :]
    return (at >= first[:, None]) & (at < (first + width)[:, None])


def _speed_grid(bounds: tuple[float, float], step: float) -> list[tuple[int, int]]:
    """Multiples of ``step`` within the bounds, as (old rate, new rate) in lowest terms."""
    low, high = bounds
    unit = round(1 / step * 100) / 100
    first, last = math.ceil(low * unit - 1e-9), math.floor(high * unit + 1e-9)
    factors = [k / unit for k in range(first, last + 1)] or [(low + high) / 2]
    out = []
    for factor in factors:
        out.append(ratio(round(factor * 400), 400))
    return out
