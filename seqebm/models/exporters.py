"""Exporters of trained models: files that other programs read without seqebm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydantic import Field

from seqebm.files import write_text
from seqebm.hooks import Options as BaseOptions
from seqebm.models.recognizer import Recognizer


class Arrays:
    """Every tensor as a NumPy array in ``tensors.npz``, configuration and vocabulary as JSON."""

    class Options(BaseOptions):
        """``--set`` of ``seqebm export --to arrays``."""

        half: bool = Field(False, description="16-bit floats, half the size")

    def __init__(self, options: Options) -> None:
        self.half = options.half

    def __call__(self, model: Recognizer, destination: Path) -> None:
        """Write ``destination/tensors.npz`` and ``destination/model.json``."""
        destination.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}
        if self.half:
            tensors = {
                name: value.astype(np.float16) if value.dtype.kind == "f" else value
                for name, value in tensors.items()
            }
        np.savez(destination / "tensors.npz", allow_pickle=False, **tensors)
        text = json.dumps(model.description(), indent=1, ensure_ascii=False)
        write_text(destination / "model.json", text + "\n")
