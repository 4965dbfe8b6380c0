"""UNIPEN files: numbering of components, segments, includes, and what is damaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqebm_ink.ink import Ink
from seqebm_ink.unipen import read_unipen

from seqebm.errors import DataError

HEADER = (
    ".VERSION 1.0\n.COORD X Y T\n.WRITER_ID anna\n.X_POINTS_PER_INCH 254\n.POINTS_PER_SECOND 100\n"
)
BODY = """.PEN_DOWN
 0 0 1000
 1 2 1010
 2 4 1020
.PEN_UP
.DT 50
.PEN_DOWN
 5 5 1100
 6 7 1110
.PEN_UP
 7 7 1120
"""


def write(tmp_path, text, name="a.dat"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="latin-1")
    return path


def test_bare_pen_up_is_not_numbered_but_one_with_points_is(tmp_path):
    file = read_unipen(write(tmp_path, HEADER + BODY + '.SEGMENT WORD 1-2 OK "hi"\n'))
    assert [len(c.points) for c in file.components] == [3, 2, 1]
    assert [c.down for c in file.components] == [True, True, False]
    ink = file.ink(file.segments[0])
    assert ink.xy.tolist() == [[5, 5], [6, 7], [7, 7]]
    assert ink.stroke.tolist() == [0, 0, 1] and ink.down.tolist() == [True, False]
    np.testing.assert_allclose(ink.time, [0, 0.01, 0.02])
    assert (ink.writer, ink.units_per_mm) == ("anna", 10.0)
    assert ink.written().xy.tolist() == [[5, 5], [6, 7]]


@pytest.mark.parametrize(
    ("delineation", "wanted"),
    [
        ("0", [0, 1, 2]),
        ("0:1", [1]),
        ("0:1-1:0", [1, 2, 5]),
        ("0:2-1", [2, 5, 6]),
        ("0-1:0", [0, 1, 2, 5]),
        ("0:0,1:1", [0, 6]),
        ("0:0-0:1,2", [0, 1, 7]),
    ],
)
def test_delineations(tmp_path, delineation, wanted):
    file = read_unipen(write(tmp_path, f'{HEADER}{BODY}.SEGMENT CHARACTER {delineation} ? "x"\n'))
    assert file.ink(file.segments[0]).xy[:, 0].tolist() == wanted


@pytest.mark.parametrize("delineation", ["3", "0:3", "1-0", "0:2-0:1", "2:0-9"])
def test_segments_outside_name_file_and_label(tmp_path, delineation):
    path = write(tmp_path, f'{HEADER}{BODY}.SEGMENT CHARACTER {delineation} ? "x"\n')
    file = read_unipen(path)
    with pytest.raises(DataError, match=r"a\.dat: segment 'x': names"):
        file.ink(file.segments[0])


def test_labels(tmp_path):
    lines = (
        '.SEGMENT CHARACTER 0 OK "\\""\n.SEGMENT CHARACTER 0 BAD "a b"\n.SEGMENT CHARACTER 0 OK\n'
    )
    file = read_unipen(write(tmp_path, HEADER + BODY + lines))
    assert [(s.label, s.quality) for s in file.segments] == [('"', "OK"), ("a b", "BAD")]
    assert len(file.damaged) == 1 and "a.dat" in file.damaged[0]


def test_includes(tmp_path):
    write(tmp_path, HEADER + BODY, "include/p/data.dat")
    text = '.INCLUDE p/gone.dat\n.INCLUDE p/data.dat\n.SEGMENT CHARACTER 1 ? "x"\n'
    file = read_unipen(write(tmp_path, text), [tmp_path / "include"])
    assert file.missing == ["p/gone.dat"]
    assert file.ink(file.segments[0]).xy.tolist() == [[5, 5], [6, 7]]


def test_a_file_that_includes_itself(tmp_path):
    path = write(tmp_path, ".INCLUDE a.dat\n")
    with pytest.raises(DataError, match="included by itself"):
        read_unipen(path)


def test_times_that_run_backwards_give_way_to_the_rate(tmp_path):
    file = read_unipen(write(tmp_path, HEADER + ".PEN_DOWN\n0 0 20\n1 1 10\n2 2 30\n"))
    np.testing.assert_allclose(file.ink().time, [0, 0.01, 0.02])
    unknown = HEADER.replace(".POINTS_PER_SECOND 100\n", "")
    file = read_unipen(write(tmp_path, unknown + ".PEN_DOWN\n0 0 20\n1 1 10\n2 2 30\n"))
    assert file.ink().time is None


def test_damage_is_noted_and_the_rest_read(tmp_path):
    text = HEADER + ".PEN_DOWN\n0 0 0\n1 x 1\n2 2 2\n" + ".PEN_DOWN\n3 3 3\n"
    file = read_unipen(write(tmp_path, text))
    assert "component 0" in file.damaged[0]
    assert file.components[-1].points.tolist() == [[3, 3, 3]]


def test_nan_is_an_error_that_names_the_file(tmp_path):
    file = read_unipen(write(tmp_path, ".COORD X Y\n.PEN_DOWN\n0 nan\n"))
    with pytest.raises(DataError, match=r"a\.dat: x, y of point 0"):
        file.ink()


def test_what_is_no_unipen_file(tmp_path):
    with pytest.raises(DataError, match="no UNIPEN file"):
        read_unipen(write(tmp_path, "dear diary"))
    with pytest.raises(DataError, match="cannot be read"):
        read_unipen(tmp_path / "absent.dat")


@given(st.lists(st.sampled_from([*HEADER.split("\n"), *BODY.split("\n"), ".SEGMENT", "\x00", "-",
    '.SEGMENT A 0-1 ? "b"', ".COORD T", ".PEN_UP", "1e999 2 3", ".INCLUDE", ".INCLUDE .."]),
    max_size=30))  # fmt: skip
def test_any_order_of_lines_is_read_or_refused(tmp_path_factory, lines):
    path = write(tmp_path_factory.mktemp("fuzz"), "\n".join(lines))
    try:
        file = read_unipen(path)
        parts = [file.ink(), *(file.ink(s) for s in file.segments)]
    except DataError as error:
        assert "a.dat" in str(error)
        return
    for ink in parts:
        assert np.isfinite(ink.xy).all() and len(ink.xy) == len(ink.stroke)


@given(st.lists(st.integers(0, 4), max_size=6), st.data())
def test_parts_of_ink(sizes, data):
    count = sum(sizes)
    points = np.arange(2.0 * count).reshape(-1, 2)
    ink = Ink.of_strokes(np.split(points, np.cumsum(sizes)[:-1]) if sizes else [])
    start = data.draw(st.integers(0, count))
    stop = data.draw(st.integers(start, count))
    part = ink.part(start, stop)
    np.testing.assert_array_equal(part.xy, points[start:stop])
    assert len(part.strokes) == len(part.down) == len(np.unique(ink.stroke[start:stop]))


@pytest.mark.parametrize("line", ["9" * 5000, " " * 20_000, "1-" * 5000, '"' * 20_000, "\\" * 9999])
def test_hostile_lines_end_soon(tmp_path, line):
    text = f'{HEADER}{BODY}.SEGMENT A {line} OK "x"\n.SEGMENT A 1 OK "{line}\n.COORD {line}\n'
    file = read_unipen(write(tmp_path, text))
    assert file.damaged and all(len(message) < 300 for message in file.damaged)


def test_damaged_lines_are_left_out_whole(tmp_path):
    file = read_unipen(write(tmp_path, HEADER + ".PEN_DOWN\n0 0 0\n1 x 1\n2 2\n3 3 3\n"))
    assert file.components[0].points.tolist() == [[0, 0, 0], [3, 3, 3]]


def test_a_resolution_of_y_that_differs_is_brought_to_that_of_x(tmp_path):
    header = ".COORD X Y\n.X_POINTS_PER_MM 10\n.Y_POINTS_PER_CM 50\n"
    file = read_unipen(write(tmp_path, header + ".PEN_DOWN\n10 5\n"))
    assert file.ink().xy.tolist() == [[10, 10]] and file.ink().units_per_mm == 10
