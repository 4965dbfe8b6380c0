"""Damage: one of a few changes to the bytes of a good file, several times over."""

from __future__ import annotations

from random import Random

# What parsers stumble over, in any format.
_TOKENS = [
    b"", b"\0", b"\n", b"\r\n", b" ", b"\t", b"-1", b"0", b"1e309", b"-1e309", b"nan", b"inf",
    b"9" * 25, b"9" * 5000, b"0x10", b"1_000", b"2024-13-45", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\xc2\xa0", b"\xe2\x80\xa8", b"\x1f\x8b", b"[" * 2000, b"<a>" * 2000, b"{\"a\":" * 2000,
    b"&a", b"*a", b"!!python/object:os", b"<!DOCTYPE a [<!ENTITY b \"b\">]>", b"&b;", b"#1", b"\\",
    b"\"", b"'", b"/etc/passwd", b"../../x", b"|", b"%s", b"\xff" * 8, b"\x00" * 8, b"\x7f",
]  # fmt: skip


def mutate(data: bytes, random: Random, others: list[bytes]) -> bytes:
    """A damaged copy of ``data``; pieces of ``others`` may be spliced in."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        data = random.choice(_CHANGES)(data, random, others)
    return data


def _place(data: bytes, random: Random) -> int:
    """Somewhere; often at the start, where headers are."""
    end = min(len(data), 64) if random.random() < 0.3 else len(data)
    return random.randrange(end) if end else 0


def _flip(data: bytes, random: Random, _: list[bytes]) -> bytes:
    if not data:
        return data
    at = _place(data, random)
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _write(data: bytes, random: Random, _: list[bytes]) -> bytes:
    at = _place(data, random)
    piece = random.randbytes(random.choice((1, 2, 4, 8)))
    return data[:at] + piece + data[at + len(piece) :]


def _insert(data: bytes, random: Random, _: list[bytes]) -> bytes:
    at = _place(data, random)
    return data[:at] + random.choice(_TOKENS) + data[at:]


def _replace(data: bytes, random: Random, _: list[bytes]) -> bytes:
    """A word or number becomes another."""
    at = _place(data, random)
    end = at
    while end < len(data) and data[end] not in b" \t\n,;:<>\"'()[]{}":
        end += 1
    return data[:at] + random.choice(_TOKENS) + data[end:]


def _cut(data: bytes, random: Random, _: list[bytes]) -> bytes:
    return data[: _place(data, random)]


def _drop(data: bytes, random: Random, _: list[bytes]) -> bytes:
    at = _place(data, random)
    return data[:at] + data[at + random.choice((1, 2, 16, 200)) :]


def _repeat(data: bytes, random: Random, _: list[bytes]) -> bytes:
    at = _place(data, random)
    piece = data[at : at + random.choice((1, 8, 64))]
    return data[:at] + piece * random.choice((2, 3, 50)) + data[at:]


def _splice(data: bytes, random: Random, others: list[bytes]) -> bytes:
    other = random.choice(others)
    return data[: _place(data, random)] + other[_place(other, random) :]


def _line(data: bytes, random: Random, _: list[bytes]) -> bytes:
    """A line twice, gone, or elsewhere."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    line = lines.pop(at)
    for _ in range(random.choice((0, 1, 2))):
        lines.insert(random.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


_CHANGES = (_flip, _write, _insert, _replace, _cut, _drop, _repeat, _splice, _line)
