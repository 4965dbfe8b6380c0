"""JSON strokes: the forms of a file, writing them back, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqebm_ink.ink import Ink
from seqebm_ink.strokes import read_strokes, write_strokes

from seqebm.errors import DataError


@pytest.fixture
def read(tmp_path):
    """``read(document)``: the ink of a document, given as text or as what JSON stands for."""

    def make(document, y_axis="file"):
        path = tmp_path / "a.json"
        text = document if isinstance(document, str) else json.dumps(document)
        path.write_text(text, encoding="utf-8")
        return read_strokes(path, y_axis)

    return make


@pytest.fixture
def fault(read, tmp_path):
    def make(document):
        with pytest.raises(DataError) as caught:
            read(document)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / 'a.json'}: ") and "\n" not in message
        return message

    return make


def test_every_key(read):
    ink = read(
        {
            "strokes": [[[1, 2, 0, 5], [3, 4, 10, 6]], [[5, 6, 10, 7]]],
            "y_axis": "up",
            "time_unit": "ms",
            "units_per_mm": 10,
            "writer": "anna",
            "pen_up": [1],
            "label": "a",
            "about": {"device": 7},
        }
    )
    assert ink.xy.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert ink.stroke.tolist() == [0, 0, 1] and ink.down.tolist() == [True, False]
    np.testing.assert_allclose(ink.time, [0, 0.01, 0.01])
    assert ink.pressure.tolist() == [5, 6, 7]
    assert (ink.units_per_mm, ink.writer) == (10, "anna")


@pytest.mark.parametrize(
    "document",
    [
        [[[1, 2], [3, 4]], [[5, 6]]],
        {"strokes": [[[1, 2], [3, 4]], [[5, 6]]]},
        [{"x": [1, 3], "y": [2, 4]}, {"x": [5], "y": [6]}],
        {"strokes": [{"x": [1, 3], "y": [2, 4]}, [[5, 6]]], "y_axis": "down"},
        [[[1.0, 2e0], [3, 4]], [], [[5, 6]], {"x": [], "y": []}],
    ],
)
def test_forms_of_the_same_ink_whose_y_grows_down(read, document):
    ink = read(document)
    assert ink.xy.tolist() == [[1, -2], [3, -4], [5, -6]] and ink.stroke.tolist() == [0, 0, 1]
    assert ink.time is None and ink.pressure is None and ink.down.all()
    assert read(document, "up").xy[:, 1].tolist() == [2, 4, 6]


def test_times_and_pressure_of_lists(read):
    ink = read([{"x": [1, 2], "y": [0, 0], "t": [0.5, 0.75], "p": [0.1, 0.2]}])
    assert ink.time.tolist() == [0.5, 0.75] and ink.pressure.tolist() == [0.1, 0.2]


def test_pressure_without_times(read):
    ink = read([[[1, 2, None, 7]], [[1, 2, None, 8]]])
    assert ink.time is None and ink.pressure.tolist() == [7, 8]


def test_pen_up_counts_the_strokes_of_the_file(read):
    ink = read({"strokes": [[], [[1, 1]], [[2, 2]]], "pen_up": [1]})
    assert ink.down.tolist() == [False, True]


def test_repeated_time_stamps_are_tolerated(read):
    assert read([[[0, 0, 1], [1, 1, 1]], [[2, 2, 1]]]).time.tolist() == [1, 1, 1]


def test_no_strokes_are_empty_ink(read):
    for document in ([], [[]], {"strokes": []}):
        assert len(read(document)) == 0


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\n  "])
def test_byte_order_marks_and_blanks(tmp_path, mark):
    path = tmp_path / "a.json"
    path.write_bytes(mark + b"[[[1, 2]]]")
    assert read_strokes(path).xy.tolist() == [[1, -2]]
    path.write_bytes("[[[1, 2]]]".encode("utf-16"))
    assert read_strokes(path).xy.tolist() == [[1, -2]]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("[[[0, 0], [1", "is damaged or cut short JSON"),
        ("[" * 100_000, "is damaged or cut short JSON"),
        ("[[[0, 0]]] []", "is damaged or cut short JSON"),
        ("[[[0, NaN]]]", "strokes[0][0][1] is nan: input should be a finite number"),
        ("[[[0, 1], [Infinity, 0]]]", "strokes[0][1][0] is inf"),
        ("[[[0, 1e999]]]", "strokes[0][0][1] is inf"),
        (f"[[[0, {'9' * 400}]]]", "strokes[0][0][1] is "),
        ([[["0", 1]]], "strokes[0][0][0] is '0': input should be a valid number"),
        ([[[True, 1]]], "strokes[0][0][0] is True: input should be a valid number"),
        ([[[1]]], "strokes[0][0] is [1]: list should have at least 2 items"),
        ([[[1, 2, 3, 4, 5]]], "strokes[0][0] is [1, 2, 3, 4, 5]: list should have at most 4"),
        ([[1, 2]], "strokes[0][0] is 1: input should be a valid list"),
        ([1], "strokes[0] is int, neither a list of points nor an object"),
        ([[[1, None]]], "strokes[0][0][1] is null"),
        ([[[1, 2, 0], [3, 4]]], "strokes[0][1] has no t, but other points have"),
        ([[[1, 2]], [[3, 4, None, 5]]], "strokes[0][0] has no pressure, but other points have"),
        ([[[1, 2, 5], [3, 4, 4]]], "time runs backwards after point 0"),
        ([[[1, 2, 5]], [[3, 4, 4]]], "time runs backwards after point 0"),
        ("3", "holds int, not a list of strokes"),
        ("null", "holds NoneType"),
        ({}, "strokes is missing"),
        ({"strokes": {}}, "strokes is {}: input should be a valid list"),
        ({"strokes": [], "y-axis": "up"}, "y-axis is no known key; the keys are strokes, y_axis"),
        ({"strokes": [], "y_axis": "left"}, "y_axis is 'left': input should be 'down' or 'up'"),
        ({"strokes": [], "units_per_mm": 0}, "units_per_mm is 0: input should be greater than 0"),
        ({"strokes": [], "time_unit": "us"}, "input should be 's' or 'ms'"),
        ({"strokes": [[[1, 2]]], "pen_up": [1]}, "pen_up names stroke 1, but there are 1"),
        ({"strokes": [], "pen_up": [-1]}, "pen_up[0] is -1"),
        ({"strokes": [], "pen_up": True}, "pen_up is True"),
        ([{"x": [1]}], "strokes[0].y is missing"),
        ([{"x": [1], "y": [1, 2]}], "strokes[0] has 1 values of x, but 2 of y"),
        ([{"x": [1], "y": [1], "t": []}], "strokes[0] has 1 values of x, but 0 of t"),
        ([{"x": [1], "y": ["a"]}], "strokes[0].y[0] is 'a'"),
        ([{"x": [], "y": [], "time": []}], "strokes[0].time is no known key; the keys are x, y,"),
    ],
)
def test_what_is_refused(fault, document, message):
    assert message in fault(document)


floats = st.floats(-1e6, 1e6)


@given(st.data())
def test_what_is_written_is_read_back(tmp_path_factory, data):
    sizes = data.draw(st.lists(st.integers(1, 3), max_size=4))
    count = sum(sizes)
    column = st.lists(floats, min_size=count, max_size=count)
    ink = Ink(
        np.array(data.draw(st.tuples(column, column))).T.reshape(-1, 2),
        np.repeat(np.arange(len(sizes)), sizes).astype(np.int64),
        np.array(
            data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes))), bool
        ),
        data.draw(st.none() | column.map(lambda v: np.sort(v))) if count else None,
        data.draw(st.none() | column.map(np.array)) if count else None,
        data.draw(st.none() | st.floats(0.1, 100)) if count else None,
        data.draw(st.none() | st.text()) if count else None,
    )
    path = tmp_path_factory.getbasetemp() / "round.json"
    write_strokes(path, ink, {"made": "here"})
    found = read_strokes(path)
    for name in ("xy", "stroke", "down", "time", "pressure"):
        wanted = getattr(ink, name)
        if wanted is None:
            assert getattr(found, name) is None
        else:
            np.testing.assert_array_equal(getattr(found, name), wanted)
    assert (found.units_per_mm, found.writer) == (ink.units_per_mm, ink.writer)


def test_the_example_of_the_documentation(read):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    ink = read(readme.partition("```json\n")[2].partition("```")[0])
    assert [len(s) for s in ink.strokes] == [3, 2] and ink.time[-1] == 0.32
    assert (ink.pressure[-1], ink.units_per_mm, ink.writer) == (0.6, 10, "anna")


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        write_strokes(tmp_path / "absent" / "a.json", Ink.of_strokes([]))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["x", "y", "t", "p", "strokes", "pen_up", "about", "a"]), inner
        )
    ),
    max_leaves=15,
)


def tried(path):
    try:
        ink = read_strokes(path)
    except DataError as error:
        assert f"{path}: " in str(error) and "\n" not in str(error)
        return
    assert np.isfinite(ink.xy).all() and len(ink.xy) == len(ink.stroke)


@given(json_values | st.builds(lambda v: {"strokes": v}, st.lists(json_values, max_size=3)))
def test_any_json_is_read_or_refused(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    tried(path)


VALID = json.dumps(
    {
        "strokes": [[[1, 2, 0, 5], [3, 4, 10, 6]], {"x": [1], "y": [1], "t": [10], "p": [1.5]}],
        "pen_up": [1],
        "units_per_mm": 3,
    }
)
_PIECES = st.sampled_from(
    ["[", "]", "{", "}", ",", ":", '"', "-", "0", "9" * 400, "1e999", "NaN", "null", "true",
     "\\ud800", "\x00", "é", '"x"', "[]", "1."]
)  # fmt: skip


@given(
    st.lists(
        st.tuples(st.integers(0, len(VALID)), st.integers(0, 20), _PIECES), min_size=1, max_size=5
    )
)
def test_mutated_documents_are_read_or_refused(tmp_path_factory, cuts):
    text = VALID
    for at, drop, insert in cuts:
        text = text[:at] + insert + text[at + drop :]
    path = tmp_path_factory.getbasetemp() / "mutated.json"
    path.write_text(text, encoding="utf-8")
    tried(path)


def test_times_that_step_back_a_little_are_levelled(read):
    ink = read([[[1, 2, 5.0], [3, 4, 4.998]], [[1, 2, 4.99]]])
    assert ink.time.tolist() == [5, 5, 5]
    assert ink.notes == ("its clock steps back 2 times, which is levelled",)


def test_many_strokes_take_time_in_proportion(read):
    """A count of steps, not of seconds: each stroke is looked at a fixed number of times."""
    calls = [0, 0]
    for turn, count in enumerate((200, 400)):

        def look(frame, event, argument, turn=turn):
            calls[turn] += event == "c_call"

        sys.setprofile(look)
        try:
            read([[[1, 2]]] * count)
        finally:
            sys.setprofile(None)
    assert calls[1] < 2.2 * calls[0]
