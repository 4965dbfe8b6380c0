"""Model files: atomic, versioned, and clear when damaged."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from seqebm.errors import ModelError
from seqebm.models import storage

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3)}


def test_round_trip(tmp_path):
    path = tmp_path / "deep" / "model.safetensors"
    storage.write(path, TENSORS, {"words": ("one", "zwei"), "beta": float("inf")})
    tensors, description = storage.read(path)
    assert all(torch.equal(tensors[k], TENSORS[k]) for k in TENSORS)
    assert description == {"words": ["one", "zwei"], "beta": float("inf")}
    assert os.listdir(path.parent) == ["model.safetensors"]


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_truncated(tmp_path, keep):
    path = tmp_path / "model.safetensors"
    storage.write(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"model.safetensors: truncated or damaged"):
        storage.read(path)


def test_other_version(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    monkeypatch.setattr(storage, "FORMAT_VERSION", 99)
    storage.write(path, TENSORS, {})
    monkeypatch.undo()
    with pytest.raises(ModelError, match=r"format version 99.*reads version 1"):
        storage.read(path)


def test_foreign_file(tmp_path):
    save_file(TENSORS, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="not one that seqebm wrote"):
        storage.read(tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="no such model file"):
        storage.read(tmp_path / "y.safetensors")


def test_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    storage.write(path, TENSORS, {"epoch": 1})
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match=r"model.safetensors: could not be written.*disk is full"):
        storage.write(path, TENSORS, {"epoch": 2})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.safetensors"], "no debris"


def test_numbers_of_numpy_are_numbers(tmp_path):
    path = tmp_path / "model.safetensors"
    storage.write(path, TENSORS, {"mine": np.float64(1.5), "count": [np.int32(3)]})
    assert storage.read(path)[1] == {"mine": 1.5, "count": [3]}
    with pytest.raises(ModelError, match=r"model.safetensors: cannot be written.*must be numbers"):
        storage.write(path, TENSORS, {"mine": object()})
    assert storage.read(path)[1] == {"mine": 1.5, "count": [3]}
