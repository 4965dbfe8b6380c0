"""The options of the front-end ``cepstra``. This module does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from seqebm.hooks import Options
from seqebm_speech.options import Factor, Probability, _ordered


class CepstraAugmentOptions(Options):
    """Random perturbations of cepstra; they act in training mode only.

    Decibels are those of power in a mel band. Only tempo and vocal-tract warps are on by default.
    """

    enabled: bool = Field(default=True, description="false switches every perturbation off")
    tempo: tuple[Factor, Factor] = Field(
        default=(0.9, 1.1),
        description="factor of the frame shift: above 1 there are fewer frames; (1, 1) is off",
    )
    vtlp: tuple[Factor, Factor] = Field(
        default=(0.9, 1.1), description="vocal-tract-length warp factor; (1, 1) is off"
    )
    vtlp_steps: int = Field(default=21, ge=2, le=201, description="warps on the precomputed grid")
    gain_db: tuple[float, float] = Field(
        default=(0.0, 0.0), description="level change, dB; (0, 0) is off"
    )
    eq_db: float = Field(
        default=0.0,
        ge=0.0,
        le=40.0,
        description="standard deviation of a random smooth channel, dB; 0 is off. Normalising the "
        "utterance's mean undoes it, but for its effect on noise",
    )
    eq_points: int = Field(
        default=5, ge=2, le=64, description="control points of that channel curve"
    )
    noise_probability: Probability = Field(
        default=0.0, description="share of utterances that get stationary coloured noise; 0: off"
    )
    snr_db: tuple[float, float] = Field(
        default=(5.0, 30.0), description="its signal-to-noise ratio in mean band power, dB"
    )
    jitter_db: float = Field(
        default=0.0,
        ge=0.0,
        le=40.0,
        description="deviation of Gaussian noise on each mel band of each frame, dB; 0 is off",
    )
    time_masks: int = Field(
        default=0, ge=0, le=20, description="SpecAugment: time masks an utterance; 0 is off"
    )
    time_mask_ms: float = Field(
        default=100.0, ge=0.0, le=5000.0, description="longest time mask, ms"
    )
    time_mask_fraction: float = Field(
        default=0.1, ge=0.0, le=1.0, description="longest time mask as a share of the utterance"
    )
    frequency_masks: int = Field(
        default=0, ge=0, le=20, description="SpecAugment: frequency masks (needs to_mel); 0 is off"
    )
    frequency_mask: int = Field(
        default=6, ge=0, le=256, description="widest frequency mask, mel bands"
    )

    @model_validator(mode="after")
    def _check(self) -> CepstraAugmentOptions:
        _ordered(self, "tempo", "vtlp", "gain_db", "snr_db")
        return self


class CepstraOptions(Options):
    """Options of the front-end ``cepstra``."""

    dimension: int = Field(default=13, ge=1, le=40, description="coefficients a frame, c0 first")
    to_mel: int = Field(
        default=0,
        ge=0,
        le=256,
        description="give so many bands of the smooth log-mel spectrum; 0: keep cepstra",
    )
    deltas: Literal[0, 1, 2] = Field(
        default=2, description="append differences of this order (and below)"
    )
    normalisation: Literal[
        "utterance_map", "utterance_mean", "utterance_meanvar", "global", "none"
    ] = Field(
        default="utterance_mean",
        description="subtract the mean (and divide by the deviation) of the utterance or corpus; "
        "utterance_map: the utterance's mean, shrunk towards the corpus's",
    )
    prior_frames: float = Field(
        default=20.0, ge=0.0, description="utterance_map: frames that the corpus's mean counts for"
    )
    scale: bool = Field(
        default=True,
        description="divide by the corpus's deviation of each feature after utterance_mean or "
        "utterance_map: without, c0 is twenty times as large as c12",
    )
    limit: float = Field(
        default=30.0, gt=0.0, le=36000.0, description="longest utterance accepted, s"
    )
    augment: CepstraAugmentOptions = Field(
        default=CepstraAugmentOptions(), description="perturbations in training"
    )

    @model_validator(mode="after")
    def _check(self) -> CepstraOptions:
        if 0 < self.to_mel < self.dimension:
            raise ValueError(
                f"to_mel ({self.to_mel}) must be 0 or at least dimension ({self.dimension})"
            )
        if self.augment.frequency_masks and not self.to_mel:
            raise ValueError("augment.frequency_masks needs to_mel: cepstra have no bands to mask")
        return self
