"""Recognition of files: the answer, and what happens to bad files."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
import torch
from matplotlib.axes import Axes
from toy import RATE, TINY, sweep

from seqebm.data import DataDir
from seqebm.decoding.batches import files_as_utterances, read_example
from seqebm.decoding.decoder import recognise_utterances
from seqebm.decoding.results import Recognition
from seqebm.errors import DataError, InfeasibleError, ModelError, SeqebmError
from seqebm.models import Recognizer
from seqebm.models.config import override, parse_config
from seqebm.pictures.recognition import plot_history, plot_recognition
from seqebm.training import train


@pytest.fixture(scope="module")
def exp(tones, tmp_path_factory):
    directory = tmp_path_factory.mktemp("exp") / "tiny"
    train(parse_config({**TINY, "training": {**TINY["training"], "epochs": 12}}),
          tones / "train", directory)  # fmt: skip
    return directory


@pytest.fixture(scope="module")
def model(exp):
    return Recognizer.load(exp)


def test_answers(model, tones):
    utterances = DataDir.load(tones / "test").utterances
    answers = list(recognise_utterances(model, utterances, {"batch_size": 4}))
    assert [a.id for a in answers] == [u.id for u in utterances]
    assert sum(a.word == u.text for a, u in zip(answers, utterances, strict=True)) >= 8
    for answer in answers:
        values = list(answer.energies.values())
        assert values == sorted(values) and next(iter(answer.energies)) == answer.word
        assert answer.energy == values[0]
        assert answer.margin == pytest.approx(values[1] - values[0])
        posterior = 1 / sum(math.exp(-model.beta * (v - values[0])) for v in values)
        assert answer.confidence == pytest.approx(posterior)


def test_batching_does_not_change_answers(model, tones):
    utterances = DataDir.load(tones / "test").utterances
    one = list(recognise_utterances(model, utterances, {"batch_size": 1}))
    many = list(recognise_utterances(model, utterances, {"batch_size": 9}))
    for a, b in zip(one, many, strict=True):
        assert a.word == b.word and a.energy == pytest.approx(b.energy, abs=1e-4)


def test_bad_files_do_not_cost_the_good_ones(model, tmp_path):
    good = sweep("up", 0.4, np.random.default_rng(1))
    soundfile.write(tmp_path / "good.flac", good, RATE)
    stereo = np.stack([good, good], 1)
    soundfile.write(tmp_path / "stereo.wav", np.repeat(stereo, 2, 0), 2 * RATE)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("this is not audio " * 50)
    soundfile.write(tmp_path / "none.wav", good[:0], RATE)
    soundfile.write(tmp_path / "short.wav", good[:30], RATE)
    names = ["good.flac", "empty.wav", "text.wav", "none.wav", "stereo.wav", "missing.wav"]
    utterances = files_as_utterances([tmp_path / n for n in names])
    results = list(recognise_utterances(model, utterances))
    assert [isinstance(r, Recognition) for r in results] == [True, False, False, False, True, False]
    for name, result in zip(names, results, strict=True):
        if isinstance(result, DataError):
            assert name in str(result)
    assert results[0].word == results[4].word == "up"


def test_too_short_is_named_not_infinite(model, tones, tmp_path):
    lattice = model.lattice
    soundfile.write(tmp_path / "short.wav", np.full(200, 0.1, np.float32), RATE)
    assert lattice.minimum_frames("up") == 3
    (result,) = recognise_utterances(model, files_as_utterances([tmp_path / "short.wav"]))
    assert isinstance(result, InfeasibleError)
    assert "short.wav: too short" in str(result) and "at least 3 feature frames" in str(result)


def test_a_model_with_nan_weights_says_so(exp, tones):
    broken = Recognizer.load(exp)
    with torch.no_grad():
        broken.lattice.references.fill_(float("nan"))
    utterances = DataDir.load(tones / "test").utterances[:1]
    (result,) = recognise_utterances(broken, utterances)
    assert isinstance(result, SeqebmError) and "nan" in str(result).lower()


def test_model_of_a_missing_plugin(exp, tmp_path):
    from seqebm.models import storage

    tensors, description = storage.read(exp / "model.safetensors")
    description["config"] = override(description["config"], ["loss.name=gone"])
    description["config"]["plugins"] = ["local/plugin.py"]
    storage.write(tmp_path / "m.safetensors", tensors, description)
    with pytest.raises(ModelError, match=r"no loss is called 'gone'.*local/plugin.py.*--plugin"):
        Recognizer.load(tmp_path / "m.safetensors")


def test_tensors_of_another_architecture(exp, tmp_path):
    from seqebm.models import storage

    tensors, description = storage.read(exp / "model.safetensors")
    override(description["config"], ["features.channels=7"])
    storage.write(tmp_path / "m.safetensors", tensors, description)
    with pytest.raises(ModelError, match="do not fit"):
        Recognizer.load(tmp_path / "m.safetensors")


def test_the_picture_shows_where_the_word_was_found(tones, tmp_path, monkeypatch):
    config = parse_config({**TINY, "lattice": {**TINY["lattice"], "ends": "open"}})
    model = train(config, tones / "train", tmp_path / "exp")
    signal = np.pad(sweep("up", 0.3, np.random.default_rng(0)), RATE // 4)
    soundfile.write(tmp_path / "a.wav", signal, RATE)
    (utterance,) = files_as_utterances([tmp_path / "a.wav"])
    (answer,) = recognise_utterances(model, [utterance])
    example = read_example(model, utterance)
    features, _ = model.extract(example.signal[None], torch.tensor([len(signal)]))
    path = model.lattice.warp(features[0], answer.word).path
    edges: list[float] = []
    monkeypatch.setattr(Axes, "axvline", lambda self, x, **_: edges.append(x))
    plot_recognition(model, example, answer, tmp_path / "warp.png")
    first, last = path[[0, -1], 0].tolist()
    assert 0 < last - first < len(features[0]) - 1, "the word is not all of the recording"
    assert edges == pytest.approx([first * model.frame_shift, (last + 1) * model.frame_shift])


def test_pictures(model, tones, tmp_path):
    utterance = DataDir.load(tones / "test").utterances[0]
    (answer,) = recognise_utterances(model, [utterance])
    plot_recognition(model, read_example(model, utterance), answer, tmp_path / "a" / "warp.png")
    row = {"epoch": 1, "train_loss": 1.0, "train_gap": 0.1, "train_accuracy": 0.5}
    plot_history([row, {**row, "epoch": 2}], tmp_path / "history.png")
    for name in ("a/warp.png", "history.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
