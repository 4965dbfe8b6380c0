"""Bytes of text files become characters, lines and fields in one way."""

from __future__ import annotations

import codecs
import gzip
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqebm.errors import ConfigError, DataError
from seqebm.text import fields, lines, number, read_bytes, read_text, shown, spaced, whole

TEXT = "one\ntwo three\nünï 語\n"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_one_text_in_many_forms(tmp_path, mark, encoding, packed, end):
    data = mark + TEXT.replace("\n", end).encode(encoding)
    path = tmp_path / "t"
    path.write_bytes(gzip.compress(data) if packed else data)
    assert read_text(path) == TEXT


def test_marks_at_the_start_of_lines_are_no_content(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(codecs.BOM_UTF8 + b"one\n" + codecs.BOM_UTF8 + b"two\n")  # cat a b
    assert read_text(path) == "one\ntwo\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("né\n".encode("latin-1"), "t:1: is not UTF-8 .*WINDOWS-1252 -t UTF-8"),
        (b"a\nb\n" + "né\n".encode("cp1252"), "t:3: is not UTF-8"),
        ("one two\n".encode("utf-16-le"), "t:1: holds a NUL.*iconv -f UTF-16LE"),
        ("one two\n".encode("utf-16-be"), "t:1: holds a NUL.*iconv -f UTF-16BE"),
        (b"a\nb\0c\n", "t:2: holds a NUL.*another kind of file"),
        (gzip.compress(b"one\n" * 1000, mtime=0)[:-9], "gzip, but damaged"),
        (gzip.compress(b"one", mtime=0)[:5] + b"xxxxxxxxx", "gzip, but damaged"),
    ],
)
def test_what_is_no_text_is_named_with_the_remedy(tmp_path, data, message):
    path = tmp_path / "t"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_text(path)
    with pytest.raises(ConfigError, match=r"t:|t: "):
        read_text(path, ConfigError)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="it is a pipe; write its content to a file"):
        read_text(tmp_path / "pipe")
    with pytest.raises(DataError, match="no regular file"):
        read_text("/dev/zero")
    with pytest.raises(DataError, match="cannot be read"):
        read_text(tmp_path / ("x" * 5000))
    with pytest.raises(DataError, match="cannot be read"):
        read_text("a\0b")


def test_sizes_are_limited_unpacked_as_well(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(gzip.compress(bytes(100_000)))
    assert len(read_bytes(path)) == 100_000
    with pytest.raises(DataError, match="holds more than 99,999 bytes"):
        read_bytes(path, largest=99_999)


@given(st.text(alphabet="ab \t\u00a0\u2028\u3000\x0c\x1c\x85\n", max_size=20))
def test_only_ascii_blanks_part_fields_and_only_line_feeds_lines(text):
    assert "\n".join(lines(text)) == text.removesuffix("\n")
    for line in lines(text):
        parts = fields(line)
        for part in parts:
            assert part and not set(part) & set(" \t\n\r\f\v")
        kept = "".join(c for c in line if c not in " \t\n\r\f\v")
        assert "".join(parts) == kept
        assert fields(spaced(line)) == parts
        rest = fields(line, 1)
        assert rest[:1] == parts[:1] and len(rest) <= 2


def test_what_a_number_is():
    assert [number(x) for x in ("1", "-2.5", ".5", "3.", "1e-3", "+7")] == [
        1,
        -2.5,
        0.5,
        3,
        1e-3,
        7,
    ]
    for word in ("", "nan", "inf", "1e309", "0x10", "1_000", "١", "1 2", "--1", "9" * 400):
        with pytest.raises(ValueError, match="is no number"):
            number(word)
    assert whole("0") == 0 and whole("999999999999999") == 10**15 - 1
    for word in ("-1", "+1", "1.0", "1_0", "²", "١", "9" * 16, ""):
        with pytest.raises(ValueError, match="is no whole number"):
            whole(word)


def test_what_is_quoted_is_short_and_can_be_seen():
    assert shown("a\x1b[31m") == r"'a\x1b[31m'"
    assert len(shown("x" * 1000)) <= 64
