import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqebm.data import DataDir, Utterance, read_text, write_data_dir, write_table
from seqebm.data.datadir import parse_time
from seqebm.errors import DataError

TEXT = "a one\nb two\nc one\n"
SPEAKERS = "a s1\nb s1\nc s2\n"


def message_of(directory, **options):
    with pytest.raises(DataError) as caught:
        DataDir.load(directory, **options)
    return str(caught.value)


def test_load(make_dir):
    data = DataDir.load(make_dir(text=TEXT, utt2spk=SPEAKERS))
    assert [(u.id, u.text, u.speaker, u.start, u.stop) for u in data] == [
        ("a", "one", "s1", None, None),
        ("b", "two", "s1", None, None),
        ("c", "one", "s2", None, None),
    ]
    assert data.kind == "audio"
    assert data.speakers == ["s1", "s2"]
    assert data.texts == ["one", "two"]
    assert [u.id for u in data.where(lambda u: u.speaker == "s2")] == ["c"]
    assert all(u.path.is_file() for u in data)


def test_several_are_joined_in_order(tmp_path):
    def made(name, *ids, kind="audio"):
        utterances = tuple(Utterance(i, tmp_path / i, "one", name) for i in ids)
        return DataDir(tmp_path / name, kind, utterances)

    joined = DataDir.joined([made("x", "b", "d"), made("y", "a", "c")])
    assert [u.id for u in joined] == ["a", "b", "c", "d"]
    assert joined.speakers == ["x", "y"] and joined.path == tmp_path / "x"
    with pytest.raises(DataError, match=r"utterance b is in .*x and in .*y; give those"):
        DataDir.joined([made("x", "b"), made("y", "a", "b")])
    with pytest.raises(DataError, match=r"x holds audio, but .*y ink"):
        DataDir.joined([made("x", "b"), made("y", "a", kind="ink")])
    with pytest.raises(DataError, match="give at least one"):
        DataDir.joined([])


def test_any_order_crlf_bom_and_blanks_are_tolerated(make_dir):
    directory = make_dir(
        wav_scp="c c.f32\na\ta.f32\nb   b.f32",
        text=b"\xef\xbb\xbfb two  words \r\nc one\r\n\r\na one\r\n",
        utt2spk=SPEAKERS,
    )
    assert [(u.id, u.text) for u in DataDir.load(directory)] == [
        ("a", "one"),
        ("b", "two words"),
        ("c", "one"),
    ]


def test_without_utt2spk_each_utterance_is_a_speaker(make_dir):
    assert DataDir.load(make_dir(text=TEXT)).speakers == ["a", "b", "c"]


def test_without_text_the_transcripts_are_unknown(make_dir):
    assert [u.text for u in DataDir.load(make_dir())] == [None] * 3


@pytest.mark.parametrize("kind", ["ink", "image"])
def test_kinds(make_dir, kind):
    directory = make_dir()
    (directory / "wav.scp").rename(directory / f"{kind}.scp")
    assert DataDir.load(directory).kind == kind


@pytest.mark.parametrize(
    ("tables", "parts"),
    [
        ({"text": "a one\nb two\nb two\nc one\n"}, ["text:3: b", "first on line 2"]),
        ({"text": "a one\nb two\nb six\nc one\n"}, ["text:3: b", "different content"]),
        ({"text": "a one\nb two\nc one\nd six\n"}, ["text:4: d", "not in wav.scp"]),
        ({"text": "a one\nb two\n"}, ["wav.scp:3: c", "not in text"]),
        ({"text": "a one\n\xff\nc one\n".encode("latin1")}, ["text:2: is not UTF-8 (byte 0xff"]),
        (
            {"text": "a-1 1 0.1 0.2 one\na-1 1 0.3 0.2 two\n"},
            ["text: is a ctm file", "utterance words"],
        ),
        ({"text": "a 1 s 0.1 0.2 one\nb 1 s 0.3 0.4 two\n"}, ["text: is an stm file"]),
        ({"text": "one (a-1)\none (b-1)\ntwo (c-1)\n"}, ["text: is a trn file"]),
        ({"utt2spk": "s a b\nt c\n"}, ["utt2spk: lists the utterances of each speaker", "spk2utt"]),
        ({"wav_scp": "a a.f32\nb x.ark:12\nc c.f32\n"}, ["wav.scp:2: b", "archive of Kaldi"]),
        ({"wav_scp": f"a {'x/' * 2500}a\nb b.f32\nc c.f32\n"}, ["wav.scp:1: a", "does not exist"]),
        ({"segments": "u a 0 1e309\n"}, ["segments:1: u", "'1e309' is neither seconds"]),
        ({"segments": "u a 0 1_000\n"}, ["segments:1: u", "'1_000' is neither seconds"]),
        ({"segments": f"u a 0 {'9' * 5000}samples\n"}, ["segments:1: u", "no whole number"]),
        ({"segments": "u a 0 1e10\n"}, ["segments:1: u", "1,000,000,000 seconds"]),
        ({"segments": "u a 0 1 x\n"}, ["segments:1: u", "channel 'x'", "from 0"]),
        ({"utt2spk": "a s\nb s\n"}, ["wav.scp:3: c", "not in utt2spk"]),
        ({"utt2spk": "a s\nb s t\nc s\n"}, ["utt2spk:2: b", "one speaker id"]),
        ({"wav_scp": "a a.f32\nb\nc c.f32\n"}, ["wav.scp:2: b", "no path"]),
        ({"segments": "u a 0 1\nv x 0 1\n"}, ["segments:2: v", "'x' is not in wav.scp"]),
        ({"segments": "u a 2 1\n"}, ["segments:1: u", "empty or negative"]),
        ({"segments": "u a 0\n"}, ["segments:1: u", "recording start stop"]),
        ({"segments": "u a x 2\n"}, ["segments:1: u", "'x' is neither seconds"]),
        ({"segments": "u a 1 2samples\n"}, ["segments:1: u", "mixes"]),
    ],
)
def test_faults_name_file_line_id_and_remedy(make_dir, tables, parts):
    directory = make_dir(**tables)
    message = message_of(directory)
    for part in [*parts, "seqebm data validate", f"{directory}'"]:
        assert part in message


def test_pipes_are_refused(make_dir, tmp_path):
    directory = make_dir(wav_scp=f"a a.f32\nb touch {tmp_path}/ran |\nc c.f32\n")
    message = message_of(directory)
    assert "wav.scp:2: b" in message
    assert "never run" in message
    assert "--fix" not in message  # it would not help
    assert not (tmp_path / "ran").exists()


def test_missing_files_are_named(make_dir):
    directory = make_dir()
    (directory / "b.f32").unlink()
    message = message_of(directory)
    assert "wav.scp:2: b" in message
    assert "b.f32" in message
    assert "does not exist" in message


def test_not_utf8_is_named(make_dir):
    assert "text:2: is not UTF-8" in message_of(make_dir(text=b"a one\nb z\xfcri\nc one\n"))


def test_many_problems_are_counted(make_dir):
    message = message_of(make_dir(text="".join(f"x{i} one\n" for i in range(10)) + TEXT))
    assert "and 5 more" in message


@pytest.mark.parametrize("extra", [None, "ink.scp", "feats.scp"])
def test_exactly_one_list_of_files(make_dir, extra):
    directory = make_dir()
    if extra:
        (directory / extra).write_text("a a.f32\n")
    else:
        (directory / "wav.scp").unlink()
    assert "exactly one of wav.scp, ink.scp, image.scp, feats.scp" in message_of(directory)


@pytest.mark.parametrize(
    ("kind", "scp", "unit"),
    [
        ("audio", "wav.scp", "samples"),
        ("ink", "ink.scp", "points"),
        ("image", "image.scp", "samples"),
        ("features", "feats.scp", "frames"),
    ],
)
def test_units_of_segments(tmp_path, kind, scp, unit):
    (tmp_path / "a.x").touch()
    item = Utterance("u", tmp_path / "a.x", "one", "s", 5, 9)
    write_data_dir(tmp_path / "d", [item], kind)
    assert (tmp_path / "d" / "segments").read_text() == f"u a 5{unit} 9{unit}\n"
    assert (tmp_path / "d" / scp).read_text() == "a ../a.x\n"
    data = DataDir.load(tmp_path / "d")
    assert data.kind == kind and (data.utterances[0].start, data.utterances[0].stop) == (5, 9)


def test_missing_directory(tmp_path):
    assert "does not exist" in message_of(tmp_path / "nowhere")


def test_relative_paths_are_found_from_anywhere(make_dir, tmp_path, monkeypatch):
    directory = make_dir(wav_scp="a a.f32\nb audio/b.f32\nc c.f32\n")
    (tmp_path / "audio").mkdir()
    (directory / "b.f32").rename(tmp_path / "audio" / "b.f32")
    message_of(directory)  # audio/b.f32 is below tmp_path only
    monkeypatch.chdir(tmp_path)
    data = DataDir.load("train")
    assert [os.path.relpath(u.path) for u in data] == ["train/a.f32", "audio/b.f32", "train/c.f32"]


def test_the_data_directory_comes_before_the_working_directory(make_dir, tmp_path, monkeypatch):
    directory = make_dir()
    (tmp_path / "a.f32").write_bytes(b"another file of that name")
    monkeypatch.chdir(tmp_path)
    assert DataDir.load(directory).utterances[0].path == directory / "a.f32"


def test_segments(make_dir):
    directory = make_dir(
        segments="u a 0.0015 0.0025\nv a 10samples 20samples\nw b 0 -1\nx b 5samples -1\n"
    )
    data = DataDir.load(directory, rate_of=lambda path: 8000)
    assert [(u.id, u.path.name, u.start, u.stop) for u in data] == [
        ("u", "a.f32", 12, 20),
        ("v", "a.f32", 10, 20),
        ("w", "b.f32", 0, None),
        ("x", "b.f32", 5, None),
    ]


def test_seconds_are_exact_decimals(make_dir):
    # 0.29 * 100 is 28.999999999999996 in floats.
    directory = make_dir(segments="u a 0 0.29\n", reco2rate="a 100\n")
    assert DataDir.load(directory).utterances[0].stop == 29


def test_seconds_need_a_rate(make_dir):
    directory = make_dir(segments="u a 0.5 1\n")

    def unknown(path):
        raise DataError("no idea")

    message = message_of(directory, rate_of=unknown)
    assert "reco2rate" in message
    assert "8000samples" in message


def test_a_rate_that_is_no_number_is_named(make_dir):
    assert "reco2rate:1: a" in message_of(make_dir(segments="u a 0.5 1\n", reco2rate="a fast\n"))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "5s", "1e", "-3samples", "1.5samples", ""])
def test_times_that_are_none(text):
    with pytest.raises(ValueError, match=r"neither|not a time"):
        parse_time(text)


def test_written_directories_can_be_moved_and_read(tmp_path):
    wav = tmp_path / "corpus" / "wav"
    wav.mkdir(parents=True)
    for name in ("x y.f32", "z.f32"):
        np.zeros(50, np.float32).tofile(wav / name)
    write_data_dir(
        tmp_path / "corpus" / "train",
        [Utterance("b", wav / "x y.f32", " two  words ", "s2"), Utterance("B", wav / "z.f32", "é")],
    )
    (tmp_path / "corpus").rename(tmp_path / "moved")
    data = DataDir.load(tmp_path / "moved" / "train")
    assert [(u.id, u.text, u.speaker) for u in data] == [("B", "é", "B"), ("b", "two words", "s2")]
    directory = tmp_path / "moved" / "train"
    assert (directory / "spk2utt").read_text() == "B B\ns2 b\n"
    assert sorted(p.name for p in directory.iterdir()) == ["spk2utt", "text", "utt2spk", "wav.scp"]


def test_written_segments_come_back(tmp_path):
    for folder in "pq":
        (tmp_path / folder).mkdir()
        np.zeros(50, np.float32).tofile(tmp_path / folder / "x.f32")
    items = [
        Utterance("a", tmp_path / "p" / "x.f32", None, "s", 5, 9),
        Utterance("b", tmp_path / "q" / "x.f32", None, "s", 7, None),
        Utterance("c", tmp_path / "q" / "x.f32", None, "s"),
    ]
    write_data_dir(tmp_path / "d", items)
    loaded = DataDir.load(tmp_path / "d")  # no rate is needed
    assert [(u.start, u.stop) for u in loaded] == [(5, 9), (7, None), (0, None)]
    assert [u.path.resolve() for u in loaded] == [u.path for u in items]


def test_a_rewritten_directory_keeps_no_stale_tables(tmp_path):
    np.zeros(50, np.float32).tofile(tmp_path / "x.f32")
    write_data_dir(tmp_path / "d", [Utterance("a", tmp_path / "x.f32", "one", "s", 5, 9)])
    write_data_dir(tmp_path / "d", [Utterance("b", tmp_path / "x.f32")])
    assert [(u.id, u.text, u.start) for u in DataDir.load(tmp_path / "d")] == [("b", None, None)]


@pytest.mark.parametrize(
    ("items", "part"),
    [
        ([], "no utterances"),
        ([("a", "x"), ("a", "y")], "'a' is given twice"),
        ([("a", "x"), ("b", None)], "b: has no transcript"),
        ([("\udcff", "x")], "is not UTF-8; rename the file"),
        ([("a b", "x")], "'a b' cannot be an id"),
    ],
)
def test_what_cannot_be_written(tmp_path, items, part):
    with pytest.raises(DataError, match=part):
        write_data_dir(tmp_path / "d", [Utterance(n, Path("x.wav"), text) for n, text in items])
    assert not (tmp_path / "d" / "wav.scp").exists()


@given(
    st.dictionaries(
        st.text("abcABÉé-_0", min_size=1, max_size=6), st.text("xyz é", max_size=8), max_size=8
    )
)
def test_tables_come_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("t") / "text"
    write_table(path, rows)
    assert read_text(path) == {name: " ".join(value.split()) for name, value in rows.items()}
    ids = [line.split()[0].encode() for line in path.read_text("utf-8").splitlines()]
    assert ids == sorted(ids)


def test_a_full_disk_leaves_the_old_table(tmp_path, monkeypatch):
    write_table(tmp_path / "text", {"a": "one"})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        write_table(tmp_path / "text", {"a": "two"})
    assert os.listdir(tmp_path) == ["text"]
    assert read_text(tmp_path / "text") == {"a": "one"}


def test_reading_data_directories_needs_no_torch():
    code = (
        "import sys, seqebm.data; from seqebm.data import DataDir, validate, write_data_dir;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
