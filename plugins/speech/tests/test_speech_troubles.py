"""Recordings spoilt on purpose: what each trouble does, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from seqebm_speech import audio
from seqebm_speech.audio import AudioReader
from seqebm_speech.options import TroublesOptions
from seqebm_speech.troubles import TROUBLES, troubles

from seqebm.data import DataDir, Utterance, write_data_dir
from seqebm.errors import DataError

RATE = 16000


@pytest.fixture(autouse=True)
def nothing_announced():
    audio._announced.clear()


@pytest.fixture
def source(tmp_path):
    """Two utterances: a file, and a segment of another's second channel."""
    time = np.arange(RATE // 2) / RATE
    word = (0.3 * np.sin(2 * np.pi * 440 * time) * np.hanning(len(time))).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", word, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "b.wav", np.stack([0 * word, word], 1), RATE, subtype="FLOAT")
    utterances = [
        Utterance("u1", tmp_path / "a.wav", "one", "s"),
        Utterance("u2", tmp_path / "b.wav", "two", "t", 1000, 6000, channel=1),
    ]
    write_data_dir(tmp_path / "d", utterances)
    return tmp_path / "d", word


def make(tmp_path, source, **options):
    return troubles(TroublesOptions(source=source[0], **options))(tmp_path / "out")


def power(samples) -> float:
    return 10 * np.log10(np.square(samples, dtype=np.float64).mean())


def test_every_trouble_keeps_ids_words_and_speakers(tmp_path, source):
    written = make(tmp_path, source)
    assert [path.name for path in written] == list(TROUBLES)
    for path in written:
        data = DataDir.load(path)
        assert [(u.id, u.text, u.speaker) for u in data] == [("u1", "one", "s"), ("u2", "two", "t")]
        for utterance in data:
            samples = AudioReader().read(utterance.path, RATE)
            assert np.isfinite(samples).all() and np.abs(samples).max() > 1e-4
            assert (utterance.start, utterance.channel) == (None, None)


def test_audio_whose_features_are_computed_stays_of_kind_features(tmp_path, source):
    data = DataDir.load(source[0])
    listed = write_data_dir(tmp_path / "f", [u for u in data if u.channel is None], "features")
    made = troubles(TroublesOptions(source=listed.path, only=("silence",)))(tmp_path / "out")
    spoilt = DataDir.load(made[0])
    assert spoilt.kind == "features"
    assert soundfile.info(spoilt.utterances[0].path).duration == pytest.approx(1.3)
    write_data_dir(tmp_path / "ink", data, "ink")
    with pytest.raises(DataError, match="holds ink, not audio"):
        troubles(TroublesOptions(source=tmp_path / "ink"))(tmp_path / "out")


@pytest.mark.parametrize("name", ["silence", "hiss", "noise20", "noise10", "noise5"])
def test_silence_and_noise_are_around_the_word(tmp_path, source, name):
    make(tmp_path, source, only=(name,))
    samples, rate = soundfile.read(tmp_path / "out" / name / "wav" / "u1.wav", dtype="float32")
    word = source[1]
    before, after = round(0.3 * rate), round(0.5 * rate)
    assert rate == RATE and len(samples) == len(word) + before + after
    inside = samples[before : before + len(word)]
    if name == "silence":
        assert not samples[:before].any() and not samples[-after:].any()
        np.testing.assert_allclose(inside, word, atol=1e-4)
    else:
        wanted = {"hiss": 35}.get(name) or int(name.removeprefix("noise"))
        assert power(word) - power(samples[-after:]) == pytest.approx(wanted, abs=2.5)
        assert power(word) - power(inside - word) == pytest.approx(wanted, abs=2.5)


def test_clicks_and_breath_are_where_the_word_is_not(tmp_path, source):
    make(tmp_path, source, only=("clicks", "breath"))
    word = source[1]
    first, stop = round(0.3 * RATE), round(0.3 * RATE) + len(word)
    for name in ("clicks", "breath"):
        samples, rate = soundfile.read(tmp_path / "out" / name / "wav" / "u1.wav", dtype="float32")
        assert rate == RATE and len(samples) == len(word) + round(0.8 * RATE)
        np.testing.assert_allclose(samples[first:stop], word, atol=1e-4)
        after = samples[stop:]
        if name == "clicks":
            loud = np.abs(samples) > 0.4 * np.abs(word).max()
            assert loud[:first].any() and loud[stop:].any() and loud[:first].sum() < 0.01 * RATE
        else:
            assert not samples[:first].any()
            heard = after[round(0.1 * RATE) : round(0.4 * RATE)]
            assert power(word) - power(heard) == pytest.approx(25, abs=0.5)


def test_stereo_quiet_clipped_and_telephone(tmp_path, source):
    make(tmp_path, source, only=("stereo", "quiet", "clipped", "telephone", "opus"))
    word = source[1]

    def read(name, suffix="wav"):
        return soundfile.read(tmp_path / "out" / name / "wav" / f"u1.{suffix}", dtype="float32")

    samples, rate = read("stereo")
    assert rate == 48000 and samples.shape == (3 * len(word), 2)
    assert power(read("quiet")[0]) == pytest.approx(power(word) - 30, abs=0.3)
    samples = read("clipped")[0]
    assert np.abs(samples).max() == pytest.approx(1, abs=1e-3)
    assert (np.abs(samples) > 0.999).mean() > 0.2
    assert read("telephone")[1] == 8000
    assert read("opus", "opus")[1] == 16000
    kilobits = (tmp_path / "out/opus/wav/u1.opus").stat().st_size * 8 / 0.5 / 1000
    assert kilobits < 40, "with the container's headers, which half a second cannot spread out"


def test_the_room_goes_on_after_the_word(tmp_path, source):
    make(tmp_path, source, only=("room",))
    samples, rate = soundfile.read(tmp_path / "out" / "room" / "wav" / "u1.wav", dtype="float32")
    end = round(0.3 * rate) + len(source[1])
    level = [power(samples[end + k * rate // 10 : end + (k + 1) * rate // 10]) for k in range(4)]
    assert level[0] > power(source[1]) - 40 and level[0] > level[3] + 10


def test_the_same_options_give_the_same_files(tmp_path, source):
    make(tmp_path, source, only=("noise10", "together"))
    files = sorted((tmp_path / "out").rglob("*.wav"))
    first = [path.read_bytes() for path in files]
    make(tmp_path, source)
    assert [path.read_bytes() for path in files] == first
    make(tmp_path, source, only=("noise10",), seed=1)
    assert files[0].read_bytes() != first[0]


def test_what_is_wrong_is_named(tmp_path, source):
    with pytest.raises(DataError, match="no source given"):
        troubles(TroublesOptions())(tmp_path)
    with pytest.raises(DataError, match="there is no 'wind'; there are silence, hiss"):
        make(tmp_path, source, only=("wind",))
