"""Front-ends: log-mel energies and mel cepstra of padded batches of waveforms."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchaudio.functional import create_dct, preemphasis

from seqebm.hooks import ConfigError, DataError
from seqebm_speech.augment import Augment, mel_filters
from seqebm_speech.endpoint import cut
from seqebm_speech.options import LogMelOptions, MFCCOptions, PitchOptions
from seqebm_speech.pitch import DIMENSION, pitch
from seqebm_speech.statistics import Normalised, check_lengths, valid, with_deltas

TINY = 1e-10  # power below which a band counts as silent


class Heard(NamedTuple):
    """Frames before they are normalised, and where they are from.

    Attributes:
        frames: ``(B, T, D)``.
        counts: ``(B,)`` valid ones.
        first: ``(B,)`` which frame of the recording is the first of them, below 0 in a margin.
        all_frames: ``(B,)`` frames of the recording.
        signal: ``(B, N)`` the waveform they were taken from, perturbed in training.
        lengths: ``(B,)`` its samples.
        starts: ``(B, T')`` the sample at which each frame of the recording begins.
    """

    frames: Tensor
    counts: Tensor
    first: Tensor
    all_frames: Tensor
    signal: Tensor
    lengths: Tensor
    starts: Tensor


class LogMel(Normalised):
    """Natural logarithm of mel-filtered power spectra (Davis & Mermelstein 1980).

    ``(B, N)`` padded waveforms at ``rate`` Hz and ``(B,)`` lengths give ``(B, T, D)`` frames and
    ``(B,)`` lengths, T = 1 + (N - window) // shift, and one frame for anything shorter than a
    window. Frames past an item's length are 0. In training mode the waveforms and spectra are
    perturbed (see :class:`seqebm_speech.augment.Augment`), which changes the lengths too.

    Attributes:
        reads: ``"audio"``.
        rate: samples per second.
        limit: longest utterance accepted, seconds.
        output_dim: features per frame, D.
        frame_shift: seconds between frames.
    """

    Options: type[LogMelOptions] = LogMelOptions
    reads = "audio"
    options: LogMelOptions
    filters: Tensor
    hann: Tensor

    def __init__(self, options: LogMelOptions | None = None) -> None:
        super().__init__()
        self.options = o = options if options is not None else self.Options()
        self.rate = o.rate
        self.limit = o.limit
        self.window, self.shift = o.window, o.shift
        self.frame_shift = o.shift / o.rate
        self.fft = o.fft or _fft_size(o)
        filters = mel_filters(self.fft, o)
        if o.fft and bool((filters.sum(0) == 0).any()):
            empty = int((filters.sum(0) == 0).nonzero()[0, 0])
            raise ConfigError(
                f"mels: {o.mels} filters between {o.f_min:g} and {o.top:g} Hz are too many for "
                f"fft: {self.fft} (filter {empty} has no bin); use fft: {_fft_size(o)}, or fewer"
            )
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("hann", torch.hann_window(self.window), persistent=False)
        self.augment = Augment(o, self.fft)
        self._register_statistics(self._static_dim() * (1 + o.deltas))
        if o.pitch is not None:  # has a normalisation of its own
            self.output_dim += DIMENSION

    def _static_dim(self) -> int:
        return self.options.mels

    def _static(self, logmel: Tensor) -> Tensor:
        return logmel

    def forward(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N)`` signals and ``(B,)`` lengths -> ``(B, T, D)`` frames and ``(B,)`` lengths.

        Raises:
            DataError: an item has 0 samples, is longer than ``limit``, or than its row.
            ModelError: normalisation is global and :meth:`fit` was never called.
        """
        # Logarithms of spectra need float32, whatever the precision of the networks behind.
        with torch.autocast(signal.device.type, enabled=False):
            heard = self._heard(signal, lengths, self.training and self.augment.active)
            frames = self._normalise(heard.frames, heard.counts)
            if self.options.pitch is not None:
                frames = torch.cat([frames, self._pitch(heard, self.options.pitch)], 2)
            return frames, heard.counts

    def _unnormalised(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        heard = self._heard(signal, lengths, self.training and self.augment.active)
        return heard.frames, heard.counts

    def _heard(self, signal: Tensor, lengths: Tensor, perturbing: bool) -> Heard:
        lengths = self._check(signal, lengths)
        signal = signal.float().masked_fill(~valid(lengths, signal.shape[1]), 0.0)
        if perturbing:
            signal, lengths = self.augment.waveform(signal, lengths)
        power, counts, starts = self._power(signal, lengths, perturbing)
        if perturbing and self.augment.warps:
            mel = torch.bmm(power, self.augment.warped_filters(len(power)))
        else:
            mel = power @ self.filters
        mask = valid(counts, mel.shape[1])
        logmel = mel.clamp(min=TINY).log()
        if perturbing:
            logmel = logmel + self.augment.channel(len(mel), logmel)
        logmel = self._floor(logmel, mask)
        if perturbing:
            logmel = self.augment.masks(logmel, counts, mask)
        all_frames, first = counts, torch.zeros_like(counts)
        if self.options.endpoint is not None:
            logmel, counts, first = cut(
                logmel, counts, self.options.endpoint, self.options.shift_ms
            )
        frames = with_deltas(self._static(logmel), counts, self.options.deltas)
        return Heard(frames, counts, first, all_frames, signal, lengths, starts)

    def _pitch(self, heard: Heard, options: PitchOptions) -> Tensor:
        """Pitch features of the frames, 0 where the end-pointer filled in margins: (B, T, 3)."""
        time = torch.arange(heard.frames.shape[1], device=heard.frames.device)
        source = heard.first[:, None] + time
        real = (source >= 0) & (source < heard.all_frames[:, None])
        nearest = torch.minimum(source.clamp(min=0), heard.all_frames[:, None] - 1)
        starts = heard.starts.gather(1, nearest)
        return pitch(
            heard.signal, heard.lengths, starts + self.window // 2, heard.counts, self.rate,
            options, real,
        )  # fmt: skip

    def _check(self, signal: Tensor, lengths: Tensor) -> Tensor:
        if signal.dim() != 2 or lengths.shape != signal.shape[:1]:
            raise DataError(
                f"{type(self).__name__} wants signals (B, N) and lengths (B,), "
                f"not {tuple(signal.shape)} and {tuple(lengths.shape)}"
            )
        return check_lengths(self, signal, lengths, "samples")

    def _power(
        self, signal: Tensor, lengths: Tensor, perturbing: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``(B, N)`` -> power spectra ``(B, T, fft / 2 + 1)``, frame counts, where frames begin."""
        if self.options.preemphasis:
            signal = preemphasis(signal, self.options.preemphasis)
            signal = signal * valid(lengths, signal.shape[1])
        if (short := self.window - signal.shape[1]) > 0:
            signal = nn.functional.pad(signal, (0, short))
        if perturbing and self.augment.tempos:
            starts, counts = self.augment.frames(lengths)
            rows = torch.arange(len(signal), device=signal.device)[:, None]
            frames = signal.unfold(1, self.window, 1)[rows, starts]
        else:
            counts = (lengths - self.window).clamp(min=0) // self.shift + 1
            frames = signal.unfold(1, self.window, self.shift)[:, : int(counts.max())]
            starts = torch.arange(frames.shape[1], device=signal.device) * self.shift
            starts = starts.expand(len(signal), -1)
        spectrum = torch.fft.rfft(frames * self.hann, n=self.fft)
        return spectrum.real.square() + spectrum.imag.square(), counts, starts

    def _floor(self, logmel: Tensor, mask: Tensor) -> Tensor:
        drop = self.options.floor_db * math.log(10) / 10
        if self.options.floor == "absolute":
            return logmel.clamp(min=-drop)
        top = logmel.masked_fill(~mask[..., None], -math.inf).amax((1, 2), keepdim=True)
        return torch.maximum(logmel, top - drop)

    def _level(self, mean: Tensor) -> Tensor:
        """The part of ``(..., D)`` means that a change of gain alters: the same in every band."""
        level = torch.zeros_like(mean)
        bands = slice(self.options.mels)
        level[..., bands] = mean[..., bands].mean(-1, keepdim=True)
        return level

    @torch.no_grad()
    def frame_spans(self, signal: Tensor) -> Tensor | None:
        """With an end-pointer, seconds at which each frame begins and ends: ``(T, 2)``."""
        if self.options.endpoint is None:
            return None
        heard = self._heard(signal[None], torch.tensor([len(signal)]), False)
        frame = int(heard.first[0]) + torch.arange(int(heard.counts[0]))
        return torch.stack([frame, frame + 1], 1) * self.frame_shift

    def extra_repr(self) -> str:
        """Say what is worth knowing in a printed model."""
        return (
            f"rate={self.rate}, window={self.window}, shift={self.shift}, fft={self.fft}, "
            f"output_dim={self.output_dim}, normalisation={self.options.normalisation}"
        )


class MFCC(LogMel):
    """Mel-frequency cepstral coefficients (Davis & Mermelstein 1980): DCT-II of the log-mel.

    The orthonormal DCT keeps ``cepstra`` coefficients, c0 first; ``lifter`` L scales coefficient n
    by ``1 + L/2 sin(pi n / L)`` (Young et al., The HTK Book, section 5.6). Otherwise as
    :class:`LogMel`.
    """

    Options = MFCCOptions
    options: MFCCOptions
    dct: Tensor

    def __init__(self, options: MFCCOptions | None = None) -> None:
        super().__init__(options)
        o = self.options
        dct = create_dct(o.cepstra, o.mels, "ortho")
        if o.lifter:
            n = torch.arange(o.cepstra)
            dct = dct * (1 + o.lifter / 2 * torch.sin(math.pi * n / o.lifter))
        self.register_buffer("dct", dct, persistent=False)

    def _static_dim(self) -> int:
        return self.options.cepstra

    def _static(self, logmel: Tensor) -> Tensor:
        return logmel @ self.dct

    def _level(self, mean: Tensor) -> Tensor:
        level = torch.zeros_like(mean)
        level[..., 0] = mean[..., 0]
        return level


def _fft_size(options: LogMelOptions) -> int:
    """The smallest power of two that holds the window and gives every mel filter a bin."""
    size = 1 << max(4, (options.window - 1).bit_length())
    while size < 65536:
        bins = mel_filters(size, options)
        if bool((bins.sum(0) > 0).all()):
            break
        size *= 2
    return size
