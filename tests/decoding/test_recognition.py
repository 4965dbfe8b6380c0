"""``seqebm.recognise``, as README shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from phrases import PHRASES, write_phrases

import seqebm
from seqebm.errors import ConfigError, DataError

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
