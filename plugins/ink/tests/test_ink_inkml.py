"""InkML: values, formats, contexts, units, times, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqebm_ink.inkml import read_inkml
from seqebm_ink.inkml_values import decode

from seqebm.errors import DataError

XY = '<channel name="X" type="decimal"/><channel name="Y" type="decimal"/>'
NAMESPACE = 'xmlns="http://www.w3.org/2003/InkML"'


@pytest.fixture
def read(tmp_path):
    """``read(body)``: the ink of ``<ink>body</ink>``."""

    def make(body, y_axis="up", root="<ink>"):
        path = tmp_path / "a.inkml"
        path.write_text(f"{root}{body}</ink>", encoding="utf-8")
        return read_inkml(path, y_axis)

    return make


@pytest.fixture
def fault(read, tmp_path):
    def make(body, **more):
        with pytest.raises(DataError) as caught:
            read(body, **more)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / 'a.inkml'}: ") and "\n" not in message
        return message

    return make


def formatted(channels, trace="<trace>1 2 3, 4 5 6</trace>"):
    return f"<traceFormat>{channels}</traceFormat>{trace}"


def test_the_example_of_the_recommendation():
    # Section 3.2.1: velocities, accelerations, negative numbers as separators, wildcards.
    text = "1125 18432,'23'43,\"7\"-8,3-5,7 -3,6 2,6 8,3 6 T,2 4*T,3 6,3-6 F F"
    points, _ = decode(text, ("X", "Y"), (0.0, 0.0))
    assert points[:, :2].tolist() == [
        [1125, 18432], [1148, 18475], [1178, 18510], [1211, 18540], [1251, 18567], [1297, 18596],
        [1349, 18633], [1404, 18676], [1461, 18723], [1521, 18776], [1584, 18823],
    ]  # fmt: skip
    assert points[:, 2].tolist() == [0] * 7 + [1, 1, 1, 0]
    assert points[:, 3].tolist() == [0] * 8 + [1, 1, 0]


@given(
    st.lists(st.tuples(*[st.integers(-9999, 9999)] * 2), min_size=1, max_size=12),
    st.lists(st.sampled_from("!'\""), min_size=24, max_size=24),
    st.sampled_from([" ", "", "\n "]),
)
def test_any_mixture_of_encodings_gives_the_points_back(points, orders, blank):
    parts = []
    before, step = [0, 0], [0, 0]
    current = ["!", "!"]
    for n, point in enumerate(points):
        words = ""
        for c, value in enumerate(point):
            order = orders[2 * n + c] if n else "!"
            number = {"!": value, "'": value - before[c], '"': value - before[c] - step[c]}[order]
            prefix = order if order != current[c] else ""
            sign = "-" if number < 0 else ""
            # A blank is needed only between two numbers that would run together.
            words += f"{blank or ('' if sign or prefix else ' ')}{prefix}{blank}{sign}{abs(number)}"
            step[c] = value - before[c] if n else 0
            before[c], current[c] = value, order
        parts.append(words)
    assert decode(",".join(parts), "XY", ())[0].tolist() == [list(map(float, p)) for p in points]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1.5 -.5e1", [[1.5, -5]]),
        ("#1F -#a", [[31, -10]]),
        ("1 2,* 3", [[1, 2], [1, 3]]),
        ("1 2,'1 '1,* *,1 1", [[1, 2], [2, 3], [2, 3], [3, 4]]),
        ("1 2,'1 '1,!7 1", [[1, 2], [2, 3], [7, 4]]),
        ("T F", [[1, 0]]),
        ("1 2,,3 4,", [[1, 2], [3, 4]]),
        ("+1 +2", [[1, 2]]),
        ("", []),
        (" , ", []),
    ],
)
def test_forms_of_values(text, wanted):
    assert decode(text, "XY", ())[0].tolist() == wanted


def test_an_unknown_value_is_nan():
    assert np.isnan(decode("1 2 ?", "XYF", ())[0][0, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "point 0 ('1') has 1 values, but the trace format has X Y"),
        ("1 2,3 4 5", "point 1 ('3 4 5') has 3 values"),
        ("1 2,3 nan", "'nan', which is no value"),
        ("1 2 3 4 5 6 7 8", "points are separated by commas"),
        ("1 x", "'x', which is no value"),
        ("1 1_0", "'_0', which is no value"),
        ("1 ٣", "which is no value"),
        ("* 1", "repeats no value"),
        ("'1 1", "a value that is not known"),
        ("1 2 : T ;", "':', which is no value"),
    ],
)
def test_malformed_values(text, message):
    with pytest.raises(DataError) as caught:
        decode(text, "XY", ())
    assert message in str(caught.value)


def test_namespaces_and_none(read):
    for root in (f"<ink {NAMESPACE}>", "<ink>", '<ink xmlns="http://example.org/other">'):
        assert read("<trace>1 2, 3 4</trace>", root=root).xy.tolist() == [[1, 2], [3, 4]]


def test_a_prefixed_namespace_in_utf16_with_blanks_and_comments(tmp_path):
    text = (
        '<?xml version="1.0"?><i:ink xmlns:i="http://www.w3.org/2003/InkML"><i:trace>1 2,'
        "<!-- a comment --> 3 4<i:annotation>9 9</i:annotation></i:trace></i:ink>"
    )
    path = tmp_path / "a.inkml"
    for data in (text.encode("utf-16"), b"\xef\xbb\xbf" + text.encode(), f"\n {text}".encode()):
        path.write_bytes(data)
        assert read_inkml(path).xy.tolist() == [[1, -2], [3, -4]]


def test_y_grows_down_unless_the_file_or_the_caller_says_otherwise(read):
    trace = "<trace>1 2, 3 0</trace>"
    reverse = '<channel name="X" orientation="-ve"/><channel name="Y" orientation="-ve"/>'
    assert read(trace, "file").xy.tolist() == [[1, -2], [3, 0]]
    assert not np.signbit(read(trace, "file").xy[1, 1])
    assert read(formatted(reverse, trace), "file").xy.tolist() == [[-1, 2], [-3, 0]]
    assert read(trace, "up").xy.tolist() == [[1, 2], [3, 0]]
    assert read(formatted(reverse, trace), "down").xy[:, 1].tolist() == [-2, 0]


def test_channels_in_any_order_and_pressure(read):
    channels = '<channel name="F"/><channel name="Y"/><channel name="B1"/><channel name="X"/>'
    ink = read(formatted(channels, "<trace>9 2 T 1, 8 4 F 3</trace><trace>7 6 F 5</trace>"))
    assert ink.xy.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert ink.pressure.tolist() == [9, 8, 7]
    assert ink.stroke.tolist() == [0, 0, 1]


def test_pressure_that_is_not_always_known_is_left_out(read):
    body = formatted(XY + '<channel name="F"/>', "<trace>1 2 3, 4 5 ?</trace>")
    assert read(body).pressure is None


def test_intermittent_channels_keep_their_value(read):
    channels = f'{XY}<intermittentChannels><channel name="F" default="5"/></intermittentChannels>'
    body = formatted(channels, "<trace>1 2, 3 4 7, 5 6</trace>")
    assert read(body).pressure.tolist() == [5, 7, 7]


def test_a_tip_switch_splits_a_trace(read):
    body = formatted(
        XY + '<channel name="S" type="boolean"/>', "<trace>1 1 T, 2 2 T, 3 3 F, 4 4 T</trace>"
    )
    ink = read(body)
    assert ink.stroke.tolist() == [0, 0, 1, 2] and ink.down.tolist() == [True, False, True]


def test_pen_up_groups_and_empty_traces(read):
    ink = read(
        '<traceGroup><trace>1 1</trace><traceGroup><trace type="penUp">2 2</trace></traceGroup>'
        '<trace/></traceGroup><trace type="penDown">3 3</trace>'
        '<traceView traceDataRef="#t0"/>'
    )
    assert ink.xy[:, 0].tolist() == [1, 2, 3] and ink.down.tolist() == [True, False, True]


def test_continuations_are_joined(read):
    ink = read(
        '<trace xml:id="a" continuation="begin">1 1</trace><trace id="x">9 9</trace>'
        '<trace xml:id="b" continuation="middle" priorRef="#a">2 2</trace>'
        '<trace continuation="end" priorRef="#b">3 3</trace>'
        '<trace>4 4</trace><trace continuation="end">5 5</trace>'
    )
    assert [s[:, 0].tolist() for s in ink.strokes] == [[1, 2, 3], [9], [4, 5]]


def test_continuations_of_nothing(fault):
    assert "continues #z, which is not before" in fault(
        '<trace continuation="end" priorRef="#z">1 1</trace>'
    )
    assert "continues a trace" in fault('<trace continuation="middle">1 1</trace>')
    assert "another format" in fault(
        f'<trace id="a">1 1</trace><traceFormat>{XY}<channel name="F"/></traceFormat>'
        '<trace continuation="end" priorRef="#a">1 1 1</trace>'
    )


def test_contexts_are_found_by_reference(read):
    ink = read(
        '<definitions><traceFormat xml:id="f"><channel name="Y"/><channel name="X"/></traceFormat>'
        '<inkSource xml:id="s" traceFormatRef="#f"><sampleRate value="50"/></inkSource>'
        '<context xml:id="c" inkSourceRef="#s"/><context xml:id="d" contextRef="#c"/></definitions>'
        '<trace contextRef="#d">1 2, 3 4</trace><traceGroup contextRef="#c"><trace>5 6</trace>'
        "</traceGroup>"
    )
    assert ink.xy.tolist() == [[2, 1], [4, 3], [6, 5]]
    np.testing.assert_allclose(ink.time, [0, 0.02, 0.04])


def test_a_context_is_in_force_for_what_follows(read):
    ink = read(
        f'<trace>1 2</trace><traceFormat>{XY}<channel name="F"/></traceFormat><trace>3 4 0</trace>'
        f"<context><traceFormat>{XY}</traceFormat></context><trace>5 6</trace>"
    )
    assert ink.xy.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_the_only_definition_is_in_force_without_a_reference(read):
    source = f'<inkSource><traceFormat>{XY}<channel name="F"/></traceFormat></inkSource>'
    for definition in (source, f"<context>{source}</context>"):
        ink = read(f"<definitions>{definition}</definitions><trace>1 2 3</trace>")
        assert ink.pressure.tolist() == [3]


def test_without_a_format_further_values_are_left_out(read, fault):
    assert read("<trace>1 2 99, 3 4 98</trace>").xy.tolist() == [[1, 2], [3, 4]]
    assert "6 values" in fault("<trace>10 0 9 14 8 28</trace>")


def test_traces_in_definitions_count_if_there_are_no_others(read):
    definitions = "<definitions><trace>1 1</trace></definitions>"
    assert read(definitions).xy.tolist() == [[1, 1]]
    assert read(f"{definitions}<trace>2 2</trace>").xy.tolist() == [[2, 2]]


def test_an_office_document(read):
    ink = read(
        '<definitions><context xml:id="ctx0"><inkSource xml:id="src0"><traceFormat>'
        '<channel name="X" type="integer" max="1920" units="cm"/>'
        '<channel name="Y" type="integer" max="1080" units="cm"/>'
        '<channel name="F" type="integer" max="255" units="dev"/>'
        '<channel name="T" type="integer" units="dev"/></traceFormat><channelProperties>'
        '<channelProperty channel="X" name="resolution" value="100" units="1/cm"/>'
        '<channelProperty channel="Y" name="resolution" value="50" units="1/cm"/>'
        '<channelProperty channel="T" name="resolution" value="1" units="1/dev"/>'
        '</channelProperties></inkSource><timestamp xml:id="ts0" timeString="2020"/></context>'
        '<brush xml:id="br0"/></definitions>'
        "<trace contextRef=\"#ctx0\" brushRef=\"#br0\">1 2 3 0, '1 '1 '1 '10</trace>"
    )
    assert ink.units_per_mm == 10 and ink.xy.tolist() == [[1, 4], [2, 6]]
    assert ink.pressure.tolist() == [3, 4] and ink.time.tolist() == [0, 0.01]


@pytest.mark.parametrize(
    ("units", "per_mm"),
    [("mm", 1), ("cm", 0.1), ("HIMETRIC", 100), ("in", 1 / 25.4), ("dev", None), ("", None)],
)
def test_units_of_length(read, units, per_mm):
    channels = f'<channel name="X" units="{units}"/><channel name="Y" units="{units}"/>'
    assert read(formatted(channels, "<trace>1 2</trace>")).units_per_mm == pytest.approx(per_mm)


def both_units(first, second):
    def one(units):
        said = f'units="{units}"' if units else ""
        return f'<channel name="X" {said}/><channel name="Y" {said}/>'

    traces = "<trace>1 2</trace>", "<trace>3 4</trace>"
    return formatted(one(first), traces[0]) + formatted(one(second), traces[1])


def test_mixed_units_are_brought_to_the_first(read, fault):
    ink = read(both_units("mm", "cm"))
    assert ink.xy.tolist() == [[1, 2], [30, 40]] and ink.units_per_mm == 1
    assert "mixes traces with a unit" in fault(both_units("mm", ""))
    assert read(both_units("", "dev")).units_per_mm is None


def transformed(content, more="", kind="affine"):
    return (
        f'<context><canvasTransform><mapping type="{kind}">{content}</mapping></canvasTransform>'
        f"{more}</context><trace>1 2, 3 4</trace>"
    )


def test_affine_canvas_transforms(read):
    assert read(transformed("0 1 10, -1 0 20")).xy.tolist() == [[12, 19], [14, 17]]
    binds = '<bind source="X"/><bind source="Y"/><matrix>2 0 0, 0 2 0</matrix>'
    source = (
        '<inkSource><traceFormat><channel name="X" units="mm"/><channel name="Y" units="mm"/>'
        "</traceFormat></inkSource>"
    )
    ink = read(transformed(binds, source))
    assert ink.xy.tolist() == [[2, 4], [6, 8]] and ink.units_per_mm == 0.5
    assert read(transformed("2 0 0, 0 1 0", source)).units_per_mm is None
    assert read(transformed("", kind="identity")).xy.tolist() == [[1, 2], [3, 4]]
    canvas = (
        '<canvas><traceFormat><channel name="X" units="cm"/><channel name="Y" orientation="-ve"/>'
        "</traceFormat></canvas>"
    )
    ink = read(transformed("1 0 0, 0 1 0", canvas), "file")
    assert ink.xy[0].tolist() == [1, 2] and ink.units_per_mm == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (transformed("", kind="lookup"), "type 'lookup' is not supported"),
        (transformed("1 0, 0 1"), "affine mapping of a canvasTransform is no invertible matrix"),
        (transformed("1 0 0"), "no invertible matrix"),
        (transformed("1 0 0, 2 0 0"), "no invertible matrix"),
        (transformed("1e200 0 0, 0 1e200 0"), "no invertible matrix"),
        (transformed('<bind source="Y"/>'), "an affine mapping of Y"),
        ("<context><canvasTransform/></context><trace>1 1</trace>", "type None is not supported"),
        ('<trace contextRef="#no">1 1</trace>', "contextRef='#no' refers to no <context>"),
        ('<trace id="a" contextRef="#a">1 1</trace>', "refers to no <context>"),
        ('<context id="a" contextRef="#a"/><trace>1 1</trace>', "refers to itself"),
        (formatted('<channel name="X"/>'), "a traceFormat has X, but no X and Y"),
        (formatted("<channel/>"), "has ?, but no X and Y"),
        (formatted(XY + '<channel name="X"/>'), "each may come once"),
        (formatted('<channel name="X" default="a"/>'), "default='a' of a <channel> is no number"),
        ('<trace timeOffset="soon">1 1</trace>', "timeOffset='soon'"),
        ('<trace timeOffset="inf">1 1</trace>', "is no number"),
        (formatted(XY, '<trace id="t7">1 2, ? 4</trace>'), "t7: x or y of point 1 is not known"),
        (
            formatted(
                '<channel name="X"/><channel name="F"/><channel name="Y"/>', "<trace>1 2</trace>"
            ),
            "has 2 values",
        ),
        ("<trace>1 2, 3 1e999</trace>", "x, y of point 1 is"),
        ("<trace>0 0,'1e308 0,1e308 0,1e308 0</trace>", "x, y of point"),
    ],
)
def test_what_is_refused(fault, body, message):
    assert message in fault(body)


def timed(traces, units="ms"):
    said = f'units="{units}"' if units else ""
    return formatted(f'{XY}<channel name="T" {said}/>', traces)


def test_times_on_one_clock(read):
    traces = "<trace>0 0 100, 0 0 110</trace><trace>0 0 150, 0 0 150</trace>"
    np.testing.assert_allclose(read(timed(traces)).time, [0.1, 0.11, 0.15, 0.15])
    np.testing.assert_allclose(read(timed(traces, "s")).time, [100, 110, 150, 150])
    np.testing.assert_allclose(read(timed(traces, "ns")).time[0], 1e-7)


def test_times_without_a_unit(read):
    milli = "<trace>0 0 100, 0 0 110, 0 0 120</trace>"
    seconds = "<trace>0 0 1.00, 0 0 1.01, 0 0 1.02</trace>"
    np.testing.assert_allclose(read(timed(milli, "")).time, [0.1, 0.11, 0.12])
    np.testing.assert_allclose(read(timed(seconds, "")).time, [1, 1.01, 1.02])


def test_times_that_begin_again_with_each_trace(read):
    traces = (
        "<trace{}>0 0 0, 0 0 10, 0 0 20</trace><trace{}>0 0 0, 0 0 10</trace><trace{}>0 0 0</trace>"
    )
    laid = read(timed(traces.format("", "", ""))).time
    np.testing.assert_allclose(laid, [0, 0.01, 0.02, 0.03, 0.04, 0.05])
    offsets = [f' timeOffset="{ms}"' for ms in (0, 100, 200)]
    shifted = read(timed(traces.format(*offsets))).time
    np.testing.assert_allclose(shifted, [0, 0.01, 0.02, 0.1, 0.11, 0.2])


def test_one_point_traces_that_all_begin_at_0(read):
    assert read(timed("<trace>0 0 0</trace><trace>1 1 0</trace>")).time.tolist() == [0, 0]


def test_time_that_runs_backwards_within_a_trace(fault):
    message = fault(timed("<trace>0 0 0</trace><trace>0 0 200, 0 0 100</trace>"))
    assert "backwards in stroke 1 after point 0, from 0.2 to 0.1 s" in message


@pytest.mark.parametrize("time", ["1e999", "-1e999"])
def test_infinite_times(fault, time):
    assert "time of point 1 is" in fault(timed(f"<trace>0 0 0, 0 0 {time}, 0 0 3</trace>"))
    assert "time of point 2 is" in fault(
        timed(f"<trace>0 0 5, 0 0 6</trace><trace>0 0 {time}</trace>")
    )


def test_a_clock_that_steps_back_a_little_is_levelled(read):
    ink = read(timed("<trace>0 0 20, 1 1 18, 2 2 30</trace><trace>3 3 29, 4 4 40</trace>"))
    np.testing.assert_allclose(ink.time, [0.02, 0.02, 0.03, 0.03, 0.04])
    assert ink.notes == ("its clock steps back 2 times, which is levelled",)
    assert read(timed("<trace>0 0 20, 1 1 20</trace>")).notes == ()


def test_points_may_lack_channels_after_x_and_y(read):
    ink = read(formatted(f'{XY}<channel name="F"/>', "<trace>1 2 9, 3 4, 5 6 7</trace>"))
    assert ink.xy.tolist() == [[1, 2], [3, 4], [5, 6]] and ink.pressure is None
    assert ink.notes == ("1 points lack channels after x and y, which are unknown there",)
    channels = f'{XY}<channel name="T" units="ms"/><channel name="F"/>'
    ink = read(formatted(channels, "<trace>1 2 0 9, 3 4 10</trace>"))
    np.testing.assert_allclose(ink.time, [0, 0.01])


def test_times_that_are_not_all_known_give_way_to_the_rate(read):
    assert read(timed("<trace>0 0 1, 0 0 ?</trace>")).time is None
    assert read("<trace>0 0, 1 1</trace>").time is None


def test_offsets_and_durations(read):
    traces = (
        '<trace timeOffset="0" duration="100">0 0, 1 1, 2 2</trace>'
        '<trace timeOffset="500" duration="10">0 0</trace>'
    )
    np.testing.assert_allclose(read(traces).time, [0, 0.05, 0.1, 0.5])


def test_the_writer(read):
    body = '<annotation type="truth">$x$</annotation><annotation type="writer">no 7</annotation>'
    assert read(f"{body}<trace>1 1</trace>").writer == "no_7"


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE ink [<!ENTITY a "1 1,"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><ink><trace>&c;</trace>'
)
EXTERNAL = '<!DOCTYPE ink [<!ENTITY a SYSTEM "file:///etc/hostname">]><ink><trace>&a;</trace>'
DTD = '<!DOCTYPE ink SYSTEM "http://localhost/ink.dtd"><ink><trace>1 1</trace>'


@pytest.mark.parametrize("root", [BOMB, EXTERNAL, DTD])
def test_entities_and_document_types_are_refused(fault, root):
    assert "document type or entities, which are refused" in fault("", root=root)


@pytest.mark.parametrize(
    "data",
    [
        b"<ink><trace>1 1</trace>",
        b"<ink><trace>1 1",
        b"<",
        b"<ink>\x00\xff</ink>",
        b"<ink>&undefined;</ink>",
        b'<?xml version="1.0" encoding="nonsense"?><ink/>',
        b'<?xml version="1.0" encoding="utf-7"?><ink/>',
        b"\xff\xfe<\x00i",
    ],
)
def test_damaged_xml(tmp_path, data):
    path = tmp_path / "a.inkml"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.inkml: is damaged or cut short XML"):
        read_inkml(path)


def test_xml_that_is_no_ink(tmp_path):
    path = tmp_path / "a.inkml"
    path.write_text("<html><ink><trace>1 1</trace></ink></html>")
    with pytest.raises(DataError, match="its root is <html>"):
        read_inkml(path)


def test_deep_nesting_and_many_references_end_soon(read, fault):
    depth = 50_000
    ink = read("<traceGroup>" * depth + "<trace>1 1</trace>" + "</traceGroup>" * depth)
    assert len(ink) == 1
    assert read("<canvas>" * depth + "</canvas>" * depth + "<trace>1 1</trace>").down.all()
    # Doubling at each of 60 steps, if contexts were followed twice.
    chain = "".join(
        f'<context id="c{k}" contextRef="#c{k + 1}"><inkSource><sampleRate value="1"/></inkSource>'
        "</context>"
        for k in range(60)
    )
    assert "refers to itself" in fault(
        f'<definitions>{chain}<context id="c60"/></definitions><trace contextRef="#c0">1 1</trace>'
    )
    one = '<definitions><context id="a"><inkSource/></context><context id="b"/></definitions>'
    many = read(one + '<trace contextRef="#a">1 1</trace>' * 20_000)
    assert len(many) == 20_000


VALID = (
    f'<ink {NAMESPACE}><annotation type="writer">w</annotation><definitions><context xml:id="c">'
    f'<inkSource><traceFormat>{XY}<channel name="T" units="ms"/><channel name="F"/></traceFormat>'
    '<sampleRate value="100"/></inkSource><canvasTransform><mapping type="affine">1 0 0, 0 1 0'
    '</mapping></canvasTransform></context></definitions><trace contextRef="#c" timeOffset="3">'
    "1 2 0 9,'3 '4 '10 '0,\"1 \"1 \"0 ?</trace><traceGroup><trace type='penUp' xml:id='t'>"
    "1 1 50 1, 2 * 60 1</trace><trace continuation='end' priorRef='#t'>1 1 70 1</trace>"
    "</traceGroup></ink>"
)
_PIECES = st.sampled_from(
    ["<", ">", '"', "'", ",", "-", "?", "*", "T", "#", "!", " ", "1e999", "nan", "9" * 400, "\x00",
     "<trace>", "</trace>", "<!DOCTYPE a>", "&#1;", "&lt;", "é", "context", "-ve", "0", "units=",
     "mm", "1/0", "<traceFormat/>", "<canvas/>"]
)  # fmt: skip


@given(
    st.lists(
        st.tuples(st.integers(0, len(VALID)), st.integers(0, 30), _PIECES), min_size=1, max_size=5
    )
)
def test_mutated_documents_are_read_or_refused(tmp_path_factory, cuts):
    text = VALID
    for at, drop, insert in cuts:
        text = text[:at] + insert + text[at + drop :]
    path = tmp_path_factory.getbasetemp() / "mutated.inkml"
    path.write_text(text, encoding="utf-8")
    try:
        ink = read_inkml(path)
    except DataError as error:
        assert "mutated.inkml: " in str(error)
        return
    assert np.isfinite(ink.xy).all() and len(ink.xy) == len(ink.stroke)


@given(st.text("0123456789.-+eE'\"!*?TF#aA, \n", max_size=40), st.integers(0, 2))
def test_any_text_of_a_trace_is_read_or_refused(text, intermittent):
    try:
        points, _ = decode(text, "XY", [0.0] * intermittent)
    except DataError:
        return
    assert points.shape[1] == 2 + intermittent


def test_hostile_texts_of_a_trace_end_soon():
    blanks = " " * 100_000
    for text in (
        f"1 2{blanks}x",
        f"1 '{blanks}x",
        f"1 -{blanks}",
        "9" * 1_000_000 + " #" + "F" * 9,
    ):
        try:
            decode(text, "XY", ())
        except DataError as error:
            assert len(str(error)) < 300
    assert np.isinf(decode(f"#{'F' * 300} #{'0' * 300}1", "XY", ())[0]).tolist() == [[True, False]]
