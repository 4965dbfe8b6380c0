"""A model file that somebody else made: it reads nothing, claims no more than it holds."""

from __future__ import annotations

import os
import time

import pytest
import torch
from phrases import PHRASES

from seqebm.errors import ModelError
from seqebm.models import Recognizer, storage
from seqebm.models.allowance import SPARE, Allowance
from seqebm.models.config import override, parse_config
from seqebm.settings import load_yaml


@pytest.fixture
def forge(tmp_path):
    """Writes a model of strings whose description is changed by settings."""
    model = Recognizer(parse_config(PHRASES), ("down", "flat", "up"))

    def write(*settings: str, **changes):
        description = {**model.description(), **changes}
        override(description["config"], settings)
        path = tmp_path / "model.safetensors"
        storage.write(path, dict(model.state_dict()), description)
        return path

    return write


def test_the_model_itself_loads(forge):
    assert Recognizer.load(forge()).vocabulary == ("down", "flat", "up")


@pytest.mark.parametrize("option", ["lexicon", "strings", "lm"])
def test_a_path_is_not_read(forge, tmp_path, option):
    secret = tmp_path / "secret.txt"
    secret.write_text("password hunter2\n")
    with pytest.raises(ModelError, match=rf"lattice.{option}.*names no file") as caught:
        Recognizer.load(forge(f"lattice.{option}={secret}"))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ModelError, match="names no file"):
        Recognizer.load(forge(f"inference.lexicon={secret}"))


def test_a_pipe_is_not_waited_for(forge, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="names no file"):
        Recognizer.load(forge(f"lattice.lexicon={tmp_path / 'pipe'}"))


@pytest.mark.parametrize(
    "setting",
    [
        "features.channels=20000", "features.channels=1000000000", "features.channels=1.0e+30",
        f"features.kernels=[{', '.join(['3'] * 5_000)}]", "features.kernels=[999999999]",
        "features.output_dim=65000", "lattice.states=1000000000", "lattice.skip=1000000000",
        "lattice.silence_states=100000000", "frontend.mels=1000000000", "lattice.states=[1]",
        "inference.beta=nothing", "features.strides=[0, 1]",
    ],
)  # fmt: skip
def test_sizes_are_not_believed(forge, setting):
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"model.safetensors: ") as caught:
        Recognizer.load(forge(setting))
    assert time.monotonic() - started < 10
    assert len(str(caught.value)) < 2_000


@pytest.mark.parametrize("words", [None, "up", 3, [["up"]], [1, 2], {"up": 1}, [None]])
def test_vocabularies_of_other_types(forge, words):
    with pytest.raises(ModelError, match="vocabulary is no list of words"):
        Recognizer.load(forge(vocabulary=words))


@pytest.mark.parametrize("description", [None, 3, [], "text", {}, {"config": 3, "vocabulary": []}])
def test_descriptions_of_other_types(tmp_path, description):
    path = tmp_path / "model.safetensors"
    storage.write(path, {"a": torch.zeros(1)}, description)
    with pytest.raises(Exception, match=r"model.safetensors: ") as caught:
        Recognizer.load(path)
    assert type(caught.value).__module__ == "seqebm.errors"


def test_an_allowance_counts_what_is_made():
    with Allowance(1000, "m"):
        torch.zeros(SPARE // 8)
        with pytest.raises(ModelError, match=r"m: its description asks for more than the 1,000"):
            for _ in range(3):
                torch.empty(SPARE // 8)
        with pytest.raises(ModelError, match="asks for more"):
            torch.nn.Linear(1_000_000, 1_000_000)  # 4 TB, which nobody takes


def test_any_flipped_bit_is_noticed(forge):
    path = forge()
    whole = path.read_bytes()
    rng = torch.Generator().manual_seed(0)
    for position in torch.randint(len(whole), (150,), generator=rng).tolist():
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(torch.randint(8, (1,), generator=rng))
        path.write_bytes(damaged)
        try:
            tensors, _ = storage.read(path)
        except ModelError:
            continue
        # Only what is not content may differ: the name of the checksum, blanks of the header.
        path.write_bytes(whole)
        kept, _ = storage.read(path)
        assert all(torch.equal(tensors[name], kept[name]) for name in kept)


def test_a_file_without_checksum_is_of_before(forge, monkeypatch):
    monkeypatch.setattr(storage, "_checksum", lambda *_: "0")
    path = forge()
    monkeypatch.undo()
    with pytest.raises(ModelError, match="does not have the checksum"):
        storage.read(path)


def test_the_description_is_yaml_that_is_bounded(forge, monkeypatch):
    import yaml

    bomb = "config: &a [x]\nvocabulary: [" + ", ".join(["*a"] * 100_000) + "]"
    monkeypatch.setattr(yaml, "safe_dump", lambda *_, **__: bomb)
    path = forge()
    monkeypatch.undo()
    with pytest.raises(ModelError, match=r"model.safetensors: its aliases"):
        storage.read(path)
    assert load_yaml("a: 1", "") == {"a": 1}
