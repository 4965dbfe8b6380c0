"""YAML that somebody wrote: bounded, and every fault one message."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqebm.errors import ConfigError, ModelError
from seqebm.settings import load_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


def test_what_a_config_says():
    text = "a: &shared {x: 1, y: [.inf, null]}\nb: *shared\nc: {<<: *shared, x: 2}\n"
    assert load_yaml(text, "c.yaml") == {
        "a": {"x": 1, "y": [float("inf"), None]},
        "b": {"x": 1, "y": [float("inf"), None]},
        "c": {"x": 2, "y": [float("inf"), None]},
    }
    assert load_yaml("", "c.yaml") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r"c.yaml: its aliases .* grow without end"),
        ("&a [*a]", "grow without end"),
        ("[" * 2000, "nested more than 40 levels"),
        ("{a: " * 2000, "nested more than 40 levels"),
        ("- " * 2000, "nested more than 40 levels"),
        ("a: " + "9" * 100_000, "not valid YAML: .* 100000 digits"),
        ("a: 2024-13-45", "not valid YAML: month"),
        ("a: \x00", "not valid YAML: unacceptable character"),
        ("a: !!float x", "not valid YAML"),
        ("a: !!int ''", "not valid YAML"),
        ("a: !!timestamp x", "not valid YAML"),
        ("? [a]\n: b", "unhashable key"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: [", "not valid YAML"),
    ],
)
def test_faults(text, message):
    started = time.monotonic()
    with pytest.raises(ModelError, match=message) as caught:
        load_yaml(text, "c.yaml", ModelError)
    assert len(str(caught.value)) < 500
    assert time.monotonic() - started < 10


@given(st.text("ab01-:[]{}&*!?,'\"#|>%@\n .~", max_size=40))
def test_nothing_else_escapes(text):
    try:
        load_yaml(text, "c.yaml")
    except ConfigError as error:
        assert str(error).startswith("c.yaml: ")
