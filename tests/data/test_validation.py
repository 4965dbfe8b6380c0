import numpy as np
import pytest

from seqebm.data import DataDir, fix, validate
from seqebm.errors import DataError

TEXT = "a one\nb two\nc one\n"


def found(directory, **options):
    return {(p.file.name, p.line, p.id, p.severity) for p in validate(directory, **options)}


def snapshot(directory):
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}


def test_a_sound_directory_has_no_problems(make_dir, reader):
    directory = make_dir(text=TEXT, utt2spk="a s\nb s\nc t\n", spk2utt="s a b\nt c\n")
    assert validate(directory, reader=reader) == []
    assert reader.reads == ["a", "b", "c"]


def test_every_problem_is_listed(make_dir):
    directory = make_dir(
        wav_scp="b b.f32\na a.f32\nc c.f32\ne gone.f32\n",
        text="a one\nb\nb two\nd six\ne one\n",
        utt2spk="a s\nb s\nc t\ne t\n",
        spk2utt="s a\n",
    )
    assert found(directory, check_files=False) == {
        ("wav.scp", 2, "a", "warning"),  # order
        ("wav.scp", 3, "c", "error"),  # not in text
        ("wav.scp", 4, "e", "error"),  # no such file
        ("text", 2, "b", "error"),  # empty
        ("text", 3, "b", "error"),  # twice
        ("text", 4, "d", "error"),  # not in wav.scp
        ("spk2utt", None, None, "warning"),
    }


def test_files_are_opened(make_dir, reader):
    directory = make_dir("abcdef", utt2spk="".join(f"{n} s\n" for n in "abcdef"))
    (directory / "a.f32").write_bytes(b"bad")
    (directory / "b.f32").write_bytes(b"")
    np.array([0, np.nan], np.float32).tofile(directory / "c.f32")
    np.array([np.inf], np.float32).tofile(directory / "d.f32")
    np.zeros(9000, np.float32).tofile(directory / "e.f32")
    problems = validate(directory, reader=reader, limit=1.0)
    assert {(p.line, p.id, p.fixable) for p in problems} == {
        (line, name, False) for line, name in enumerate("abcde", 1)
    }
    said = {p.id: p.message for p in problems}
    assert "convert it" in said["a"]
    assert "no samples" in said["b"]
    assert "NaN" in said["c"]
    assert "infinite" in said["d"]
    assert "longer than 1.0 s" in said["e"]
    assert validate(directory, check_files=False) == []


def test_only_utterances_without_other_errors_are_opened(make_dir, reader):
    validate(make_dir(text="a one\nc one\n"), reader=reader)
    assert reader.reads == ["a", "c"]


def test_segments_are_read_one_by_one(make_dir, reader):
    directory = make_dir(segments="u a 0 0.005\nv a 0.1 0.2\n", utt2spk="u s\nv s\n")
    assert found(directory, reader=reader) == {("segments", 2, "v", "error")}  # beyond the end


def test_validate_writes_nothing(make_dir, reader):
    directory = make_dir(text=b"b two\r\na one\r\nx\r\n")
    before = snapshot(directory)
    validate(directory, reader=reader)
    assert snapshot(directory) == before


def test_fix_makes_it_load_and_loses_nothing(make_dir):
    directory = make_dir(
        "abcd",
        wav_scp=b"\xef\xbb\xbfc c.f32\nb b.f32\na a.f32\na a.f32\nd d.f32\n\nz\n",
        text=b"c one\r\nb two\r\nb six\r\nx nine\r\na one\r\nd\r\n",
        utt2spk="a s\nb s\nc\nx t\n",
    )
    before = snapshot(directory)
    actions = fix(directory)
    data = DataDir.load(directory)
    assert [(u.id, u.text, u.speaker) for u in data] == [
        ("a", "one", "s"),
        ("b", "two", "s"),
        ("c", "one", "c"),
    ]
    assert (directory / "text").read_bytes() == b"a one\nb two\nc one\n"
    assert (directory / "spk2utt").read_bytes() == b"c c\ns a b\n"
    assert any("b is listed twice" in a and "different content" in a for a in actions)
    backup = directory / ".backup"
    assert {p.name: p.read_bytes() for p in backup.iterdir()} == {
        name: before[name] for name in ("wav.scp", "text", "utt2spk")
    }
    assert validate(directory, check_files=False) == []


def test_fixing_twice_does_nothing_more(make_dir):
    directory = make_dir(text="b two\na one\nb two\nc one\n", utt2spk="a s\nb s\nc s\n")
    assert fix(directory)
    before = snapshot(directory)
    assert fix(directory) == []
    assert snapshot(directory) == before


def test_backups_are_never_overwritten(make_dir):
    directory = make_dir(text="b two\na one\nc one\n")
    fix(directory)
    (directory / "text").write_text("c one\nb six\na one\n")
    fix(directory)
    saved = {p.name: p.read_text() for p in (directory / ".backup").iterdir()}
    assert saved == {"text": "b two\na one\nc one\n", "text.1": "c one\nb six\na one\n"}


def test_fix_with_segments_keeps_the_recordings(make_dir):
    directory = make_dir(
        segments="v a 10samples 20samples\nu a 0 10samples\nw x 0 1\nq a 9 3\n",
        text="u one\nv two\nw one\nq one\n",
    )
    fix(directory)
    assert [(u.id, u.text, u.start) for u in DataDir.load(directory)] == [
        ("u", "one", 0),
        ("v", "two", 10),
    ]
    assert (directory / "wav.scp").read_text() == "a a.f32\nb b.f32\nc c.f32\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [(b"x one\ny two\n", "no utterance"), (b"a one\nb z\xfcri\nc one\n", "not UTF-8")],
)
def test_fix_refuses_before_it_changes_anything(make_dir, text, part):
    directory = make_dir(wav_scp="b b.f32\na a.f32\n", text=text)
    before = snapshot(directory)
    with pytest.raises(DataError, match=f"nothing was changed.*{part}"):
        fix(directory)
    assert snapshot(directory) == before
    assert not (directory / ".backup").exists()


def test_what_cannot_be_mended_stays_listed(make_dir):
    directory = make_dir(wav_scp="c c.f32\nb sph2pipe b |\na a.f32\n")
    fix(directory)
    assert [(p.id, p.fixable) for p in validate(directory, check_files=False) if p.id] == [
        ("b", False)
    ]
