"""The options of the front-end ``cepstra``. This module does not import torch."""

from __future__ import annotations

from pydantic import Field, model_validator

from seqebm.hooks import Options
from seqebm_speech.options import (
    CurvePoints,
    Decibels,
    Deltas,
    Enabled,
    Factor,
    FrequencyMask,
    Gain,
    Limit,
    Masks,
    Normalisation,
    PriorFrames,
    Probability,
    TimeMask,
    TimeMasks,
    TimeMaskShare,
    WarpSteps,
    _ordered,
)


class CepstraAugmentOptions(Options):
    """Random perturbations of cepstra; they act in training mode only.

    Decibels are those of power in a mel band. Only tempo and vocal-tract warps are on by default.
    """

    enabled: Enabled = True
    tempo: tuple[Factor, Factor] = Field(
        default=(0.9, 1.1),
        description="factor of the frame shift: above 1 there are fewer frames; (1, 1) is off",
    )
    vtlp: tuple[Factor, Factor] = Field(
        default=(0.9, 1.1), description="vocal-tract-length warp factor; (1, 1) is off"
    )
    vtlp_steps: WarpSteps = 21
    gain_db: Gain = (0.0, 0.0)
    eq_db: Decibels = Field(
        default=0.0,
        description="standard deviation of a random smooth channel, dB; 0 is off. Normalising the "
        "utterance's mean undoes it, but for its effect on noise",
    )
    eq_points: CurvePoints = 5
    noise_probability: Probability = Field(
        default=0.0, description="share of utterances that get stationary coloured noise; 0: off"
    )
    snr_db: tuple[float, float] = Field(
        default=(5.0, 30.0), description="its signal-to-noise ratio in mean band power, dB"
    )
    jitter_db: Decibels = Field(
        default=0.0,
        description="deviation of Gaussian noise on each mel band of each frame, dB; 0 is off",
    )
    time_masks: TimeMasks = 0
    time_mask_ms: TimeMask = 100.0
    time_mask_fraction: TimeMaskShare = 0.1
    frequency_masks: Masks = Field(
        default=0, description="SpecAugment: frequency masks (needs to_mel); 0 is off"
    )
    frequency_mask: FrequencyMask = 6

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
    deltas: Deltas = 2
    normalisation: Normalisation = "utterance_mean"
    prior_frames: PriorFrames = 20.0
    scale: bool = Field(
        default=True,
        description="divide by the corpus's deviation of each feature after utterance_mean or "
        "utterance_map: without, c0 is twenty times as large as c12",
    )
    limit: Limit = 30.0
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
