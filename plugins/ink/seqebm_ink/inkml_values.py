"""The text of an InkML ``<trace>``: values of channels, as they are or as differences.

Source: S. M. Watt, T. Underhill (eds.), "Ink Markup Language (InkML)", W3C Recommendation, 20
September 2011, section on the ``<trace>`` element.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from seqebm.hooks import DataError
from seqebm_ink.ink import Floats

_PLAIN = re.compile(r"[0-9eE+\-.,\s]*")
_VALUE = re.compile(
    # No two \s* in a row, which would take cubic time over many blanks.
    r"""\s*(?:(?:(?P<order>[!'"])\s*)?(?:(?P<sign>[-+])\s*)?
        (?:\#(?P<hex>[0-9A-Fa-f]+)|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?))
        |(?P<letter>[TF*?]))""",
    re.VERBOSE,
)
_QUOTED = 40  # characters of a point quoted in a message


def decode(text: str, names: Sequence[str], defaults: Sequence[float]) -> tuple[Floats, int]:
    """The points of a trace.

    Args:
        text: the content of the element: points between commas, values between blanks. A value is
            a number (decimal, with exponent, or hexadecimal after ``#``), ``T`` or ``F`` (1 or 0),
            ``*`` (the channel keeps its value) or ``?`` (unknown). ``'`` before a number makes it,
            and those of its channel after it, a difference to the point before; ``"`` a difference
            of the difference; ``!`` ends that.
        names: the regular channels, which every point has.
        defaults: what the intermittent channels, which points may leave out, are at the beginning;
            where a point leaves one out it keeps its value.

    Returns ``(n, names + defaults)``, NaN where a value is unknown, and the number of points that
    have fewer values than ``names``: what they lack is unknown, unless it is X or Y. Empty points,
    as between two commas, are left out. Raises :class:`DataError` for text that is not of this
    form, and for points with too few or too many values.
    """
    table = _plain(text, len(names), defaults)
    return _coded(text, names, defaults) if table is None else (table, 0)


def _plain(text: str, regular: int, defaults: Sequence[float]) -> Floats | None:
    """The same for numbers alone, in a fraction of the time; None if there is more to it."""
    if defaults or not _PLAIN.fullmatch(text):
        return None
    rows = [row for part in text.split(",") if (row := part.split())]
    if not rows:
        return np.empty((0, regular))
    try:
        table = np.array(rows, np.float64)
    except ValueError:  # unequal rows, or values without a blank between them: "3-5"
        return None
    return table if table.shape[1] == regular else None


def _coded(text: str, names: Sequence[str], defaults: Sequence[float]) -> tuple[Floats, int]:
    width = len(names) + len(defaults)
    least = max((k + 1 for k, name in enumerate(names) if name in ("X", "Y")), default=len(names))
    short = 0
    channels = [_Channel(v) for v in (*[math.nan] * len(names), *defaults)]
    points: list[list[float]] = []
    for part in text.split(","):
        if not part.strip():
            continue
        where = f"point {len(points)} ({part.strip()[:_QUOTED]!r})"
        values = _tokens(part, where)
        if not least <= len(values) <= width:
            raise DataError(
                f"{where} has {len(values)} values, but the trace format has "
                f"{' '.join(names)}{f' and at most {len(defaults)} more' if defaults else ''}; "
                "points are separated by commas"
            )
        for channel, value in zip(channels, values, strict=False):
            channel.update(value, where)
        for channel in channels[len(values) : len(names)]:
            channel.forget()
        short += len(values) < len(names)
        points.append([channel.value for channel in channels])
    return np.array(points, np.float64).reshape(-1, width), short


def _tokens(part: str, where: str) -> list[re.Match[str]]:
    part, values, end = part.rstrip(), [], 0
    while end < len(part):
        match = _VALUE.match(part, end)
        if match is None:
            raise DataError(f"{where} has {part[end:].split()[0][:_QUOTED]!r}, which is no value")
        values.append(match)
        end = match.end()
    return values


class _Channel:
    """What a channel is at a point, and how its numbers are meant."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.order = "!"
        self.step = 0.0

    def forget(self) -> None:
        """A point does not give it."""
        self.value, self.step = math.nan, 0.0

    def update(self, match: re.Match[str], where: str) -> None:
        letter = match["letter"]
        if letter == "*":
            if math.isnan(self.value):
                raise DataError(f"{where} has a '*' that repeats no value")
            self.step = 0.0
        elif letter:
            self.value = {"T": 1.0, "F": 0.0, "?": math.nan}[letter]
            self.step = 0.0
        else:
            self._number(match, where)

    def _number(self, match: re.Match[str], where: str) -> None:
        # Numbers beyond float64 become infinite, which Ink refuses.
        number = _hexadecimal(match["hex"]) if match["hex"] else float(match["number"])
        number = -number if match["sign"] == "-" else number
        self.order = match["order"] or self.order
        if self.order == "!":
            self.step = number - self.value if math.isfinite(self.value) else 0.0
            self.value = number
            return
        if math.isnan(self.value):
            raise DataError(f"{where} has a difference to a value that is not known")
        self.step = number if self.order == "'" else self.step + number
        self.value += self.step


def _hexadecimal(digits: str) -> float:
    digits = digits.lstrip("0")
    return float(int(digits or "0", 16)) if len(digits) < 256 else math.inf
