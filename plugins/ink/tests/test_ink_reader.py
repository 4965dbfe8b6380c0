"""The reader 'ink': formats told by content, parts of prepared arrays, and what is refused."""

from __future__ import annotations

import os
import pickle
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqebm_ink.options import InkReaderOptions
from seqebm_ink.reader import InkReader, read_ink
from typer.testing import CliRunner

from seqebm.cli.app import app
from seqebm.data import validate
from seqebm.errors import DataError
from seqebm.hooks import Reader

UNIPEN = (
    ".VERSION 1.0\n.COORD X Y T\n.POINTS_PER_SECOND 100\n"
    ".PEN_DOWN\n10 20 0\n13 24 10\n.PEN_UP\n15 25 20\n.PEN_DOWN\n16 26 30\n"
)
INKML = "<ink><trace>10 20, 13 16</trace><trace type='penUp'>0 0</trace><trace>16 14</trace></ink>"
JSON = '{"strokes": [[[10, 20], [13, 16]], [[0, 0]], [[16, 14]]], "pen_up": [1]}'
WANTED = [[0, 0, 0], [3, 4, 0], [6, 6, 1]]  # x, y and stroke of each


def write(tmp_path, data, name="a.unknown"):
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def fault(path, reader=None, **more):
    with pytest.raises(DataError) as caught:
        (reader or InkReader()).read(path, 100, **more)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.fixture
def archive(tmp_path):
    """Two utterances of 3 and 4 points, one after another, as ``seqebm data prepare`` writes."""
    first = [[0, 0, 0, 0], [3, 4, 0.01, 0], [6, 6, 0.03, 1]]
    second = [[0, 0, 0, 0], [1, 0, 0.01, 0], [1, 1, 0.01, 1], [2, 2, 0.5, 2]]
    path = tmp_path / "ink.npy"
    np.save(path, np.array(first + second, np.float32))
    return path


def test_it_is_a_reader():
    assert isinstance(InkReader(), Reader) and InkReader.kind == "ink"


@pytest.mark.parametrize("name", ["a.inkml", "a.json", "a.dat", "a.npy", "a.wrong", "a"])
@pytest.mark.parametrize("data", [UNIPEN, INKML, JSON, "\ufeff \n" + JSON, "\ufeff\n" + INKML])
def test_the_format_is_told_by_content_and_not_by_suffix(tmp_path, name, data):
    points = InkReader().read(write(tmp_path, data, name), 100)
    assert points.dtype == np.float32 and points.flags.writeable and points.flags.c_contiguous
    assert points[:, [0, 1, 3]].tolist() == WANTED
    np.testing.assert_allclose(
        points[:, 2], [0, 0.01, 0.03] if data is UNIPEN else [0, 0.01, 0.02], rtol=1e-6
    )


def test_the_rate_counts_where_there_are_no_times(tmp_path):
    points = InkReader().read(write(tmp_path, JSON), 50)
    np.testing.assert_allclose(points[:, 2], [0, 0.02, 0.04], rtol=1e-6)


def test_the_option_y_axis_overrules_each_format(tmp_path):
    for data, rule in ((UNIPEN, "up"), (INKML, "down"), (JSON, "down")):
        path = write(tmp_path, data)
        for axis, sign in (("file", 1), (rule, 1), ({"up": "down", "down": "up"}[rule], -1)):
            points = InkReader(InkReaderOptions(y_axis=axis)).read(path, 100)
            assert points[:, 1].tolist() == [0, 4 * sign, 6 * sign]


def test_segments_are_ink_of_their_own(tmp_path, archive):
    for path in (write(tmp_path, JSON), archive):
        whole = InkReader().read(path, 100, 0, 3)
        part = InkReader().read(path, 100, 1, 3)
        assert part[:, [0, 1, 3]].tolist() == [[0, 0, 0], [3, 2, 1]]
        np.testing.assert_allclose(part[:, 2], whole[1:, 2] - whole[1, 2], atol=1e-7)
    second = InkReader().read(archive, 100, 3, 7)
    assert second[:, 3].tolist() == [0, 0, 1, 2] and second[3, 2] == 0.5
    assert InkReader().read(archive, 100, 4, 7)[:, 3].tolist() == [0, 1, 2]
    assert InkReader().read(archive, 100, 5)[:, 3].tolist() == [0, 1]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=5), st.data())
def test_a_part_of_an_array_is_that_part_of_the_ink(tmp_path_factory, sizes, data):
    count = sum(sizes)
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    points = np.empty((count, 4), np.float32)
    points[:, :2] = np.arange(2 * count).reshape(-1, 2) ** 2
    points[:, 2] = np.arange(count) / 64
    points[:, 3] = np.repeat(np.arange(len(sizes)), sizes)
    path = tmp_path_factory.getbasetemp() / "part.npy"
    np.save(path, points)
    part = InkReader().read(path, 100, start, stop)
    np.testing.assert_array_equal(part[:, :3], points[start:stop, :3] - points[start, :3])
    _, strokes = np.unique(points[start:stop, 3], return_inverse=True)
    np.testing.assert_array_equal(part[:, 3], strokes)


def test_segments_outside(tmp_path, archive):
    for path, count in ((write(tmp_path, JSON), 3), (archive, 7)):
        for start, stop in ((0, count + 1), (2, 2), (3, 2), (-1, 2), (count, None)):
            assert f"is not inside its {count} points" in fault(path, start=start, stop=stop)


def test_a_segment_that_reaches_into_the_next_utterance(archive):
    assert "time falls after point 2" in fault(archive, start=1, stop=5)


def test_many_parts_of_one_array_are_read_fast(tmp_path):
    points = np.zeros((100_000, 4), np.float32)
    points[:, 2] = np.arange(100_000) / 100
    np.save(tmp_path / "a.npy", points)
    reader = InkReader()
    begun = time.perf_counter()
    for start in range(0, 20_000, 10):
        reader.read(tmp_path / "a.npy", 100, start, start + 10)
    assert time.perf_counter() - begun < 2  # measured: 0.1 s


def test_an_array_that_changes_is_opened_again(archive):
    reader = InkReader()
    reader.read(archive, 100, 0, 3)
    np.save(archive, np.ones((2, 4), np.float64))
    os.utime(archive, ns=(1, 1))
    assert len(reader.read(archive, 100)) == 2


def test_few_arrays_stay_open_and_none_is_pickled(tmp_path):
    reader = InkReader()
    for k in range(20):
        np.save(tmp_path / f"{k}.npy", np.zeros((100, 4), np.float32))
        reader.read(tmp_path / f"{k}.npy", 100)
    assert len(reader._open) <= 8
    copy = pickle.dumps(reader)
    assert len(copy) < 1000 and len(pickle.loads(copy).read(tmp_path / "3.npy", 100)) == 100


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 4), np.float32), "holds no points"),
        (np.zeros((3, 3), np.float32), "float32 (3, 3), not points (N, 4) of x, y, time, stroke"),
        (np.zeros(4, np.float32), "float32 (4,), not points"),
        (np.zeros((3, 4), np.int64), "int64 (3, 4), not points"),
        (np.full((3, 4), np.nan, np.float32), "x of point 0 is nan"),
        (np.array([[0, 0, 0, 0], [0, np.inf, 0, 0]]), "y of point 1 is inf"),
        (np.array([[0, 0, 0, 1.0], [0, 0, 0, 0]]), "stroke falls after point 0"),
        (np.array([[0, 0, 1.0, 0], [0, 0, 0, 0]]), "time falls after point 0"),
        (np.array([[{}] * 4]), "damaged or cut short NumPy array"),
    ],
)
def test_arrays_that_are_refused(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    assert message in fault(tmp_path / "a.npy")


def test_damaged_arrays(tmp_path, archive):
    whole = archive.read_bytes()
    for size in (6, 8, 30, 128, 140, len(whole) - 1):
        assert "damaged or cut short" in fault(write(tmp_path, whole[:size]))
    # NumPy parses the header as Python; found by fuzzing: it lets TokenError through.
    for old, new in ((b"}", b" "), (b"(7, 4)", b"(9**9,")):
        assert "damaged or cut short" in fault(write(tmp_path, whole.replace(old, new, 1)))
    assert "give it to the reader" in read_fault(archive)


def read_fault(path):
    with pytest.raises(DataError) as caught:
        read_ink(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty (0 bytes)"),
        (bytes(range(256)) * 20, "is no ink: neither InkML, JSON strokes, UNIPEN nor"),
        ("dear diary", "is no ink"),
        ("  \n", "is no ink"),
        ("[]", "holds no points"),
        ("<ink/>", "holds no points"),
        (".COORD X Y\n.PEN_DOWN\n", "holds neither .PEN_DOWN nor .SEGMENT"),
        (".PEN_DOWN\nx y\n", "holds neither"),
        ('.SEGMENT CHARACTER 0 OK "a"\n', "holds no points"),
        ('{"strokes": [[[1, 2]]], "pen_up": [0]}', "no points with the pen down"),
        (".COORD X Y\n.PEN_UP\n1 2\n", "no points with the pen down"),
        ("[[[0, 0], [1e200, 0]]]", "x of point 1 is inf, or too large for float32"),
        ("[[[-1e308, 0], [1e308, 0]]]", "x of point 1 is inf, or too large for float32"),
        (".COORD X Y\n.PEN_DOWN\n0 nan\n", "x, y of point 0"),
    ],
)
def test_what_is_refused(tmp_path, data, message):
    assert message in fault(write(tmp_path, data))


def test_paths_that_are_no_file(tmp_path):
    assert "is a directory" in fault(tmp_path)
    assert "no such file" in fault(tmp_path / "absent.inkml")
    assert "cannot be read" in fault(tmp_path / ("a" * 300))
    os.mkfifo(tmp_path / "pipe")
    assert "pipe or device" in fault(tmp_path / "pipe")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = write(tmp_path, JSON)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    assert "cannot be read" in fault(path)


def test_huge_files_are_not_loaded(tmp_path):
    for data in (INKML, JSON, UNIPEN):
        path = write(tmp_path, data)
        os.truncate(path, 300_000_000)  # sparse: takes no room on the disk
        assert "MB; cut it into parts" in fault(path)


@pytest.mark.parametrize("form", ["inkml", "json", "unipen", "npy"])
def test_a_scribble_of_a_million_points_names_its_count(tmp_path, form):
    count = 1_000_000
    path = tmp_path / "a"
    if form == "inkml":
        path.write_text(f"<ink><trace>{'1 2,' * count}</trace></ink>")
    elif form == "json":
        path.write_text(f"[[{'[1,2],' * (count - 1)}[1,2]]]")
    elif form == "unipen":
        path.write_text(".COORD X Y\n.PEN_DOWN\n" + "1 2\n" * count)
    else:
        np.save(tmp_path / "a.npy", np.zeros((count, 4), np.float32))
        path = tmp_path / "a.npy"
    message = fault(path, limit=60)
    assert "has 1,000,000 points, over the limit of 6,000 (60 s at 100 a second)" in message


def test_points_up_to_the_limit_are_read(archive):
    assert len(InkReader().read(archive, 100, 0, 3, limit=0.03)) == 3
    assert "has 3 points" in fault(archive, start=0, stop=3, limit=0.02)


def test_one_point_and_repeated_times_are_tolerated(tmp_path):
    assert InkReader().read(write(tmp_path, "[[[5, 5]]]"), 100).tolist() == [[0, 0, 0, 0]]
    points = InkReader().read(write(tmp_path, "[[[0, 0, 2], [1, 1, 2]], [[5, 5, 2]]]"), 100)
    assert points[:, 2].tolist() == [0, 0, 0]


def test_a_missing_include_is_named_and_found_by_the_option(tmp_path):
    (tmp_path / "include" / "p").mkdir(parents=True)
    (tmp_path / "include" / "p" / "data.dat").write_text(UNIPEN)
    path = write(tmp_path, ".INCLUDE p/data.dat\n")
    assert "includes 'p/data.dat', which is not there" in fault(path)
    reader = InkReader(InkReaderOptions(include=[tmp_path / "include"]))
    assert reader.read(path, 100)[:, 0].tolist() == [0, 3, 6]
    path.write_text(".INCLUDE p/data.dat\n.INCLUDE x\n.INCLUDE " + "y" * 5000)
    assert "includes 'x' and 1 more, which is not there" in fault(path, reader)


def test_a_missing_documentation_is_tolerated_with_a_warning(tmp_path, caplog):
    path = write(tmp_path, ".INCLUDE dene.doc\n" + UNIPEN)  # as in pendigits
    assert len(InkReader().read(path, 100)) == 3
    assert "goes without dene.doc" in caplog.text


def test_includes_that_multiply_are_refused(tmp_path):
    for k in range(8):
        (tmp_path / f"{k}.dat").write_text(f".INCLUDE {k + 1}.dat\n" * 30)
    (tmp_path / "8.dat").write_text(".PEN_DOWN\n1 1\n")
    assert "files with all that it includes" in fault(tmp_path / "0.dat")


def test_mixed_units_of_unipen(tmp_path):
    part = ".X_POINTS_PER_INCH {}\n.Y_POINTS_PER_INCH {}\n.PEN_DOWN\n0 0\n100 100\n"
    path = write(tmp_path, part.format(100, 200) + part.format(50, 50))
    ink = read_ink(path)
    assert ink.xy.tolist() == [[0, 0], [100, 50], [0, 0], [200, 200]]
    assert ink.units_per_mm == pytest.approx(100 / 25.4)
    path.write_text(".PEN_DOWN\n0 0\n" + part.format(1, 1))
    assert "mixes components with X_POINTS_PER_" in fault(path)


def test_what_is_damaged_in_unipen_is_left_out_with_a_warning(tmp_path, caplog):
    path = write(tmp_path, ".COORD X Y\n.PEN_DOWN\n0 0\n1 x\n2 2\n3\n4 5\n")
    assert read_ink(path).xy.tolist() == [[0, 0], [2, 2], [4, 5]]  # whole lines, not values shifted
    assert "component 0" in caplog.text and "left out" in caplog.text


HEADS = st.sampled_from([b"<ink>", b"{", b"[[[", b"\x93NUMPY\x01\x00", b".PEN_DOWN\n", b"\xff\xfe",
    b"\xef\xbb\xbf", b".COORD X Y\n.PEN_DOWN 1 2\n", b"PK\x03\x04", b""])  # fmt: skip


def tried(path):
    try:
        points = InkReader().read(path, 100, limit=60)
    except DataError as error:
        assert str(path) in str(error)
        return
    assert np.isfinite(points).all() and points.shape[1] == 4 and len(points)


@given(HEADS, st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(tmp_path_factory, head, data):
    path = tmp_path_factory.getbasetemp() / "random"
    path.write_bytes(head + data)
    tried(path)


@given(st.data())
def test_mutated_files_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "mutated"
    valid = data.draw(st.sampled_from(["npy", UNIPEN, INKML, JSON]))
    if valid == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros((3, 4), np.float32))
        content = bytearray(path.read_bytes())
    else:
        content = bytearray(valid.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        drop = data.draw(st.integers(0, 4))
        content[at : at + drop] = data.draw(st.binary(max_size=4))
    path.write_bytes(content)
    tried(path)


@pytest.fixture
def ink_dir(tmp_path, archive):
    (tmp_path / "ink.scp").write_text("all ink.npy\n")
    (tmp_path / "segments").write_text("a all 0points 3points\nb all 3points 7points\n")
    (tmp_path / "text").write_text("a x\nb y\n")
    (tmp_path / "utt2spk").write_text("a anna\nb ben\n")
    return tmp_path


def test_a_data_directory_of_ink_is_valid(ink_dir):
    assert validate(ink_dir, reader=InkReader()) == []
    result = CliRunner().invoke(app, ["data", "validate", str(ink_dir)])
    assert result.exit_code == 0, result.output


def test_a_directory_of_files_of_every_format(ink_dir):
    (ink_dir / "segments").unlink()
    (ink_dir / "b.inkml").write_text(INKML)
    (ink_dir / "a.dat").write_text(UNIPEN)
    (ink_dir / "ink.scp").write_text("a a.dat\nb b.inkml\n")
    assert validate(ink_dir, reader=InkReader()) == []
    (ink_dir / "b.inkml").write_text(INKML[:-9])
    (problem,) = validate(ink_dir, reader=InkReader())
    assert problem.id == "b" and "cut short XML" in problem.message


def test_segments_of_ink_in_seconds_are_an_error(ink_dir):
    (ink_dir / "segments").write_text("a all 0 0.5\nb all 0.5 1\n")
    (problem,) = validate(ink_dir, reader=InkReader())
    assert "gives seconds" in problem.message and "'8000points'" in problem.message


def test_segments_outside_the_recording_are_found(ink_dir):
    (ink_dir / "segments").write_text("a all 0points 3points\nb all 3points 9points\n")
    (problem,) = validate(ink_dir, reader=InkReader())
    assert problem.id == "b" and "is not inside its 7 points" in problem.message
