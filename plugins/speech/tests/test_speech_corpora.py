from __future__ import annotations

import io
import logging
import shutil
import tarfile
import urllib.error

import numpy as np
import pytest
import soundfile
from seqebm_speech import corpora
from seqebm_speech.audio import AudioReader
from seqebm_speech.corpora import fsdd
from seqebm_speech.dspspeech import dspspeech
from seqebm_speech.options import DSPSpeechOptions, FSDDOptions

from seqebm.data import DataDir, archives
from seqebm.errors import DataError


def prepare(destination, **options):
    return fsdd(FSDDOptions(**options))(destination)


def archive_of(folder, path, inside="free-spoken-digit-dataset-1.0.10/recordings"):
    with tarfile.open(path, "w:gz") as tar:
        for wav in sorted(folder.iterdir()):
            tar.add(wav, f"{inside}/{wav.name}")
    return path


def check(destination, written):
    pairs = ("george-jackson", "george-theo", "jackson-theo")
    folds = ("george", "jackson", "theo", *(f"inner/{pair}" for pair in pairs))
    assert written == [destination / f / part for f in folds for part in ("train", "test")]
    for pair in pairs:
        parts = [DataDir.load(destination / "inner" / pair / p) for p in ("test", "train")]
        assert parts[0].speakers == pair.split("-") and len(parts[0]) == 8
        assert len(parts[1]) == 4 and not set(parts[1].speakers) & set(parts[0].speakers)
    for speaker in ("george", "jackson", "theo"):
        train = DataDir.load(destination / speaker / "train")
        test = DataDir.load(destination / speaker / "test")
        assert test.speakers == [speaker] and len(test) == 4
        assert speaker not in train.speakers and len(train) == 8
        assert test.texts == ["seven", "zero"]
    first = test.utterances[0]
    assert (first.id, first.text, first.speaker) == ("theo-0-10", "zero", "theo")
    assert len(AudioReader().read(first.path, 8000)) == 2400


@pytest.mark.parametrize("which", ["recordings", "parent", "archive", "folder of the archive"])
def test_round_trip(tmp_path, digits, which):
    source = {"recordings": digits, "parent": digits.parent}.get(which)
    if source is None:
        (tmp_path / "download").mkdir()
        source = archive_of(digits, tmp_path / "download" / "recordings.tar.gz")
        source = source if which == "archive" else source.parent
    destination = tmp_path / "data"
    check(destination, prepare(destination, source=source))
    check(destination, prepare(destination, source=source))  # again, over the first


def test_files_of_the_data_directory(tmp_path, digits):
    prepare(tmp_path / "data", source=digits)
    folder = tmp_path / "data" / "george" / "test"
    wavs = (folder / "wav.scp").read_text().splitlines()
    assert wavs[0] == f"george-0-10 {digits / '0_george_10.wav'}"
    assert [w.split()[0] for w in wavs] == sorted(w.split()[0] for w in wavs)
    assert (folder / "utt2spk").read_text().splitlines()[0] == "george-0-10 george"
    assert (folder / "spk2utt").read_text().startswith("george george-0-10 george-0-2 ")


def test_strays_and_unreadable_files_are_named(tmp_path, digits, caplog):
    (digits / "notes.txt").write_text("x")
    (digits / "11_theo_1.wav").write_bytes(b"x")
    (digits / "3_theo_1.wav").write_bytes(b"RIFFxxxx")
    (digits / "4_theo_1.wav").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        check(tmp_path / "data", prepare(tmp_path / "data", source=digits))
    strays, bad = (r.getMessage() for r in caplog.records)
    assert "2 files" in strays and "notes.txt" in strays and "11_theo_1.wav" in strays
    assert "2 unreadable" in bad and "3_theo_1.wav" in bad and "4_theo_1.wav: the file is" in bad


def test_archive_cannot_write_elsewhere(tmp_path, digits):
    path = tmp_path / "a.tar.gz"
    content = (digits / "0_george_2.wav").read_bytes()
    with tarfile.open(path, "w:gz") as tar:
        for name in ("../../0_george_2.wav", "/abs/0_jackson_2.wav", "../evil.sh", "x/y.wav"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("1_theo_1.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    prepare(tmp_path / "data" / "fsdd", source=path)
    found = sorted(p.relative_to(tmp_path / "data") for p in (tmp_path / "data").rglob("*.wav"))
    assert [str(p) for p in found] == ["fsdd/wav/0_george_2.wav", "fsdd/wav/0_jackson_2.wav"]
    assert not list(tmp_path.rglob("evil.sh"))


def test_what_another_archive_left_is_not_mixed_in(tmp_path, digits):
    path = archive_of(digits, tmp_path / "a.tar.gz")
    (tmp_path / "data" / "wav").mkdir(parents=True)
    shutil.copy(digits / "0_theo_2.wav", tmp_path / "data" / "wav" / "0_lucas_2.wav")
    check(tmp_path / "data", prepare(tmp_path / "data", source=path))


def test_no_source(tmp_path):
    with pytest.raises(DataError, match="'download: true'"):
        prepare(tmp_path)


def test_source_missing(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        prepare(tmp_path, source=tmp_path / "nowhere")


def test_nothing_found(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds neither recordings"):
        prepare(tmp_path / "data", source=tmp_path / "empty")


def test_one_speaker(tmp_path, digits):
    for path in digits.glob("*_[gj]*.wav"):
        path.unlink()
    with pytest.raises(DataError, match="at least two"):
        prepare(tmp_path / "data", source=digits)


def test_nothing_readable(tmp_path, digits):
    for path in digits.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no recording is readable"):
        prepare(tmp_path / "data", source=digits)


@pytest.mark.parametrize("fault", ["cut", "text", "others"])
def test_bad_archive(tmp_path, digits, fault):
    path = tmp_path / "a.tar.gz"
    if fault == "cut":
        rng = np.random.default_rng(0)
        soundfile.write(digits / "5_theo_1.wav", rng.uniform(-1, 1, 50000), 8000)
        archive_of(digits, path)
        path.write_bytes(path.read_bytes()[:-40000])
    elif fault == "text":
        path.write_text("hello")
    else:
        shutil.rmtree(digits)
        digits.mkdir()
        (digits / "readme.txt").write_text("x")
        archive_of(digits, path)
    with pytest.raises(DataError, match=r"a\.tar\.gz") as caught:
        prepare(tmp_path / "data", source=path)
    assert ("holds no recordings" if fault == "others" else "cut short") in str(caught.value)


def test_download(tmp_path, digits, monkeypatch):
    published = archive_of(digits, tmp_path / "published.tar.gz")
    monkeypatch.setattr(corpora, "_SOURCE", corpora._SOURCE._replace(url=published.as_uri()))
    check(tmp_path / "data", prepare(tmp_path / "data", download=True))
    published.unlink()
    check(tmp_path / "data", prepare(tmp_path / "data", download=True))  # kept from before


def test_download_without_network(tmp_path, monkeypatch):
    def offline(*_args, **_more):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(archives.urllib.request, "urlopen", offline)
    with pytest.raises(DataError, match="Name or service not known") as caught:
        prepare(tmp_path / "data", download=True)
    assert "set 'source'" in str(caught.value)
    assert not list(tmp_path.rglob("*.part"))


@pytest.fixture
def words(tmp_path, tone):
    """Three speakers, two words, one take each, in folders of their own."""
    folder = tmp_path / "DSPSpeech-20"
    for speaker in ("s01", "s02", "s03"):
        (folder / speaker).mkdir(parents=True)
        for word in ("00", "12"):
            soundfile.write(folder / speaker / f"{speaker}-{word}-02.flac", tone(), 8000)
    (folder / "README.md").write_text("x")
    return folder


def prepare_words(destination, **options):
    return dspspeech(DSPSpeechOptions(**options))(destination)


def test_dspspeech_in_folds_of_speakers(tmp_path, words):
    written = prepare_words(tmp_path / "data", source=words, folds=3)
    assert len(written) == 12
    for fold, (test, dev) in enumerate([("s01", "s02"), ("s02", "s03"), ("s03", "s01")]):
        parts = {
            part: DataDir.load(tmp_path / "data" / f"fold{fold}" / part)
            for part in ("test", "train", "dev", "inner")
        }
        speakers = {part: {u.speaker for u in data} for part, data in parts.items()}
        everybody = {"s01", "s02", "s03"}
        assert speakers == {
            "test": {test}, "train": everybody - {test}, "dev": {dev},
            "inner": everybody - {test, dev},
        }  # fmt: skip
    assert {u.text for u in parts["test"]} == {"数字", "Speech"}
    assert (tmp_path / "data" / "folds").read_text() == "s01 fold0\ns02 fold1\ns03 fold2\n"


def test_dspspeech_from_its_parent_folder_or_an_archive(tmp_path, words):
    assert prepare_words(tmp_path / "a", source=words.parent, folds=2)
    path = tmp_path / "a.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        tar.add(words, "DSPSpeech-20")
    prepare_words(tmp_path / "b", source=path, folds=2)
    names = [u.id for u in DataDir.load(tmp_path / "b" / "fold0" / "test")]
    assert names == ["s01-00-02", "s01-12-02", "s03-00-02", "s03-12-02"]


def test_what_is_wrong_with_dspspeech_is_named(tmp_path, words):
    with pytest.raises(DataError, match=r"no source given.*archive\. The corpus is published"):
        prepare_words(tmp_path / "d")
    with pytest.raises(DataError, match=r"there are 3 speakers .* too few for 5 folds"):
        prepare_words(tmp_path / "d", source=words)
    (words / "s01" / "s01-20-01.wav").write_bytes(b"x")
    with pytest.raises(DataError, match="there are words 00 to 19, no 20"):
        prepare_words(tmp_path / "d", source=words, folds=2)
    (words / "s01" / "s01-20-01.wav").rename(words / "s01" / "s01-19-01.wav")
    with pytest.raises(DataError, match=r"1 of 7 recordings are unreadable: .*s01-19-01.wav"):
        prepare_words(tmp_path / "d", source=words, folds=2)
