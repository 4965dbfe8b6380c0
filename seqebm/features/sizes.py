"""Sizes of layers as options give them, with limits that no network reaches.

A slip of the keyboard, or a description made to do harm, is refused before memory is asked for.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Width = Annotated[int, Field(ge=1, le=65_536)]
Extent = Annotated[int, Field(ge=1, le=10_001)]
Widths = Annotated[tuple[Width, ...], Field(max_length=200)]
Extents = Annotated[tuple[Extent, ...], Field(max_length=200)]
