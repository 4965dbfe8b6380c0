"""Typed options of everything that seqebm-ink registers; imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from seqebm.hooks import Options


class InkReaderOptions(Options):
    """Options of the reader ``ink``."""

    include: tuple[Path, ...] = Field(
        default=(), description="directories where UNIPEN's .INCLUDE looks, before the file's own"
    )
    y_axis: Literal["file", "up", "down"] = Field(
        default="file",
        description="where y grows to: file takes the file's word, or else its format's rule (InkML"
        " and JSON down, UNIPEN up); up and down overrule it, except in prepared arrays",
    )


class UnipenOptions(Options):
    """Options of the preparer ``unipen``."""

    source: Path | None = Field(
        default=None, description="directory with data/ and include/, or the archive of one"
    )
    category: Literal["1a", "1b", "1c", "words"] = Field(
        default="1a", description="1a digits, 1b upper case, 1c lower case, words (category 6)"
    )
    labels: Literal["any", "lower", "letters"] = Field(
        default="any", description="words of category 6: lower: a to z only; letters: A to z"
    )
    bad: bool = Field(default=False, description="keep what the corpus marks as BAD")
    test_share: float = Field(
        default=0.25, ge=0, le=1, description="of the writers, for test; 1: all, there is no train"
    )
    dev_share: float = Field(
        default=0.0, ge=0, lt=1, description="of the training writers, for dev; 0: none"
    )
    per_writer: int | None = Field(
        default=None, ge=1, description="most segments of one writer; default: all"
    )


class PendigitsOptions(Options):
    """Options of the preparer ``pendigits``."""

    source: Path | None = Field(
        default=None,
        description="directory with the raw trajectories: pendigits-train and -test, or "
        "pendigits-orig.tra and .tes, as they are or gzipped",
    )
    dev_writers: int = Field(
        default=0, ge=0, lt=30, description="training writers to hold out for development"
    )


class SyntheticInkOptions(Options):
    """Options of the preparer ``synthetic_ink``."""

    what: Literal["digits", "upper", "lower", "words"] = Field(
        default="digits", description="isolated characters of a kind, or lower-case words"
    )
    train_writers: int = Field(default=24, ge=1, le=1000, description="writers for training")
    test_writers: int = Field(default=8, ge=1, le=1000, description="other writers for testing")
    dev_writers: int = Field(
        default=0, ge=0, le=999, description="training writers to hold out for development"
    )
    repetitions: int = Field(
        default=5, ge=1, le=100, description="times that a writer writes each character or word"
    )
    words: int = Field(default=60, ge=2, le=250, description="how many different words")
    new_words: float = Field(
        default=0.5, ge=0, le=1, description="share of the words that are in one part only"
    )
    fonts: tuple[str, ...] = Field(
        default=("futural", "rowmans", "scripts", "cursive"),
        min_length=1,
        description="single-stroke fonts; a writer has one",
    )
    distortion: float = Field(
        default=1.0, ge=0, le=3, description="how much writers and inks differ; 0: not at all"
    )
    seed: int = Field(default=0, ge=0, description="everything random follows from it")

    @model_validator(mode="after")
    def _check_writers(self) -> SyntheticInkOptions:
        if self.dev_writers >= self.train_writers:
            raise ValueError(f"dev_writers {self.dev_writers} leave none of {self.train_writers}")
        return self


class InkAugmentOptions(Options):
    """Random distortions in training; letters have size 1. All 0: none."""

    width: float = Field(default=0.0, ge=0, le=1, description="log of the stretch along x, +-")
    height: float = Field(default=0.0, ge=0, le=1, description="log of the stretch along y, +-")
    rotation: float = Field(default=0.0, ge=0, le=90, description="degrees, +-")
    shear: float = Field(default=0.0, ge=0, le=2, description="slant, x per y, +-")
    shift: float = Field(default=0.0, ge=0, le=1, description="of the whole ink, +-")
    elastic: float = Field(default=0.0, ge=0, le=1, description="amplitude of smooth waves")
    frequency: float = Field(default=1.0, gt=0, le=10, description="of the waves, per unit")
    jitter: float = Field(default=0.0, ge=0, le=1, description="shift of each stroke (deviation)")
    pace: float = Field(default=0.0, ge=0, le=1, description="log of the distance of frames, +-")
    reverse: float = Field(
        default=0.0, ge=0, le=1, description="probability of writing a stroke from its end"
    )
    reorder: float = Field(
        default=0.0, ge=0, le=1, description="probability of writing the strokes in random order"
    )

    @property
    def active(self) -> bool:
        """Whether there is any distortion."""
        return any(value for name, value in self if name != "frequency")


class PenOptions(Options):
    """Options of the front-end ``pen``."""

    rate: int = Field(default=100, ge=1, le=10_000, description="points per second, for limit")
    limit: float = Field(
        default=60.0, gt=0.0, le=3600.0, description="longest ink accepted: rate * limit points"
    )
    normalisation: Literal["box", "lines", "given"] = Field(
        default="box",
        description="box: the bounding box has size 1 (characters); lines: the x-height is 1, the "
        "base line level, the slant taken out (words); given: the ink's unit is the x-height "
        "already, its base line y = 0",
    )
    step: float = Field(
        default=0.1, gt=0, le=10, description="distance of frames, in sizes or x-heights"
    )
    least_frames: int = Field(default=12, ge=2, description="ink with less gets closer frames")
    most_frames: int = Field(default=2000, ge=2, description="ink with more gets wider ones")
    delayed: Literal["keep", "hat"] = Field(
        default="keep",
        description="dots and bars that are added late: keep them in the pen's way, or note them "
        "at the frames below and above (not with box)",
    )
    context: int = Field(default=0, ge=0, le=63, description="columns of ink around each frame")
    rows: int = Field(default=8, ge=1, le=64, description="rows of them")
    cell: float = Field(default=0.125, gt=0, le=4, description="width of a column")
    augment: InkAugmentOptions = Field(
        default=InkAugmentOptions(), description="distortions in training"
    )

    @model_validator(mode="after")
    def _check_pen(self) -> PenOptions:
        if self.delayed == "hat" and self.normalisation == "box":
            raise ValueError("delayed: hat needs normalisation: lines or given")
        if self.least_frames > self.most_frames:
            raise ValueError(f"least_frames {self.least_frames} is above {self.most_frames}")
        return self


class AnnotatedImageOptions(Options):
    """Options of the front-end ``amap``."""

    rate: int = Field(default=100, ge=1, le=10_000, description="points per second, for limit")
    limit: float = Field(
        default=60.0, gt=0.0, le=3600.0, description="longest ink accepted: rate * limit points"
    )
    height: int = Field(default=24, ge=4, le=256, description="rows of the image")
    normalisation: Literal["box", "lines", "given"] = Field(
        default="box",
        description="box: the whole ink fills the height (characters); lines: what is between base "
        "line and x-height has a fixed height (words); given: these are at y = 0 and 1",
    )
    margin: int = Field(default=1, ge=0, le=32, description="blank rows and columns around the ink")
    min_width: int = Field(
        default=24, ge=1, le=4096, description="narrower ink is centred in so many columns"
    )
    max_width: int = Field(
        default=1024, ge=4, le=16384, description="wider ink is squeezed into so many columns"
    )
    aspect: float = Field(
        default=1.5, gt=0.0, le=100.0, description="box: flatter ink does not fill the height"
    )
    stretch: float = Field(
        default=1.0, ge=0.25, le=4.0, description="columns of ink that is as wide as a row is high"
    )
    below: int = Field(default=7, ge=0, le=256, description="lines: rows below the base line")
    body: int = Field(default=8, ge=1, le=256, description="lines: rows from there to the x-height")
    directions: Literal[4, 8] = Field(
        default=4, description="planes of direction; 4: to and fro are one"
    )
    curvature: bool = Field(default=True, description="add a plane of curvature")
    augment: InkAugmentOptions = Field(
        default=InkAugmentOptions(), description="distortions in training"
    )

    @model_validator(mode="after")
    def _check(self) -> AnnotatedImageOptions:
        if 2 * self.margin + 2 > self.height:
            raise ValueError(
                f"margin {self.margin} leaves nothing of height {self.height}; lower margin"
            )
        if self.below + self.body >= self.height:
            raise ValueError(
                f"below + body = {self.below + self.body} leave nothing of height {self.height} "
                "for ascenders; lower them"
            )
        if self.min_width > self.max_width or 2 * self.margin + 2 > self.max_width:
            raise ValueError(f"max_width {self.max_width} is too small for min_width and margin")
        return self
