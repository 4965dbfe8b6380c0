"""The front-end ``encoder``: features that a network learned from other people's speech."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from seqebm.hooks import ConfigError, FrontEnd
from seqebm_speech.augment import WaveformAugment
from seqebm_speech.frontend import LogMel
from seqebm_speech.options import EncoderOptions, LogMelOptions
from seqebm_speech.pretrained import pretrained
from seqebm_speech.statistics import check_lengths, valid

SHORTEST = 0.1  # seconds; what is shorter is padded: convolutions need some samples
DEFAULT_RATE = 16000
LONGEST = 36000.0  # seconds
PROBE = 10  # seconds, to measure the time from frame to frame


class Encoder(FrontEnd):
    """A pretrained encoder of waveforms (wav2vec 2.0: Baevski et al. 2020), frozen or fine-tuned.

    ``(B, N)`` waveforms give ``(B, T, D)`` features: a mixture of its layers with learned weights,
    each layer normalised (Peters et al. 2018, equation 1; for speech: Yang et al. 2021, SUPERB,
    section 3). Items of one length go through together, others apart, as the convolutions of many
    encoders normalise over time: padding would change what they give.

    The weights are read when a training begins (:meth:`fit`), and are part of the model that it
    makes.

    Attributes:
        reads: ``"audio"``.
        rate: samples per second.
        limit: longest utterance accepted, seconds.
        output_dim: features per frame, D.
        frame_shift: seconds between frames.
    """

    Options = EncoderOptions
    reads = "audio"

    def __init__(self, options: EncoderOptions) -> None:
        super().__init__()
        self.options = o = options
        self.encoder = pretrained(o)
        self.rate = o.rate or self.encoder.rate or DEFAULT_RATE
        self.limit = o.limit
        self.scaled = self.encoder.scaled if o.scaled is None else o.scaled
        for parameter in self.encoder.parameters():
            parameter.requires_grad_(not o.frozen)
        self.augment = WaveformAugment(o.augment, self.rate)
        self.ends: LogMel | None = None
        if o.endpoint is not None:
            self.ends = LogMel(
                LogMelOptions(
                    rate=self.rate,
                    endpoint=o.endpoint,
                    normalisation="none",
                    limit=LONGEST,  # speed and padding may make it longer than what was checked
                )
            )
        self.train()
        layers, self.output_dim, self.frame_shift = self._probe()
        self.layers = _numbers(o.layers, layers)
        self.mixture = nn.Parameter(
            torch.zeros(len(self.layers)), requires_grad=len(self.layers) > 1
        )

    def train(self, mode: bool = True) -> Self:
        """A frozen encoder stays in evaluation mode: without dropout."""
        super().train(mode)
        if self.options.frozen:
            self.encoder.eval()
        return self

    @torch.no_grad()
    def _probe(self) -> tuple[int, int, float]:
        """Number of layers, their width, and seconds from frame to frame: found by trying."""
        self.encoder.eval()
        try:
            short, long = (self.encoder(torch.zeros(1, n * self.rate)) for n in (1, 1 + PROBE))
            ok = all(layer.dim() == 3 and layer.shape[0] == 1 for layer in [*short, *long])
            frames = long[-1].shape[1] - short[-1].shape[1] if ok and short else 0
            alike = ok and len({layer.shape[1:] for layer in short}) == 1
        except (RuntimeError, TypeError, AttributeError, IndexError) as error:
            raise ConfigError(
                f"frontend: the encoder cannot be used on waveforms (1, {self.rate}): {error}"
            ) from error
        finally:
            self.train(self.training)
        if not alike or frames < 1:
            raise ConfigError(
                "frontend: the encoder must make (B, T, D) of waveforms (B, N), T growing with N, "
                f"each layer alike; of (1, {self.rate}) it made "
                f"{', '.join(str(tuple(layer.shape)) for layer in short) or 'nothing'}"
            )
        return len(short), short[0].shape[2], PROBE / frames

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Read the encoder's weights. Raises DataError."""
        self.encoder.load(self.options.weights)

    def forward(self, signal: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, N)`` signals and ``(B,)`` lengths -> ``(B, T, D)`` features and ``(B,)`` lengths.

        Raises DataError: an item has 0 samples, is longer than ``limit``, or than its row.
        """
        lengths = check_lengths(self, signal, lengths, "samples")
        signal = signal.float().masked_fill(~valid(lengths, signal.shape[1]), 0.0)
        if self.training and self.augment.active:
            signal, lengths = self.augment.waveform(signal, lengths)
        spans = [self._span(row, n) for row, n in zip(signal, lengths.tolist(), strict=True)]
        alike: dict[int, list[int]] = defaultdict(list)
        for index, (first, stop) in enumerate(spans):
            alike[stop - first].append(index)
        features: list[Tensor] = [signal] * len(signal)
        for rows in alike.values():
            waves = torch.stack([signal[i, slice(*spans[i])] for i in rows])
            for i, frames in zip(rows, self._features(waves), strict=True):
                features[i] = frames
        counts = torch.tensor([len(f) for f in features], device=signal.device)
        return pad_sequence(features, batch_first=True), counts

    def _span(self, signal: Tensor, length: int) -> tuple[int, int]:
        """First and last sample of what is said, if there is an end-pointer."""
        if self.ends is None:
            return 0, length
        with torch.no_grad():
            seconds = self.ends.frame_spans(signal[:length])
        if seconds is None or not len(seconds):
            return 0, length
        first, stop = (round(float(s) * self.rate) for s in (seconds[0, 0], seconds[-1, 1]))
        return max(0, first), min(max(stop, first + 1), length)

    def frame_spans(self, signal: Tensor) -> Tensor | None:
        """With an end-pointer, seconds at which each frame begins and ends: ``(T, 2)``."""
        if self.ends is None:
            return None
        first, stop = self._span(signal.float(), len(signal))
        frames = len(self._features(signal[None, first:stop].float())[0])
        begin = first / self.rate + torch.arange(frames) * self.frame_shift
        return torch.stack([begin, begin + self.frame_shift], 1)

    def _features(self, waves: Tensor) -> Tensor:
        """``(B, N)`` -> ``(B, T, D)``."""
        if self.scaled:
            deviation = waves.std(1, correction=0, keepdim=True)
            waves = (waves - waves.mean(1, keepdim=True)) / (deviation + 1e-5)
        if (short := round(SHORTEST * self.rate) - waves.shape[1]) > 0:
            waves = nn.functional.pad(waves, (0, short))
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.options.frozen):
            layers = self.encoder(waves)
        chosen = torch.stack([layers[k] for k in self.layers])
        chosen = nn.functional.layer_norm(chosen, chosen.shape[-1:])
        return torch.einsum("l,lbtd->btd", self.mixture.softmax(0), chosen)


def _numbers(wanted: str | tuple[int, ...], count: int) -> list[int]:
    """Indices of layers. Raises ConfigError for one that there is not."""
    if wanted == "all":
        return list(range(count))
    if wanted == "last":
        return [count - 1]
    for number in wanted:
        if not (isinstance(number, int) and (1 <= number <= count or -count <= number <= -1)):
            raise ConfigError(
                f"frontend.layers: there is no layer {number}; the encoder has {count}, from 1, or "
                "from -1, the last"
            )
    return [n - 1 if n > 0 else count + n for n in wanted if isinstance(n, int)]
