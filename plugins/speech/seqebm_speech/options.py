"""The options of every component of seqebm-speech. This module does not import torch.

Units are in the names or the descriptions; a range ``(low, high)`` is drawn from uniformly, and a
range of zero width at the neutral value switches its perturbation off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from seqebm.hooks import Options, TextFile

Factor = Annotated[float, Field(ge=0.25, le=4.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Decibels = Annotated[float, Field(ge=0.0, le=40.0)]
RoomTime = Annotated[float, Field(ge=0.01, le=5.0)]
NoiseKind = Literal["white", "pink", "speech", "coloured"]

# Options that every front-end has. They are types, not a base class: defaults differ, and a base
# class's options would all come first, away from those that they belong to.
Deltas = Annotated[
    Literal[0, 1, 2], Field(description="append differences of this order (and below)")
]
Normalisation = Annotated[
    Literal["utterance_map", "utterance_mean", "utterance_meanvar", "global", "none"],
    Field(
        description="subtract the mean (and divide by the deviation) of the utterance or corpus; "
        "utterance_map: the utterance's mean, shrunk towards the corpus's",
    ),
]
PriorFrames = Annotated[
    float, Field(ge=0.0, description="utterance_map: frames that the corpus's mean counts for")
]
Limit = Annotated[float, Field(gt=0.0, le=36000.0, description="longest utterance accepted, s")]

# Options that perturbations of waveforms and of cepstra have in common.
Enabled = Annotated[bool, Field(description="false switches every perturbation off")]
WarpSteps = Annotated[int, Field(ge=2, le=201, description="warps on the precomputed grid")]
Gain = Annotated[tuple[float, float], Field(description="level change, dB; (0, 0) is off")]
CurvePoints = Annotated[int, Field(ge=2, le=64, description="control points of that channel curve")]
Masks = Annotated[int, Field(ge=0, le=20)]
TimeMasks = Annotated[Masks, Field(description="SpecAugment: time masks an utterance; 0 is off")]
TimeMask = Annotated[float, Field(ge=0.0, le=5000.0, description="longest time mask, ms")]
TimeMaskShare = Annotated[
    Probability, Field(description="longest time mask as a share of the utterance")
]
FrequencyMask = Annotated[int, Field(ge=0, le=256, description="widest frequency mask, mel bands")]


def _ordered(options: Options, *names: str) -> None:
    for name in names:
        low, high = getattr(options, name)
        if low > high:
            raise ValueError(f"{name} must be (low, high) with low <= high, not ({low}, {high})")


class AudioOptions(Options):
    """Options of the reader ``audio``."""

    mixdown: Literal["mean", "first"] | int = Field(
        default="mean",
        description="several channels: average them, take the first, or the one of a number, from "
        "0, which every file must have; a channel in segments goes before",
    )

    @field_validator("mixdown", mode="before")
    @classmethod
    def _check_mixdown(cls, value: object) -> object:
        # One message, not one for each type.
        if value in ("mean", "first") or (type(value) is int and value >= 0):
            return value
        raise ValueError("must be mean, first or the number of a channel, from 0")


class CepstraReaderOptions(Options):
    """Options of the reader ``cepstra``."""

    dimension: int = Field(
        default=13, ge=1, le=40, description="coefficients a frame of .mfc files and audio"
    )


class WaveformAugmentOptions(Options):
    """Random perturbations of waveforms; they act in training mode only."""

    enabled: Enabled = True
    speed: tuple[Factor, Factor] = Field(
        default=(0.9, 1.1), description="factor of duration and pitch, by resampling; (1, 1) is off"
    )
    speed_step: float = Field(
        default=0.05, ge=0.01, le=0.5, description="factors of speed are multiples of this step"
    )
    trim_ms: float = Field(
        default=20.0,
        ge=0.0,
        le=1000.0,
        description="most to cut from either end, in ms (and 1/8 at most)",
    )
    pad_ms: float = Field(
        default=40.0, ge=0.0, le=5000.0, description="most silence to add at either end, in ms"
    )
    noise_probability: Probability = Field(
        default=0.6, description="share of items that get noise; 0: off"
    )
    noise_kinds: tuple[NoiseKind, ...] = Field(
        default=("coloured",),
        min_length=1,
        description="drawn from: white, pink, speech, coloured (falls by -3 to 9 dB an octave)",
    )
    snr_db: tuple[float, float] = Field(
        default=(5.0, 30.0), description="signal-to-noise ratio, dB"
    )
    room_probability: Probability = Field(
        default=0.0, description="share of items that are heard in a room; 0: off"
    )
    room_s: tuple[RoomTime, RoomTime] = Field(
        default=(0.1, 0.6), description="reverberation time (until 60 dB less), s"
    )
    room_db: tuple[float, float] = Field(
        default=(0.0, 15.0), description="direct sound above all that the walls send back, dB"
    )
    clip_probability: Probability = Field(
        default=0.0, description="share of items that are clipped; 0: off"
    )
    clip_db: Decibels = Field(
        default=15.0, description="by how much the peak is above the clipping level at most, dB"
    )
    gain_db: Gain = (0.0, 0.0)

    @model_validator(mode="after")
    def _check_waveform(self) -> WaveformAugmentOptions:
        _ordered(self, "speed", "snr_db", "room_s", "room_db", "gain_db")
        return self


class AugmentOptions(WaveformAugmentOptions):
    """Random perturbations of a front-end; they act in training mode only.

    The defaults are moderate. SpecAugment is off: with a handful of speakers and short words it
    cost accuracy on new speakers (it pays with much data), while coloured noise gained some.
    """

    tempo: tuple[Factor, Factor] = Field(
        default=(0.9, 1.1),
        description="factor of the frame shift: duration without pitch; (1, 1) is off",
    )
    vtlp: tuple[Factor, Factor] = Field(
        default=(0.9, 1.1),
        description="vocal-tract-length warp factor of the mel filters; (1, 1) is off",
    )
    vtlp_steps: WarpSteps = 21
    tilt_db: Decibels = Field(
        default=0.0,
        description="random spectral tilt, +-dB from first to last mel band",
    )
    eq_db: Decibels = Field(
        default=3.0,
        description="standard deviation of a random smooth channel, dB",
    )
    eq_points: CurvePoints = 5
    time_masks: TimeMasks = 0
    time_mask_ms: TimeMask = 60.0
    time_mask_fraction: TimeMaskShare = 0.2
    frequency_masks: Masks = Field(default=0, description="SpecAugment: frequency masks; 0 is off")
    frequency_mask: FrequencyMask = 6

    @model_validator(mode="after")
    def _check(self) -> AugmentOptions:
        _ordered(self, "tempo", "vtlp")
        return self


class EndpointOptions(Options):
    """Options of the end-pointer, which cuts off what is quiet before and after a word."""

    range_db: float = Field(
        default=35.0, gt=0.0, le=100.0, description="frames so far below the loudest are quiet"
    )
    margin_ms: float = Field(
        default=80.0, ge=0.0, le=1000.0, description="kept (or filled in) before and after"
    )
    click_ms: float = Field(
        default=60.0, ge=0.0, le=500.0, description="shorter bursts are no speech"
    )


class PitchOptions(Options):
    """Options of the pitch features."""

    f_min: float = Field(default=60.0, ge=30.0, le=500.0, description="lowest pitch, Hz")
    f_max: float = Field(default=400.0, ge=60.0, le=1000.0, description="highest pitch, Hz")

    @model_validator(mode="after")
    def _check(self) -> PitchOptions:
        if self.f_min * 1.5 > self.f_max:
            raise ValueError(
                f"f_max ({self.f_max:g} Hz) must be at least 1.5 times f_min ({self.f_min:g} Hz)"
            )
        return self


class LogMelOptions(Options):
    """Options of the front-end ``logmel``."""

    rate: int = Field(default=8000, ge=1000, le=192000, description="samples per second")
    window_ms: float = Field(default=25.0, gt=0.0, le=1000.0, description="length of a frame, ms")
    shift_ms: float = Field(default=10.0, gt=0.0, le=1000.0, description="from frame to frame, ms")
    fft: int | None = Field(
        default=None,
        ge=16,
        le=65536,
        description="FFT points; default: the next power of two that gives each filter a bin",
    )
    mels: int = Field(default=40, ge=2, le=256, description="mel filters")
    f_min: float = Field(default=60.0, ge=0.0, description="lower edge of the first filter, Hz")
    f_max: float | None = Field(
        default=None,
        gt=0.0,
        description="upper edge of the last filter, Hz; default: half the rate",
    )
    mel_scale: Literal["htk", "slaney"] = Field(default="htk", description="which mel scale")
    preemphasis: float = Field(
        default=0.97, ge=0.0, lt=1.0, description="x[t] - a x[t-1]; 0 is off"
    )
    floor: Literal["relative", "absolute"] = Field(
        default="relative",
        description="floor_db is below the utterance's loudest band, or below power 1",
    )
    floor_db: float = Field(
        default=50.0, gt=0.0, le=200.0, description="floor of the log energies, dB"
    )
    deltas: Deltas = 0
    normalisation: Normalisation = "utterance_map"
    prior_frames: PriorFrames = 20.0
    endpoint: EndpointOptions | None = Field(
        default=None, description="cut off what is quiet before and after; null: keep all frames"
    )
    pitch: PitchOptions | None = Field(
        default=None,
        description="append pitch, its slope and voicing, e.g. for languages with tones",
    )
    limit: Limit = 30.0
    augment: AugmentOptions = Field(
        default=AugmentOptions(), description="perturbations in training"
    )

    @property
    def window(self) -> int:
        """Samples per frame."""
        return max(2, round(self.window_ms * self.rate / 1000))

    @property
    def shift(self) -> int:
        """Samples from frame to frame."""
        return max(1, round(self.shift_ms * self.rate / 1000))

    @property
    def top(self) -> float:
        """Upper edge of the last filter in Hz."""
        return self.rate / 2 if self.f_max is None else self.f_max

    @model_validator(mode="after")
    def _check(self) -> LogMelOptions:
        if self.top > self.rate / 2:
            raise ValueError(
                f"f_max is {self.top:g} Hz, above half the rate ({self.rate / 2:g} Hz)"
            )
        if self.f_min >= self.top:
            raise ValueError(f"f_min ({self.f_min:g} Hz) must be below f_max ({self.top:g} Hz)")
        if self.fft is not None and self.fft < self.window:
            raise ValueError(f"fft is {self.fft}, shorter than the window of {self.window} samples")
        return self


class MFCCOptions(LogMelOptions):
    """Options of the front-end ``mfcc``."""

    cepstra: int = Field(default=13, ge=1, le=256, description="coefficients kept, c0 first")
    lifter: float = Field(
        default=0.0, ge=0.0, le=100.0, description="HTK's L of the sine lifter; 0 is off"
    )

    @model_validator(mode="after")
    def _check_cepstra(self) -> MFCCOptions:
        if self.cepstra > self.mels:
            raise ValueError(f"cepstra ({self.cepstra}) must not exceed mels ({self.mels})")
        return self


class HuggingFaceDirectory(BaseModel):
    """The directory of a Hugging Face model; a config gives its path.

    What describes the model is read when the config is, and goes into the model file, which needs
    no other file.

    Attributes:
        directory: where it was read from, and where a training finds its weights.
        config: ``config.json``.
        preprocessor: ``preprocessor_config.json``, if there is one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    directory: str
    config: TextFile
    preprocessor: TextFile | None = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if not isinstance(value, (str, Path)):
            return value
        preprocessor = Path(value) / "preprocessor_config.json"
        return {
            "directory": str(value),
            "config": str(Path(value) / "config.json"),
            "preprocessor": str(preprocessor) if preprocessor.is_file() else None,
        }


class EncoderOptions(Options):
    """Options of the front-end ``encoder``: one of ``bundle``, ``huggingface`` and ``module``."""

    bundle: str | None = Field(
        default=None,
        description="an encoder of torchaudio.pipelines, e.g. WAV2VEC2_BASE; its weights are "
        "downloaded when a training begins",
    )
    huggingface: HuggingFaceDirectory | None = Field(
        default=None,
        description="directory with the config.json and model.safetensors of a wav2vec2, hubert, "
        "wavlm or data2vec-audio model",
    )
    module: str | None = Field(
        default=None,
        description="any class of torch modules, (B, N) -> (B, T, D): package.module:Class",
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="what the class of 'module' is made with"
    )
    weights: Path | None = Field(
        default=None, description="a file of weights to begin with, .safetensors or torch.save's"
    )
    rate: int | None = Field(
        default=None,
        ge=1000,
        le=192000,
        description="samples per second; default: what the encoder says, or 16000",
    )
    scaled: bool | None = Field(
        default=None,
        description="give it waveforms of mean 0 and variance 1; default: if it says so",
    )
    layers: Literal["all", "last"] | tuple[int, ...] = Field(
        default="all",
        description="layers mixed, with learned weights: all, last, or numbers from 1 (-1: last)",
    )
    frozen: bool = Field(default=True, description="do not train the encoder itself")
    endpoint: EndpointOptions | None = Field(
        default=None, description="cut off what is quiet before and after; null: keep everything"
    )
    limit: Limit = 30.0
    augment: WaveformAugmentOptions = Field(
        default=WaveformAugmentOptions(), description="perturbations in training"
    )

    @field_validator("layers", mode="before")
    @classmethod
    def _check_layers(cls, value: object) -> object:
        # One message, not one for each type.
        numbers = [value] if type(value) is int else value
        if value in ("all", "last") or (
            isinstance(numbers, (list, tuple)) and numbers and all(type(n) is int for n in numbers)
        ):
            return tuple(numbers) if isinstance(numbers, (list, tuple)) else value
        raise ValueError("must be all, last, or numbers of layers, e.g. [6, 9]")

    @model_validator(mode="after")
    def _check(self) -> EncoderOptions:
        if sum(x is not None for x in (self.bundle, self.huggingface, self.module)) != 1:
            raise ValueError("give exactly one of bundle, huggingface and module")
        return self


class FSDDOptions(Options):
    """Options of the preparer ``fsdd``."""

    source: Path | None = Field(
        default=None, description="directory with the wavs (or recordings/), or the .tar.gz archive"
    )
    download: bool = Field(
        default=False, description="fetch the published archive if there is no source"
    )


class DSPSpeechOptions(Options):
    """Options of the preparer ``dspspeech``."""

    source: Path | None = Field(
        default=None, description="directory with the recordings, or an archive of them (.tar)"
    )
    folds: int = Field(default=5, ge=2, le=100, description="parts that the speakers are dealt to")


class TroublesOptions(Options):
    """Options of the preparer ``troubles``."""

    source: Path | None = Field(default=None, description="data directory of audio")
    only: tuple[str, ...] = Field(default=(), description="these troubles only; default: all")
    seed: int = Field(default=0, ge=0, description="everything random follows from it")


class YesNoOptions(Options):
    """Options of the preparer ``yesno``."""

    source: Path | None = Field(
        default=None, description="directory with the wavs, or the .tar.gz archive"
    )
    download: bool = Field(
        default=False, description="fetch the published archive if there is no source"
    )


class AN4Options(Options):
    """Options of the preparer ``an4``."""

    source: Path | None = Field(
        default=None,
        description="directory with etc/ and feat/ (or wav/), or the .tar.gz archive of one",
    )
    audio: Path | None = Field(
        default=None,
        description="directory of audio files with transcripts.tsv, or the .tar.gz archive of one",
    )
    dev_speakers: int = Field(
        default=0, ge=0, description="training speakers to hold out for development; 0: none"
    )


class SyntheticDigitsOptions(Options):
    """Options of the preparer ``synthetic_digits``."""

    train_speakers: int = Field(default=24, ge=1, le=400, description="speakers for training")
    test_speakers: int = Field(
        default=8, ge=0, le=400, description="other speakers for testing; 0: no such part"
    )
    repetitions: int = Field(
        default=6, ge=1, le=100, description="utterances of each word and speaker"
    )
    rate: int = Field(default=8000, ge=4000, le=22050, description="samples per second of the wavs")
    seed: int = Field(default=0, ge=0, description="everything random follows from it")
    snr_db: tuple[float, float] = Field(
        default=(10.0, 30.0), description="background noise, dB SNR"
    )
    room: float = Field(
        default=0.3, ge=0.0, le=1.0, description="level of the random early reflections; 0 is off"
    )
    pitch_spread: float = Field(
        default=8.0, ge=0.0, le=40.0, description="utterance pitch +- (0..100)"
    )
    rate_spread: float = Field(
        default=0.15, ge=0.0, le=0.5, description="utterance rate +- as a share of the speaker's"
    )

    @model_validator(mode="after")
    def _check(self) -> SyntheticDigitsOptions:
        _ordered(self, "snr_db")
        return self


class SyntheticWordsOptions(SyntheticDigitsOptions):
    """Options of the preparer ``synthetic_words``."""

    words: tuple[str, ...] = Field(
        default=(), description='what is said, and the transcripts: ["yes", "no"], in quotes'
    )
    language: str = Field(
        default="en",
        pattern="[a-z]{2,3}(-[a-z0-9-]+)?",
        description="of eSpeak NG, with all its accents, or one: en, en-us, cmn (Mandarin), de",
    )
