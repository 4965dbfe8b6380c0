import numpy as np
import pytest

from seqebm.data import DataDir, droppable, fix, validate, write_data_dir
from seqebm.data.reader import Reader
from seqebm.data.signals import read_signal
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
        ("text", 2, "b", "warning"),  # empty
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


def test_fix_repairs_and_drop_makes_it_load(make_dir):
    directory = make_dir(
        "abcd",
        wav_scp=b"\xef\xbb\xbfc c.f32\nb b.f32\na a.f32\na a.f32\nd d.f32\n\nz\n",
        text=b"c one\r\nb two\r\nb six\r\nx nine\r\na one\r\nd\r\n",
        utt2spk="a s\nb s\nc\nd s\nx t\n",
    )
    before = snapshot(directory)
    actions = fix(directory)
    assert not any("dropped" in action for action in actions)
    assert (directory / "wav.scp").read_text() == "a a.f32\nb b.f32\nc c.f32\nd d.f32\nz\n"
    assert (directory / "text").read_text() == "a one\nb two\nb six\nc one\nd\nx nine\n"
    assert (
        droppable(directory) == "2 of 6 utterances cannot be mended; --fix --drop drops them: x, z"
    )
    backup = directory / ".backup"
    assert {p.name: p.read_bytes() for p in backup.iterdir()} == {
        name: before[name] for name in ("wav.scp", "text", "utt2spk")
    }
    actions = fix(directory, drop=True)
    assert actions[-1] == "2 of 6 utterances dropped: x, z"
    assert any("b is listed twice" in a and "different content: dropped" in a for a in actions)
    assert [(u.id, u.text, u.speaker) for u in DataDir.load(directory)] == [
        ("a", "one", "s"),
        ("b", "two", "s"),
        ("c", "one", "c"),
        ("d", "", "s"),
    ]
    assert (directory / "spk2utt").read_bytes() == b"c c\ns a b d\n"
    assert [p.severity for p in validate(directory, check_files=False)] == ["warning"]  # d is empty
    assert droppable(directory) == ""


def test_marks_in_the_middle_of_a_file_are_repaired(make_dir):
    text = "\ufeffa one\n\ufeff\ufeffb two\nc one\n"
    directory = make_dir(text=text, utt2spk="a s\nb s\nc s\n")
    assert [(u.id, u.text) for u in DataDir.load(directory)][1] == ("b", "two")
    assert sum("byte-order mark" in action for action in fix(directory)) == 2
    assert (directory / "text").read_text() == "a one\nb two\nc one\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_other_encodings_of_unicode_are_read_and_repaired(make_dir, encoding):
    directory = make_dir(text="a é\r\nb two\r\nc one\r\n".encode(encoding))
    assert DataDir.load(directory).utterances[0].text == "é"
    assert fix(directory)
    assert (directory / "text").read_text(encoding="utf-8") == "a é\nb two\nc one\n"


def test_words_that_only_look_alike_are_told_of_and_repaired(make_dir):
    directory = make_dir(
        text="a e\u0301t\u00e9\nb o\u00a0ne\nc t\u200bwo\n", utt2spk="a s\nb s\nc s\n"
    )
    (problem,) = validate(directory, check_files=False)
    assert (problem.severity, problem.line, problem.fixable) == ("warning", 1, True)
    assert "3 words are such as 'e\u0301t\u00e9' (U+0065 U+0301 U+00E9)" in problem.message
    assert [u.text for u in DataDir.load(directory)] == ["e\u0301té", "o\u00a0ne", "t\u200bwo"]
    fix(directory)
    assert (directory / "text").read_text(encoding="utf-8") == "a été\nb o ne\nc two\n"


def test_only_ascii_blanks_and_line_feeds_part(make_dir):
    directory = make_dir(text="a one\u2028b\u0085 x\nb\ttwo  three \nc one\x0cfour\n")
    texts = [u.text for u in DataDir.load(directory)]
    assert texts == ["one\u2028b\u0085 x", "two three", "one four"]


def test_names_of_files_are_found_composed_or_decomposed(make_dir):
    directory = make_dir("ab", wav_scp="a a\u0301.f32\nb \u00e9.f32\n")
    (directory / "a.f32").rename(directory / "\u00e1.f32")
    (directory / "b.f32").rename(directory / "e\u0301.f32")
    assert [u.path.name for u in DataDir.load(directory)] == ["\u00e1.f32", "e\u0301.f32"]


def test_a_swapped_utt2spk_is_left_alone(make_dir):
    directory = make_dir(utt2spk="s a b\nt c\n", text="b two\na one\nc one\n")
    fix(directory)
    assert (directory / "utt2spk").read_text() == "s a b\nt c\n"
    assert not (directory / "spk2utt").exists()
    with pytest.raises(DataError, match="write lines 'utterance speaker'"):
        DataDir.load(directory)


class TwoChannels(Reader):
    kind = "audio"
    suffixes = (".f32",)

    def file_rate(self, path):
        return 8000

    def read(self, path, rate, start=None, stop=None, limit=None, channel=None):
        stop = 100 if stop is None else stop
        if not stop <= 100:
            raise DataError(f"{path}: [{start}, {stop}) is not inside its 100 samples")
        return np.full(stop - (start or 0), -1 if channel is None else channel, np.float32)


def test_the_channel_of_a_segment_goes_to_the_reader(make_dir, reader):
    directory = make_dir(segments="u a 0 10samples 1\nv a 0 10samples\n")
    data = DataDir.load(directory)
    assert [u.channel for u in data] == [1, None]
    assert [read_signal(TwoChannels(), u, 8000)[0] for u in data] == [1, -1]
    with pytest.raises(DataError, match="u: channel 1 is asked for, but the reader FakeReader"):
        read_signal(reader, data.utterances[0], 8000)
    written = write_data_dir(directory.parent / "again", data)
    assert [u.channel for u in DataDir.load(written.path)] == [1, None]


def test_segments_may_overshoot_by_a_rounding(make_dir):
    directory = make_dir(
        segments="u a 50samples 800samples\nv a 50samples 1000samples\n", utt2spk="u s\nv s\n"
    )
    problems = validate(directory, reader=TwoChannels())
    assert [(p.severity, p.id) for p in problems] == [("warning", "u"), ("error", "v")]
    assert "ends 0.087 s after its recording; cut there" in problems[0].message


def test_whole_numbers_are_perhaps_not_seconds(make_dir):
    directory = make_dir(segments="u a 0 8000\nv a 8000 12000\n", utt2spk="u s\nv s\n")
    (problem,) = validate(directory, check_files=False)
    assert "up to 12000" in problem.message and "'12000samples'" in problem.message


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
    assert fix(directory, drop=True)[-1] == "2 of 4 utterances dropped: q, w"
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
        fix(directory, drop=True)
    assert snapshot(directory) == before
    assert not (directory / ".backup").exists()


def test_what_cannot_be_mended_stays_listed(make_dir):
    directory = make_dir(wav_scp="c c.f32\nb sph2pipe b |\na a.f32\n")
    fix(directory)
    assert [(p.id, p.fixable) for p in validate(directory, check_files=False) if p.id] == [
        ("b", False)
    ]
