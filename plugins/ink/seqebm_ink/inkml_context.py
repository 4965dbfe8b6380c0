"""What the values of an InkML trace mean: trace formats, sources, contexts and transforms.

Source: S. M. Watt, T. Underhill (eds.), "Ink Markup Language (InkML)", W3C Recommendation, 20
September 2011.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from seqebm.hooks import DataError
from seqebm_ink.inkml_values import decode

Element = Any  # of xml.etree, made by defusedxml
_MM = {
    "m": 1000.0, "dm": 100.0, "cm": 10.0, "mm": 1.0, "um": 1e-3, "himetric": 0.01, "in": 25.4,
    "inch": 25.4, "pt": 25.4 / 72, "pc": 25.4 / 6,
}  # fmt: skip
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_MAPPINGS = "'identity' and 'affine' of X and Y are"  # what is supported
_REFERENCES = {
    "contextRef": "context",
    "inkSourceRef": "inkSource",
    "traceFormatRef": "traceFormat",
    "canvasRef": "canvas",
    "canvasTransformRef": "canvasTransform",
}
_DEEPEST = 50  # contexts that refer to each other


class Channel(NamedTuple):
    """One ``<channel>``.

    Attributes:
        name: in upper case.
        units: of its values, in lower case; None: not said.
        positive: whether it has the usual orientation: x to the right, y **down**.
        default: its value before the first one is given.
    """

    name: str
    units: str | None = None
    positive: bool = True
    default: float = 0.0


class Setting(NamedTuple):
    """What is in force for a trace.

    Attributes:
        channels: those that every point has.
        intermittent: those that points may leave out; they come last.
        declared: whether the document said so.
        resolution: values per unit of a channel, (number, unit), by its name.
        rate: points per second; None: not said.
        transform: ``(2, 3)`` from (X, Y, 1) to the canvas, as a nested tuple; None: none.
        canvas: the channels of the canvas.
    """

    channels: tuple[Channel, ...] = (Channel("X"), Channel("Y"))
    intermittent: tuple[Channel, ...] = ()
    declared: bool = False
    resolution: tuple[tuple[str, tuple[float, str]], ...] = ()
    rate: float | None = None
    transform: tuple[tuple[float, ...], ...] | None = None
    canvas: tuple[Channel, ...] = (Channel("X"), Channel("Y"))

    @property
    def names(self) -> list[str]:
        """Of all channels, in order."""
        return [c.name for c in (*self.channels, *self.intermittent)]

    def channel(self, name: str) -> Channel:
        """The channel called ``name``, which must be there."""
        return next(c for c in (*self.channels, *self.intermittent) if c.name == name)

    def per_mm(self, name: str) -> float | None:
        """Values of channel ``name`` per millimetre; None: unknown."""
        return self._per(name, _MM)

    def per_second(self, name: str) -> float | None:
        """Values of channel ``name`` per second; None: unknown."""
        return self._per(name, _SECONDS)

    def _per(self, name: str, units: dict[str, float]) -> float | None:
        if name in (table := dict(self.resolution)):
            number, unit = table[name]
            return number / units[unit] if unit in units else None
        unit = self.channel(name).units or ""
        return 1 / units[unit] if unit in units else None


class Definitions:
    """The elements of a document that others refer to.

    Args:
        root: the ``<ink>`` element.
    """

    def __init__(self, root: Element) -> None:
        self.root = root
        self.by_id: dict[str, Element] = {}
        self._applied: dict[tuple[int, Setting], Setting] = {}
        every: dict[str, list[tuple[Element, bool]]] = {
            "traceFormat": [],
            "inkSource": [],
            "context": [],
        }
        stack = [(root, False, False)]  # no recursion: elements may be nested very deep
        while stack:
            element, defined, of_canvas = stack.pop()
            tag = local(element)
            if (name := identifier(element)) is not None:
                self.by_id.setdefault(name, element)
            if tag in every and not of_canvas:
                every[tag].append((element, defined))
            inside = defined or tag == "definitions", of_canvas or tag == "canvas"
            stack += [(child, *inside) for child in reversed(element)]
        # Many files define one format and never refer to it.
        self.initial = Setting()
        for found in every.values():
            if len(found) == 1 and found[0][1]:
                self.initial = self.apply(found[0][0], self.initial)

    def referred(self, element: Element, setting: Setting, within: tuple = ()) -> Setting:
        """What ``setting`` becomes by the references of ``element``.

        Raises :class:`DataError` for references to what is not there, or is something else.
        """
        for name, tag in _REFERENCES.items():
            reference = element.get(name)
            if not reference or reference == "#DefaultContext":
                continue
            target = self.by_id.get(reference.removeprefix("#"))
            if target is None or local(target) != tag:
                raise DataError(
                    f"{name}={reference[:40]!r} refers to no <{tag}> of this document; add it, or "
                    "remove the reference"
                )
            key = id(target), setting
            if key not in self._applied:  # thousands of traces refer to one context
                self._applied[key] = self.apply(target, setting, within)
            setting = self._applied[key]
        return setting

    def apply(self, element: Element, setting: Setting, within: tuple = ()) -> Setting:
        """What ``setting`` becomes by a context, source, format, canvas or transform.

        Raises :class:`DataError` for what is malformed or not supported.
        """
        if element in within or len(within) > _DEEPEST:
            raise DataError(f"a <{local(element)}> refers to itself; remove the reference")
        within = (*within, element)
        tag = local(element)
        if tag == "traceFormat":
            channels, intermittent = _format(element)
            return setting._replace(channels=channels, intermittent=intermittent, declared=True)
        if tag == "canvasTransform":
            return setting._replace(transform=self._transform(element))
        if tag == "canvas":
            for child in children(element, "traceFormat"):
                setting = setting._replace(canvas=_format(child)[0])
            return setting
        if tag == "inkSource":
            setting = _source(element, setting._replace(resolution=(), rate=None))
        setting = self.referred(element, setting, within)
        parts = ("traceFormat",) if tag == "inkSource" else tuple(_REFERENCES.values())[1:]
        for child in element:
            if local(child) in parts:
                setting = self.apply(child, setting, within)
        return setting

    def _transform(self, element: Element) -> tuple[tuple[float, ...], ...] | None:
        mapping = next(children(element, "mapping"), None)
        if mapping is not None and mapping.get("mappingRef"):
            mapping = self.by_id.get(mapping.get("mappingRef").removeprefix("#"))
        kind = None if mapping is None else mapping.get("type", "unknown")
        if kind == "identity":
            return None
        if mapping is None or kind != "affine":
            raise DataError(f"a canvasTransform of type {kind!r} is not supported; {_MAPPINGS}")
        sources = [b.get("source") for b in children(mapping, "bind") if b.get("source")]
        if sources not in ([], ["X", "Y"]):
            raise DataError(f"an affine mapping of {' '.join(sources)} is not supported; "
                            f"{_MAPPINGS}")  # fmt: skip
        try:
            matrix, _ = decode("".join(mapping.itertext()), ("X", "Y", "1"), ())
        except DataError as error:
            raise DataError(f"the affine mapping of a canvasTransform: {error}") from error
        if matrix.shape != (2, 3) or not np.isfinite(matrix).all() or not _determinant(matrix):
            raise DataError(
                "the affine mapping of a canvasTransform is no invertible matrix of 2 rows of 3 "
                f"numbers, but has {len(matrix)} rows; {_MAPPINGS}"
            )
        return tuple(tuple(row) for row in matrix.tolist())


def similarity(transform: tuple[tuple[float, ...], ...]) -> float | None:
    """By how much a ``(2, 3)`` transform enlarges; None if not everything by the same."""
    linear = np.array(transform)[:, :2]
    scale = math.sqrt(abs(_determinant(linear)))
    same = np.allclose(linear.T @ linear / scale**2, np.eye(2), atol=1e-3)
    return scale if same else None


def _determinant(matrix: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        value = float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])
    return value if math.isfinite(value) else 0.0


def local(element: Element) -> str:
    """The name of an element without its namespace; real files use several, or none."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def identifier(element: Element) -> str | None:
    """The ``xml:id`` or ``id`` of an element; None if it has none."""
    for key, value in element.attrib.items():
        if key == "id" or key.endswith("}id"):
            return value
    return None


def children(element: Element, name: str) -> Iterator[Element]:
    """The children of an element that have a name."""
    return (child for child in element if local(child) == name)


def number(element: Element, name: str) -> float | None:
    """A finite number from an attribute; None if there is none.

    Raises :class:`DataError` for what is no finite number.
    """
    text = element.get(name)
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{name}={text[:40]!r} of a <{local(element)}> is no number")
    return value


def _format(element: Element) -> tuple[tuple[Channel, ...], tuple[Channel, ...]]:
    """The regular and the intermittent channels of a ``<traceFormat>``."""
    regular: list[Channel] = []
    intermittent: list[Channel] = []
    for child in element:
        if local(child) == "channel":
            regular.append(_channel(child))
        elif local(child) == "regularChannels":  # of a draft
            regular += map(_channel, children(child, "channel"))
        elif local(child) == "intermittentChannels":
            intermittent += map(_channel, children(child, "channel"))
    if not regular and not intermittent:
        return Setting().channels, ()
    names = [c.name for c in (*regular, *intermittent)]
    if "X" not in (first := [c.name for c in regular]) or "Y" not in first:
        raise DataError(f"a traceFormat has {' '.join(first) or 'no channel'}, but no X and Y")
    if len(set(names)) < len(names):
        raise DataError(f"a traceFormat has the channels {' '.join(names)}; each may come once")
    return tuple(regular), tuple(intermittent)


def _channel(element: Element) -> Channel:
    default = element.get("default", "").strip()
    truth = {"T": 1.0, "F": 0.0}
    value = truth[default] if default in truth else number(element, "default")
    return Channel(
        (element.get("name") or "?").strip().upper(),
        (element.get("units") or "").strip().lower() or None,
        (element.get("orientation") or "+ve").strip() != "-ve",
        value or 0.0,
    )


def _source(element: Element, setting: Setting) -> Setting:
    """The sampling rate and the resolutions of an ``<inkSource>``."""
    for child in children(element, "sampleRate"):
        rate = number(child, "value")
        if rate is not None and rate > 0:
            setting = setting._replace(rate=rate)
    table = dict(setting.resolution)
    for properties in children(element, "channelProperties"):
        for child in children(properties, "channelProperty"):
            value = number(child, "value") if child.get("name") == "resolution" else None
            if value is not None and value > 0:
                unit = (child.get("units") or "").strip().lower()
                unit = {"dpi": "in", "lpi": "in", "hz": "s"}.get(unit, unit.removeprefix("1/"))
                table[(child.get("channel") or "").strip().upper()] = value, unit
    return setting._replace(resolution=tuple(table.items()))
