"""The preparers ``yesno`` and ``an4``, on corpora made up here."""

from __future__ import annotations

import itertools
import logging
import shutil
import tarfile

import numpy as np
import pytest
import soundfile
from seqebm_speech import sphinx, yesno
from seqebm_speech.an4 import an4
from seqebm_speech.cepstra_reader import CepstraReader
from seqebm_speech.options import AN4Options, YesNoOptions

from seqebm.data import DataDir, validate
from seqebm.errors import DataError

WOMEN = ("fash", "fbbh")
MEN = ("mblb", "mblw", "mcel", "mdxn")


def pack(folder, path, inside):
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, inside)
    return path


# ---------------------------------------------------------------------------------------- yesno


@pytest.fixture
def waves(tmp_path, tone):
    folder = tmp_path / "source" / "waves_yesno"
    folder.mkdir(parents=True)
    for number, bits in enumerate(itertools.product("01", repeat=6)):
        if number < 60:
            soundfile.write(folder / f"{'_'.join(bits)}.wav", tone(0.05), 8000)
    (folder / "README").write_text("about")
    return folder


def prepare_yesno(destination, **options):
    return yesno.yesno(YesNoOptions(**options))(destination)


@pytest.mark.parametrize("which", ["folder", "parent", "archive", "folder of the archive"])
def test_yesno(tmp_path, waves, which):
    source = {"folder": waves, "parent": waves.parent}.get(which)
    if source is None:
        source = pack(waves, tmp_path / "waves_yesno.tar.gz", "waves_yesno")
        shutil.rmtree(waves.parent)
        source = tmp_path if which.startswith("folder") else source
    data = tmp_path / "data"
    assert prepare_yesno(data, source=source) == [data / "train", data / "test"]
    train, test = DataDir.load(data / "train"), DataDir.load(data / "test")
    assert len(train) == len(test) == 30
    assert max(u.id for u in train) < min(u.id for u in test)
    assert train.utterances[1].id == "0_0_0_0_0_1"
    assert train.utterances[1].text == "NO NO NO NO NO YES"
    assert test.utterances[-1].id == "1_1_1_0_1_1"
    assert train.speakers == test.speakers == ["global"]
    assert (data / "lexicon.txt").read_text() == "NO N\nYES Y\n"
    assert validate(data / "test") == []


def test_yesno_refusals(tmp_path, waves, caplog):
    with pytest.raises(DataError, match="'download: true'"):
        prepare_yesno(tmp_path / "data")
    with pytest.raises(DataError, match="does not exist"):
        prepare_yesno(tmp_path / "data", source=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds neither recordings"):
        prepare_yesno(tmp_path / "data", source=tmp_path / "empty")
    archive = pack(tmp_path / "empty", tmp_path / "empty.tar.gz", "x")
    with pytest.raises(DataError, match="holds no recordings"):
        prepare_yesno(tmp_path / "data", source=archive)
    first, *others = sorted(waves.glob("*.wav"))
    others[-1].unlink()
    with caplog.at_level(logging.WARNING):
        prepare_yesno(tmp_path / "data", source=waves)
    assert "59 recordings instead of 60" in caplog.text
    first.write_bytes(b"RIFF")
    with pytest.raises(DataError, match=f"1 recordings are unreadable: .*{first.name}"):
        prepare_yesno(tmp_path / "data", source=waves)
    for path in others[:30]:
        path.unlink()
    with pytest.raises(DataError, match="there must be more"):
        prepare_yesno(tmp_path / "data", source=waves)


def test_yesno_download(tmp_path, waves, monkeypatch):
    published = pack(waves, tmp_path / "published.tar.gz", "waves_yesno")
    monkeypatch.setattr(yesno, "_SOURCE", yesno._SOURCE._replace(url=published.as_uri()))
    prepare_yesno(tmp_path / "data", download=True)
    assert len(DataDir.load(tmp_path / "data" / "train")) == 30


# ------------------------------------------------------------------------------------------ an4


@pytest.fixture
def corpus(tmp_path):
    """Six training speakers and one for testing, two utterances each, in the corpus's layout."""
    folder = tmp_path / "published" / "an4"
    etc = folder / "etc"
    etc.mkdir(parents=True)
    (etc / "an4.dic").write_text("A  AH\nA(2)  EY\nGO  G OW\nYES  Y EH S\n")
    (etc / "an4.ug.lm").write_bytes(b"comment \xe9\n\\data\\\nngram 1=3\n")
    number = 0
    for part, place, speakers in (
        ("train", "an4_clstk", WOMEN + MEN),
        ("test", "an4test_clstk", ("fcaw",)),
    ):
        ids, lines = [], []
        for speaker in speakers:
            for kind, words in (("an", "YES"), ("cen", "A  GO A")):
                number += 1
                name = f"{kind}{number}-{speaker}-b"
                path = folder / "feat" / place / speaker / f"{name}.mfc"
                path.parent.mkdir(parents=True, exist_ok=True)
                frames = np.full((number, 13), number, dtype=">f4")
                path.write_bytes(np.array([frames.size], ">i4").tobytes() + frames.tobytes())
                ids.append(f"{place}/{speaker}/{name}\n")
                lines.append(
                    f"<s> {words} </s> ({name})\n" if number == 1 else f"{words} ({name})\n"
                )
        (etc / f"an4_{part}.fileids").write_text("".join(ids))
        (etc / f"an4_{part}.transcription").write_text("".join(lines))
    return folder


@pytest.fixture
def audio(tmp_path, tone):
    folder = tmp_path / "audio" / "an4_wav"
    folder.mkdir(parents=True)
    rows = (
        ("an1-fash-b.wav", "YES"),
        ("cen14-fcaw-b.sph", "A GO A"),
        ("an99-fxyz-b.wav", "NEW"),
    )
    for name, _ in rows:
        soundfile.write(
            folder / name, tone(0.3, 16000), 16000, "PCM_16",
            format="NIST" if name.endswith("sph") else "WAV",
        )  # fmt: skip
    (folder / "transcripts.tsv").write_text("".join(f"{n}\t{t}\n" for n, t in rows))
    return folder


def prepare(destination, **options):
    return an4(AN4Options(**options))(destination)


def refusal(tmp_path, corpus, **options):
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "data", source=corpus, **options)
    return str(caught.value)


@pytest.mark.parametrize("which", ["folder", "parent", "archive"])
def test_an4(tmp_path, corpus, which):
    source = {"folder": corpus, "parent": corpus.parent}.get(which)
    source = source or pack(corpus, tmp_path / "an4.tar.gz", "an4")
    data = tmp_path / "data"
    assert prepare(data, source=source) == [data / "train", data / "test"]
    train, test = DataDir.load(data / "train"), DataDir.load(data / "test")
    assert (train.kind, len(train), len(test)) == ("features", 12, 2)
    assert train.speakers == sorted(WOMEN + MEN) and test.speakers == ["fcaw"]
    by_id = {u.id: u for u in (*train, *test)}
    assert by_id["an1-fash-b"].text == "YES" and by_id["cen2-fash-b"].text == "A GO A"
    assert CepstraReader().read(by_id["cen14-fcaw-b"].path, 100).shape == (14, 13)
    assert (data / "lexicon.txt").read_bytes() == (corpus / "etc" / "an4.dic").read_bytes()
    assert (data / "lm.arpa").read_bytes() == (corpus / "etc" / "an4.ug.lm").read_bytes()
    assert validate(data / "train") == []


def test_an4_development_speakers(tmp_path, corpus):
    data = tmp_path / "data"
    prepare(data, source=corpus, dev_speakers=3)
    assert len(DataDir.load(data / "train")) == 12
    dev, rest = DataDir.load(data / "dev"), DataDir.load(data / "train_dev")
    assert dev.speakers == ["fbbh", "mblw", "mdxn"]
    assert len(dev) == 6 and len(rest) == 6 and not set(dev.speakers) & set(rest.speakers)
    assert "6 speakers" in refusal(tmp_path, corpus, dev_speakers=6)


@pytest.mark.parametrize("archived", [False, True])
def test_an4_audio(tmp_path, corpus, audio, archived):
    data = tmp_path / "data"
    source = pack(audio, tmp_path / "audio.tar.gz", "an4_wav") if archived else audio.parent
    written = prepare(data, source=corpus, audio=source)
    assert [p.name for p in written] == ["train", "test", "wav", "wav_train", "wav_test"]
    wav = DataDir.load(data / "wav")
    assert wav.kind == "audio" and [u.text for u in wav] == ["YES", "NEW", "A GO A"]
    (item,) = DataDir.load(data / "wav_test")
    assert (item.id, item.speaker, item.text) == ("cen14-fcaw-b", "fcaw", "A GO A")
    found = CepstraReader().read(item.path, 100)
    assert found.shape == (sphinx.frame_count(4800), 13)
    assert [u.id for u in DataDir.load(data / "wav_train")] == ["an1-fash-b"]
    assert validate(data / "wav_test") == []


def test_an4_from_audio_only(tmp_path, corpus, tone):
    for path in corpus.rglob("*.mfc"):
        target = corpus / "wav" / path.relative_to(corpus / "feat").with_suffix(".sph")
        target.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(target, tone(0.1, 16000), 16000, "PCM_16", format="NIST")
    shutil.rmtree(corpus / "feat")
    prepare(tmp_path / "data", source=corpus)
    assert validate(tmp_path / "data" / "test") == []


def test_an4_audio_with_other_words(tmp_path, corpus, audio, caplog):
    table = audio / "transcripts.tsv"
    table.write_text(table.read_text().replace("\tYES", "\tNO"))
    with caplog.at_level(logging.WARNING):
        prepare(tmp_path / "data", source=corpus, audio=audio)
    assert "an1-fash-b" in caplog.text
    assert next(iter(DataDir.load(tmp_path / "data" / "wav_train"))).text == "YES"


def test_an4_faults_are_named(tmp_path, corpus, audio):
    etc = corpus / "etc"

    def spoilt(path, old, new, **more):
        before = path.read_text()
        path.write_text(before.replace(old, new))
        message = refusal(tmp_path, corpus, **more)
        path.write_text(before)
        return message

    lines = etc / "an4_train.transcription"
    assert f"{lines}:2: 'A  GO A' is not" in spoilt(lines, "A  GO A (cen2-fash-b)", "A  GO A")
    assert "an3-fbbh-b is transcribed twice" in spoilt(lines, "cen4-fbbh-b", "an3-fbbh-b")
    message = spoilt(lines, "YES (an3-fbbh-b)\n", "")
    assert "1 utterances have no transcript: an3-fbbh-b" in message
    message = spoilt(lines, "YES (an3-fbbh-b)", "YES ABBA (an3-fbbh-b)")
    assert "1 words are not in" in message and message.endswith("ABBA")
    listing = etc / "an4_test.fileids"
    assert "1 transcripts are not in" in spoilt(listing, "an4test_clstk/fcaw/an13-fcaw-b\n", "")
    assert "is no path below" in spoilt(listing, "an4test_clstk", "../an4test_clstk")
    assert "names no speaker" in spoilt(listing, "an13-fcaw-b", "an13")
    assert f"{etc / 'an4.dic'}:3: 'GO' has no phones" in spoilt(etc / "an4.dic", "  G OW", "")
    table = audio / "transcripts.tsv"
    assert "is not 'file name, tab, words'" in spoilt(table, "\tYES", " YES", audio=audio)
    assert "missing: an98-fxyz-b.wav" in spoilt(table, "an99", "an98", audio=audio)
    table.unlink()
    assert "0 transcripts.tsv" in refusal(tmp_path, corpus, audio=audio)
    for path in (corpus / "feat" / "an4_clstk" / "mcel").iterdir():
        path.unlink()
    message = refusal(tmp_path, corpus)
    assert "2 of 12 files" in message and "feat/an4_clstk/mcel/an9-mcel-b.mfc" in message
    (etc / "an4.ug.lm").unlink()
    shutil.rmtree(etc)
    assert "holds no etc/an4_train.fileids" in refusal(tmp_path, corpus)
    assert "does not exist" in refusal(tmp_path, tmp_path / "nowhere")
    with pytest.raises(DataError, match="no source given"):
        prepare(tmp_path / "data")


def test_an4_archives_cannot_write_elsewhere(tmp_path, corpus):
    (corpus / "etc" / "x.sh").write_text("x")
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(corpus, "an4")
        tar.add(corpus / "etc" / "x.sh", "etc/../../../evil.sh")
    prepare(tmp_path / "data" / "an4", source=path)
    assert not list(tmp_path.rglob("evil.sh"))
