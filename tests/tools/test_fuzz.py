"""The fuzzers, for some seconds: whatever is read, nothing but our own errors comes out of it."""

from __future__ import annotations

from random import Random

import pytest

from seqebm.errors import DataError
from tools.fuzz.mutate import mutate
from tools.fuzz.run import fuzz
from tools.fuzz.targets import Target, targets

TARGETS = targets()


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_escapes(name):
    count = fuzz(TARGETS[name], seed=1, inputs=250)
    assert not count.escaped, "\n".join(count.escaped[:5])
    assert count.inputs == 250 and count.read >= 1, "the good file itself is read"


def test_the_same_seed_gives_the_same_damage():
    seeds = [b"one W AH N\n" * 5, bytes(range(256))]

    def some() -> list[bytes]:
        random = Random(3)
        return [mutate(seeds[0], random, seeds) for _ in range(200)]

    assert some() == some()
    assert len({*some()}) > 150


def test_what_escapes_is_counted_and_kept(tmp_path):
    def read(path):
        data = path.read_bytes()
        if data == b"good":
            return
        if b"\0" in data:
            raise KeyError("x")
        raise DataError("refused")

    count = fuzz(Target("toy", ".bin", [b"good"], read), 0, inputs=400, keep=tmp_path)
    assert count.read >= 1 and count.refused and count.escaped
    assert count.inputs == count.read + count.refused + len(count.escaped)
    assert "KeyError" in count.escaped[0]
    assert any(b"\0" in path.read_bytes() for path in (tmp_path / "toy").iterdir())
