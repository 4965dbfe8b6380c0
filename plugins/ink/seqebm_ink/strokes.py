"""JSON strokes: the plain format of pen ink for everybody's own programs.

::

    {"strokes": [[[0, 0, 0.00], [3, 8, 0.01]], [[5, 2, 0.35]]], "writer": "anna"}

A stroke is a list of points ``[x, y]``, ``[x, y, t]`` or ``[x, y, t, pressure]`` (``t`` may be null
where only the pressure is known), or an object of equally long lists ``{"x": [], "y": [], "t": [],
"p": []}``, the last two optional. Within a file all points have the same values. The file may also
be the list of strokes alone. :class:`Document` lists the other keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from seqebm.hooks import DataError
from seqebm_ink.files import as_utf8, content
from seqebm_ink.ink import Floats, Ink

Number = Annotated[float, Field(allow_inf_nan=False)]
_STRICT = ConfigDict(extra="forbid", strict=True)
_COLUMNS = ("x", "y", "t", "p")


class Document(BaseModel):
    """The keys of a file of JSON strokes; others are an error.

    Attributes:
        strokes: the strokes, in the order of writing.
        y_axis: whether y grows ``"down"`` (as on screens; the default) or ``"up"``.
        time_unit: of ``t``: ``"s"`` (the default) or ``"ms"``.
        units_per_mm: positions per millimetre.
        writer: who wrote.
        pen_up: numbers of the strokes, from 0, that were recorded in the air.
        label: what was written; not used here.
        about: anything else, such as the device; not used here.
    """

    model_config = _STRICT

    strokes: list[Any]
    y_axis: Literal["down", "up"] = "down"
    time_unit: Literal["s", "ms"] = "s"
    units_per_mm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    writer: str | None = None
    pen_up: list[Annotated[int, Field(ge=0)]] = []
    label: str | None = None
    about: Any = None


class _Columns(BaseModel):
    """A stroke as an object of lists."""

    model_config = _STRICT

    x: list[Number]
    y: list[Number]
    t: list[Number] | None = None
    p: list[Number] | None = None


_POINTS = TypeAdapter(
    list[Annotated[list[Number | None], Field(min_length=2, max_length=4)]],
    config=ConfigDict(strict=True),
)


def read_strokes(path: Path, y_axis: str = "file") -> Ink:
    """Read a file of JSON strokes.

    ``y_axis`` other than ``"file"`` overrules that of the file. Strokes without points are left
    out. Raises :class:`DataError`, naming the file and the place
    in it, if it cannot be read, is no JSON, has unknown keys, values of a wrong type, NaN or
    infinite values, points of unequal numbers of values, or times that run backwards.
    """
    path = Path(path)
    data = content(path)
    try:
        return _ink(data, y_axis)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def write_strokes(path: Path, ink: Ink, about: Mapping[str, Any] | None = None) -> None:
    """Write ink as JSON strokes, from which :func:`read_strokes` gives the same ink.

    Raises :class:`DataError` if the file cannot be written.
    """
    columns: list[Floats] = [ink.xy]
    if ink.time is not None or ink.pressure is not None:
        unknown = np.full(len(ink), np.nan)
        columns.append((unknown if ink.time is None else ink.time)[:, None])
    if ink.pressure is not None:
        columns.append(ink.pressure[:, None])
    rows = np.concatenate(columns, axis=1).tolist() if len(ink) else []
    if ink.time is None:
        rows = [[*row[:2], None, *row[3:]] if len(row) > 2 else row for row in rows]
    strokes: list[list[list[float | None]]] = [[] for _ in ink.down]
    for number, row in zip(ink.stroke.tolist(), rows, strict=True):
        strokes[number].append(row)
    document: dict[str, Any] = {"strokes": strokes, "y_axis": "up"}
    if ink.units_per_mm is not None:
        document["units_per_mm"] = ink.units_per_mm
    if ink.writer is not None:
        document["writer"] = ink.writer
    if not ink.down.all():
        document["pen_up"] = np.flatnonzero(~ink.down).tolist()
    if about is not None:
        document["about"] = dict(about)
    try:
        Path(path).write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def _ink(data: bytes, y_axis: str) -> Ink:
    try:
        found = from_json(as_utf8(data))
    except ValueError as error:
        raise DataError(
            f"is damaged or cut short JSON ({error}); copy or export it again"
        ) from error
    try:
        document = Document.model_validate({"strokes": found} if _is_list(found) else found)
    except ValidationError as error:
        raise _fault(error, "", Document) from error
    strokes = [_stroke(stroke, f"strokes[{k}]") for k, stroke in enumerate(document.strokes)]
    if wrong := [n for n in document.pen_up if n >= len(strokes)]:
        raise DataError(f"pen_up names stroke {wrong[0]}, but there are {len(strokes)}, from 0")
    kept = [k for k, stroke in enumerate(strokes) if len(stroke)]
    if not kept:
        return Ink.of_strokes([])
    known = [~np.isnan(strokes[k]) for k in kept]
    has = {column: any(mask[:, column].any() for mask in known) for column in (2, 3)}
    for name, column in (("t", 2), ("pressure", 3)):
        for k, mask in zip(kept, known, strict=True):
            if has[column] and not mask[:, column].all():
                point = int(np.flatnonzero(~mask[:, column])[0])
                raise DataError(
                    f"strokes[{k}][{point}] has no {name}, but other points have; give all of them "
                    "the same values"
                )
    up = set(document.pen_up)
    scale = 1000.0 if document.time_unit == "ms" else 1.0
    upwards = (document.y_axis if y_axis == "file" else y_axis) == "up"
    sign = 1.0 if upwards else -1.0
    return Ink.of_strokes(
        [strokes[k][:, :2] * [1.0, sign] + 0.0 for k in kept],
        [k not in up for k in kept],
        [strokes[k][:, 2] / scale for k in kept] if has[2] else None,
        [strokes[k][:, 3] for k in kept] if has[3] else None,
        document.units_per_mm,
        document.writer,
    )


def _is_list(found: Any) -> bool:
    if isinstance(found, list):
        return True
    if isinstance(found, dict):
        return False
    raise DataError(f"holds {type(found).__name__}, not a list of strokes or an object of them")


def _stroke(stroke: Any, where: str) -> Floats:
    """``(n, 4)``: x, y, t, pressure; NaN where there is none."""
    if isinstance(stroke, dict):
        return _of_columns(stroke, where)
    if not isinstance(stroke, list):
        raise DataError(
            f"{where} is {type(stroke).__name__}, neither a list of points nor an object of lists"
        )
    try:
        points = _POINTS.validate_python(stroke)
    except ValidationError as error:
        raise _fault(error, where) from error
    table = np.full((len(points), 4), np.nan)
    for width in {len(point) for point in points}:
        rows = [k for k, point in enumerate(points) if len(point) == width]
        table[rows, :width] = np.array([points[k] for k in rows], np.float64)
    if len(missing := np.argwhere(np.isnan(table[:, :2]))):
        raise DataError(f"{where}[{missing[0, 0]}][{missing[0, 1]}] is null; only t may be")
    return table


def _of_columns(stroke: dict[str, Any], where: str) -> Floats:
    try:
        columns = _Columns.model_validate(stroke)
    except ValidationError as error:
        raise _fault(error, where, _Columns) from error
    table = np.full((len(columns.x), 4), np.nan)
    for k, name in enumerate(_COLUMNS):
        values = getattr(columns, name)
        if values is None:
            continue
        if len(values) != len(table):
            raise DataError(f"{where} has {len(table)} values of x, but {len(values)} of {name}")
        table[:, k] = values
    return table


def _fault(error: ValidationError, where: str, model: type[BaseModel] | None = None) -> DataError:
    """The first fault alone, with its place as one would write it in JavaScript."""
    first = error.errors(include_url=False, include_context=False)[0]
    for part in first["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    place = where.removeprefix(".") or "the document"
    if first["type"] == "extra_forbidden" and model is not None:
        valid = ", ".join(model.model_fields)
        return DataError(f"{place} is no known key; the keys are {valid}")
    if first["type"] == "missing":
        return DataError(f"{place} is missing")
    value = repr(first["input"])
    value = value if len(value) <= 40 else f"{value[:40]}..."
    return DataError(f"{place} is {value}: {first['msg'][:1].lower()}{first['msg'][1:]}")
