"""An option that names a text file and keeps what was in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class TextFile(BaseModel):
    """A pronunciation dictionary, a language model: text that a component is built from.

    A config gives its path, relative to the working directory. The content is read when the
    config is, and goes into config.yaml and the model file: a model needs no other file.

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
        path = Path(value)
        try:
            return {"name": str(path), "text": path.read_text(encoding="utf-8")}
        except OSError as error:
            raise ValueError(
                f"{path} cannot be read: {error.strerror or error}; give the path of a text file, "
                "relative to the working directory"
            ) from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text; convert it, e.g. with iconv") from error
