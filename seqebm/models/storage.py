"""Model files: safetensors with a YAML description in the header, written atomically.

One file holds tensors and description, so that the two cannot be out of step, and nothing in it
can execute code. A checksum of both tells a damaged file, which could otherwise load and answer.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

import seqebm
from seqebm import files
from seqebm.errors import ModelError
from seqebm.settings import load_yaml

FORMAT_VERSION = 1


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file of an experiment, atomically. Raises :class:`ModelError`."""
    hint = " Earlier checkpoints are untouched; rerun to continue from the newest."
    files.write_bytes(path, data, ModelError, hint)


def write(path: Path, tensors: dict[str, torch.Tensor], description: dict[str, Any]) -> None:
    """Write tensors and a YAML-able description. Raises :class:`ModelError`."""
    try:
        described = yaml.safe_dump(_plain(description), sort_keys=False, allow_unicode=True)
    except yaml.YAMLError as error:
        raise ModelError(
            f"{path}: cannot be written: {error}; metrics of plugins and options must be numbers, "
            "text, or lists of them"
        ) from error
    header = {
        "format": "seqebm",
        "format_version": str(FORMAT_VERSION),
        "seqebm_version": seqebm.__version__,
        "description": described,
    }
    # clone: safetensors refuses tensors that share memory.
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    write_bytes(path, save(plain, header | {"sha256": _checksum(plain, header)}))


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read tensors and description. Raises :class:`ModelError` naming the file and the remedy."""
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; give the exp/NAME of a finished training")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            if header.get("format") != "seqebm":
                raise ModelError(f"{path}: a safetensors file, but not one that seqebm wrote")
            if header.get("format_version") != str(FORMAT_VERSION):
                raise ModelError(
                    f"{path}: has format version {header.get('format_version')} (written by seqebm "
                    f"{header.get('seqebm_version')}); this is seqebm {seqebm.__version__}, which "
                    f"reads version {FORMAT_VERSION}. Use that seqebm, or train again."
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if "sha256" in header and header["sha256"] != _checksum(tensors, header):
                raise ModelError(
                    f"{path}: damaged: its content does not have the checksum that was written "
                    "with it. Copy it again, use another checkpoint, or train again."
                )
            return tensors, load_yaml(header["description"], str(path), ModelError)
    except PermissionError as error:
        raise ModelError(f"{path}: may not be read; change its permissions") from error
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path}: truncated or damaged ({error}). Use another checkpoint, or train again."
        ) from error


def _checksum(tensors: dict[str, torch.Tensor], header: dict[str, str]) -> str:
    """SHA-256 of what a file says and of its tensors. Files of before 0.2 have none."""
    digest = hashlib.sha256()
    for key in ("format_version", "seqebm_version", "description"):
        digest.update(f"{header[key]}\0".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """Tuples to lists, paths to strings, NumPy's numbers to numbers: what YAML can write."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value
