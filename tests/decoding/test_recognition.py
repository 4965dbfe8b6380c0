"""``seqebm.recognise``, as README shows it."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
import torch
from phrases import PHRASES, write_phrases

import seqebm
from seqebm.errors import ConfigError, DataError
from seqebm.models import Recognizer

README = Path(__file__).parents[2] / "README.md"


def test_the_python_of_the_readme_runs_and_is_short(tones, tmp_path, monkeypatch, capsys):
    block = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert len(block.strip().splitlines()) <= 15 and "seqebm.recognise" in block
    (tmp_path / "data").symlink_to(tones)
    (tmp_path / "a.wav").symlink_to(tones / "wav/test-up-0.wav")
    monkeypatch.chdir(tmp_path)
    exec(
        compile(block.replace('"epochs": 5', '"epochs": 12, "batch_size": 8'), "README", "exec"), {}
    )
    assert capsys.readouterr().out.startswith("up ")


def test_strings_of_words_and_bad_files(tmp_path):
    data = write_phrases(tmp_path / "phrases")
    config = seqebm.parse_config({**PHRASES, "training": {**PHRASES["training"], "epochs": 3}})
    seqebm.train(config, data / "train", tmp_path / "exp")
    wav, bad = data / "wav/test-00.wav", tmp_path / "bad.wav"
    bad.write_bytes(b"nothing")
    good, error = seqebm.recognise(tmp_path / "exp", [wav, bad], nbest=2)
    assert good.id == str(wav) and set(good.text.split()) <= {"up", "down", "flat"}
    assert isinstance(error, DataError) and "bad.wav" in str(error)
    from_data = list(seqebm.recognise(tmp_path / "exp", seqebm.DataDir.load(data / "test")))
    assert len(from_data) == 6


def test_options_of_a_search_that_there_is_not(tones, tiny, tmp_path):
    model = seqebm.train(tiny, tones / "train", tmp_path)
    with pytest.raises(ConfigError, match="nbest: the answers of this model are one of a list"):
        list(seqebm.recognise(model, [], nbest=2))


def test_threads_that_search_differently_share_a_model(phrases):
    """Each answer is that of the same call alone, and the model is what it was."""
    model = Recognizer.load(phrases / "exp")
    files = sorted((phrases / "wav").glob("test-*.wav"))
    settings = [
        {"word_penalty": -30.0}, {"word_penalty": 50.0}, {}, {"beta": 3.0, "decide": "sentence"},
    ]  # fmt: skip

    def answers(given):
        return [(a.text, a.energy) for a in seqebm.recognise(model, files, **given)]

    before = {name: value.clone() for name, value in model.state_dict().items()}
    alone = [answers(given) for given in settings]
    assert alone[0] != alone[1] and alone[0] != alone[2]
    found: dict[tuple[int, int], list] = {}

    def go(thread: int):
        for turn in range(3):
            which = (thread + turn) % len(settings)
            found[thread, turn] = [which, answers(settings[which])]

    threads = [threading.Thread(target=go, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 24
    assert all(answer == alone[which] for which, answer in found.values())
    assert answers({}) == alone[2]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
