"""Typed options of everything that seqebm-ink registers; imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

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
    category: str = Field(default="1a", description="1a digits, 1b upper, 1c lower case, 6 words")


class PendigitsOptions(Options):
    """Options of the preparer ``pendigits``."""

    source: Path | None = Field(
        default=None, description="directory with pendigits-orig.tra and .tes (or .gz of them)"
    )


class SyntheticInkOptions(Options):
    """Options of the preparer ``synthetic_ink``."""


class PenOptions(Options):
    """Options of the front-end ``pen``."""


class AnnotatedImageOptions(Options):
    """Options of the front-end ``amap``."""
