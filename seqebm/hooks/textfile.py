"""An option that names a text file and keeps what was in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from seqebm.errors import DataError
from seqebm.text import read_text

_sealed: ContextVar[bool] = ContextVar("sealed", default=False)


@contextlib.contextmanager
def sealed() -> Iterator[None]:
    """While somebody else's model is loaded: an option that names a file is refused, not read."""
    token = _sealed.set(True)
    try:
        yield
    finally:
        _sealed.reset(token)


def is_sealed() -> bool:
    """Whether somebody else's model is being loaded: nothing that it names may be read or run."""
    return _sealed.get()


class TextFile(BaseModel):
    """A pronunciation dictionary, a language model: text that a component is built from.

    A config gives its path, relative to the working directory. The content is read when the
    config is, and goes into config.yaml and the model file: a model needs no other file, and one
    that names a file is refused.

    Attributes:
        name: the path it was read from, for messages.
        text: its content.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    text: str

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, (str, Path)):
            return value
        if is_sealed():
            raise ValueError(
                "a model file holds the text itself, and names no file to read; use a model that "
                "'seqebm train' wrote"
            )
        try:
            return {"name": str(value), "text": read_text(value)}
        except DataError as error:
            raise ValueError(
                f"{error}; a text file is expected, its path relative to the working directory"
            ) from error
