from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile
from seqebm_speech import sphinx
from seqebm_speech.cepstra_reader import CepstraReader
from seqebm_speech.options import CepstraReaderOptions

from seqebm.data import DataDir, Utterance, validate, write_data_dir
from seqebm.errors import DataError


@pytest.fixture
def frames():
    return np.random.default_rng(0).normal(size=(30, 13)).astype(np.float32)


def write_mfc(path, frames, order=">", count=None):
    count = frames.size if count is None else count
    path.write_bytes(struct.pack(f"{order}i", count) + frames.astype(f"{order}f4").tobytes())
    return path


def fault(path, **more):
    with pytest.raises(DataError) as caught:
        CepstraReader().read(path, 100, **more)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["a.mfc", "a.MFC", "a.unknown"])
def test_either_byte_order(tmp_path, frames, order, name):
    path = write_mfc(tmp_path / name, frames, order)
    found = CepstraReader().read(path, 100)
    assert found.dtype == np.float32 and found.flags.c_contiguous and found.flags.writeable
    np.testing.assert_array_equal(found, frames)
    np.testing.assert_array_equal(CepstraReader().read(path, 100, 5, 9), frames[5:9])
    np.testing.assert_array_equal(CepstraReader().read(path, 100, 28), frames[28:])
    assert CepstraReader().file_rate(path) == 100


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_count_that_reads_the_same_in_both_orders(tmp_path, order):
    frames = np.random.default_rng(0).normal(size=(65792 // 32, 32)).astype(np.float32)
    assert frames.size == 0x00010100
    path = write_mfc(tmp_path / "a.mfc", frames, order)
    found = CepstraReader(CepstraReaderOptions(dimension=32)).read(path, 100)
    np.testing.assert_array_equal(found, frames)


def test_damaged_files_are_explained(tmp_path, frames):
    path = write_mfc(tmp_path / "a.mfc", frames)
    whole = path.read_bytes()
    path.write_bytes(whole[:-6])
    assert "cut short: its header claims 390 values, but there are 388" in fault(path)
    path.write_bytes(whole[:3])
    assert "cut short" in fault(path)
    write_mfc(path, frames, count=-5)
    assert "claims" in fault(path)
    path.write_bytes(b"")
    assert "empty" in fault(path)
    write_mfc(path, frames[:0])
    assert "0 frames" in fault(path)
    write_mfc(path, frames[:, :12])
    assert "360 values are not frames of 13" in fault(path)
    frames[7, 3] = np.nan
    write_mfc(path, frames)
    assert "coefficient 3 of frame 7 is nan" in fault(path)
    assert "frame 7" in fault(path, start=5)
    np.testing.assert_array_equal(CepstraReader().read(path, 100, 8), frames[8:])
    assert "no such file" in fault(tmp_path / "b.mfc")
    assert "directory" in fault(tmp_path)


def test_bounds_limit_and_rate(tmp_path, frames):
    path = write_mfc(tmp_path / "a.mfc", frames)
    for start, stop in ((-1, 3), (5, 5), (0, 31), (40, None)):
        assert "not inside its 30 frames" in fault(path, start=start, stop=stop)
    assert "over the limit of 0.2 s" in fault(path, limit=0.2)
    assert len(CepstraReader().read(path, 100, 0, 20, limit=0.2)) == 20
    with pytest.raises(DataError, match="100 frames a second, not 8000"):
        CepstraReader().read(path, 8000)


def test_numpy_files(tmp_path, frames):
    path = tmp_path / "a.npy"
    np.save(path, frames.astype(np.float64))
    np.testing.assert_array_equal(CepstraReader().read(path, 100), frames)
    np.save(path, frames[0])
    assert "float32 (13,)" in fault(path)
    np.save(path, np.array([["x"]]))
    assert "<U1" in fault(path)
    np.save(path, np.array([[{}]], dtype=object), allow_pickle=True)
    assert "not a NumPy array" in fault(path)
    np.save(path, frames[:0])
    assert "0 frames" in fault(path)
    path.write_bytes(b"\x93NUMPY")
    assert "cut short" in fault(path)


@pytest.mark.parametrize("rate", [16000, 8000, 44100, 11025])
def test_audio(tmp_path, tone, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(1.5, rate), rate, subtype="PCM_16")
    reader = CepstraReader()
    whole = reader.read(path, 100)
    samples, _ = soundfile.read(path, dtype="float32")
    assert len(whole) == sphinx.frame_count(-(-len(samples) * 16000 // rate))
    if rate == 16000:
        np.testing.assert_array_equal(whole, sphinx.cepstra(samples))
    for start, stop in ((0, 5), (70, 90), (120, None), (None, 60), (len(whole) - 1, None)):
        part = reader.read(path, 100, start, stop)
        np.testing.assert_allclose(part, whole[start or 0 : stop], atol=1e-4)
    assert "not inside" in fault(path, start=0, stop=len(whole) + 1)
    assert "over the limit" in fault(path, limit=1.0)
    assert "over the limit" in fault(path, start=0, stop=110, limit=1.0)


def test_sphere_files(tmp_path, tone):
    path = tmp_path / "a.sph"
    soundfile.write(path, tone(0.5, 16000), 16000, format="NIST", subtype="PCM_16")
    wav = tmp_path / "a.wav"
    soundfile.write(wav, tone(0.5, 16000), 16000, subtype="PCM_16")
    reader = CepstraReader()
    np.testing.assert_array_equal(reader.read(path, 100), reader.read(wav, 100))
    path.write_bytes(b"NIST_1A\n   1024\nsample_coding -s26 pcm,embedded-shorten-v2.00\nend_head\n")
    assert "convert it, e.g. with" in fault(path)


def test_a_data_directory_of_features(tmp_path, frames):
    path = write_mfc(tmp_path / "a.mfc", frames)
    utterances = [
        Utterance("u", path, "one", "s", 0, 10),
        Utterance("v", path, "two", "s", 10, None),
    ]
    write_data_dir(tmp_path / "data", utterances, "features")
    assert (tmp_path / "data" / "feats.scp").read_text() == "a ../a.mfc\n"
    assert (tmp_path / "data" / "segments").read_text() == "u a 0frames 10frames\nv a 10frames -1\n"
    data = DataDir.load(tmp_path / "data")
    assert data.kind == "features"
    assert [(u.start, u.stop) for u in data] == [(0, 10), (10, None)]
    assert validate(tmp_path / "data") == []
    (tmp_path / "data" / "segments").write_text("u a 0.0 0.1\nv a 0.1 -1\n")
    assert [(u.start, u.stop) for u in DataDir.load(tmp_path / "data")] == [(0, 10), (10, None)]
    write_data_dir(tmp_path / "data", [Utterance("u", path)], "ink")
    assert not (tmp_path / "data" / "feats.scp").exists()
