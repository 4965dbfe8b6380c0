from __future__ import annotations

import builtins
import hashlib

import numpy as np
import pytest
import soundfile
from seqebm_speech import synthesis
from seqebm_speech.options import SyntheticDigitsOptions, SyntheticWordsOptions
from seqebm_speech.synthesis import Request, synthesise, synthesise_all, variants, voices
from seqebm_speech.synthetic import (
    MEN,
    WOMEN,
    draw_speakers,
    synthetic_digits,
    synthetic_words,
    trimmed,
)

from seqebm.data import DataDir
from seqebm.errors import DataError, PluginError


@pytest.fixture
def espeak():
    pytest.importorskip("espeakng_loader", reason="needs espeakng-loader")


def test_missing_package_is_explained(monkeypatch, tmp_path):
    real = builtins.__import__

    def absent(name, *rest):
        if name == "espeakng_loader":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(PluginError, match=r"pip install 'seqebm-speech\[synthesis\]'"):
        synthetic_digits(SyntheticDigitsOptions())(tmp_path)
    with pytest.raises(PluginError, match="pip install"):
        synthesise_all([Request("one", "en-us")])


def test_synthesise(espeak):
    samples, rate = synthesise("seven", "en-us")
    assert rate == 22050 and samples.dtype == np.float32
    assert 0.3 * rate < len(samples) < 0.8 * rate
    assert 0.1 < np.abs(samples).max() <= 1
    assert len(synthesise("seven", rate=300)[0]) < 0.8 * len(samples)
    woman, _ = synthesise("seven", "en-us+f3")
    assert abs(len(woman) - len(samples)) > 100


def test_every_variant_of_the_corpus_exists(espeak):
    assert set(WOMEN) | set(MEN) <= set(variants())
    for voice in voices():
        assert len(synthesise("one", voice)[0]) > 1000


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("one", "klingon"), "no voice 'klingon'"),
        (Request("one", "en-us+nobody"), "no voice 'en-us.nobody'"),
        (Request("one", "en-us", rate=1000), "choose 80 to 450"),
        (Request("one", "en-us", pitch=101), "choose 0 to 100"),
        (Request("", "en-us"), "no sound"),
    ],
)
def test_bad_requests(espeak, request_, words):
    with pytest.raises(DataError, match=words):
        synthesise(request_.text, request_.voice, request_.rate, request_.pitch)


def test_bad_request_in_another_process(espeak):
    with pytest.raises(DataError, match="no voice 'klingon'"):
        synthesise_all([Request("one", "klingon")])


def test_data_in_a_deep_folder(espeak, tmp_path, monkeypatch):
    library, data = synthesis._paths()
    deep = tmp_path.joinpath(*["a" * 40] * 5)
    deep.mkdir(parents=True)
    (deep / "data").symlink_to(data, target_is_directory=True)
    monkeypatch.setattr(synthesis, "_paths", lambda: (library, str(deep / "data")))
    short = synthesis._Engine._short(object.__new__(synthesis._Engine), str(deep / "data"))
    assert len(short) < 120


def test_speakers_of_the_parts_differ(espeak):
    options = SyntheticDigitsOptions(train_speakers=60, test_speakers=20)
    train, test = draw_speakers(options, np.random.default_rng(0))
    assert (len(train), len(test)) == (60, 20)
    assert len({s.name for s in train + test}) == 80
    used = [{s.voice.split("+")[1] for s in part} for part in (train, test)]
    assert not used[0] & used[1]


def digest(folder):
    parts = [p.name.encode() + p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_corpus(espeak, tmp_path):
    options = SyntheticDigitsOptions(train_speakers=3, test_speakers=2, repetitions=2)
    written = synthetic_digits(options)(tmp_path / "a")
    assert written == [tmp_path / "a" / "train", tmp_path / "a" / "test"]
    train, test = (DataDir.load(p) for p in written)
    assert (len(train), len(test)) == (60, 40)
    assert not set(train.speakers) & set(test.speakers)
    assert len(train.texts) == 10 and train.texts == test.texts
    for utterance in (*train, *test):
        info = soundfile.info(utterance.path)
        assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "PCM_16")
        assert 0.15 < info.duration < 1.2, utterance
        assert utterance.id.startswith(f"{utterance.speaker}-")
        assert soundfile.read(utterance.path)[0].std() > 0.01
    readme = (tmp_path / "a" / "README.txt").read_text()
    assert "SYNTHETIC" in readme and "eSpeak NG" in readme and "GPL" in readme
    assert (tmp_path / "a" / "speakers.tsv").read_text().count("\n") == 6
    # Reading what was synthesised before must not change the corpus.
    synthesise("something else")
    synthetic_digits(options)(tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    other = options.model_copy(update={"seed": 1})
    synthetic_digits(other)(tmp_path / "c")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


def test_any_words_of_any_language(espeak, tmp_path):
    options = SyntheticWordsOptions(
        words=("北京", "背景"), language="cmn", train_speakers=2, test_speakers=0, repetitions=1
    )
    written = synthetic_words(options)(tmp_path)
    assert written == [tmp_path / "train"]
    data = DataDir.load(written[0])
    assert sorted(u.text for u in data) == ["北京", "北京", "背景", "背景"]
    assert {u.id for u in data} == {"syn001-0-0", "syn001-1-0", "syn002-0-0", "syn002-1-0"}
    assert "2 words" in (tmp_path / "README.txt").read_text()
    assert {"ko", "eu"} <= set(voices("")) and voices("ko") == ["ko"]  # languages without family
    assert voices("cmn") == ["cmn"] and {"en", "en-us"} <= set(voices()) < set(voices(""))


def test_a_part_of_other_options_does_not_stay(espeak, tmp_path):
    options = {"words": ("yes", "no"), "repetitions": 1}
    synthetic_words(SyntheticWordsOptions(train_speakers=1, test_speakers=1, **options))(tmp_path)
    assert (tmp_path / "test").is_dir()
    synthetic_words(SyntheticWordsOptions(train_speakers=2, test_speakers=0, **options))(tmp_path)
    assert not (tmp_path / "test").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "set 'words' to what"),
        ({"words": ("yes", " ")}, "set 'words' to what"),
        ({"words": ("yes", "no", "yes ")}, "'yes' is given twice"),
        ({"words": ("yes",), "language": "xx"}, "no language 'xx'; it has .*cmn"),
    ],
)
def test_words_that_cannot_be_said_are_named(espeak, tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        synthetic_words(SyntheticWordsOptions(**options))(tmp_path)


def test_trimmed():
    signal = np.zeros(8000, np.float32)
    signal[3000:5000] = 0.5
    got = trimmed(signal, 8000)
    assert len(got) <= 2000 + 400 and np.count_nonzero(got) == 2000
    assert len(trimmed(np.zeros(1000, np.float32), 8000)) == 1000
    assert len(trimmed(np.ones(5, np.float32), 8000)) == 5
