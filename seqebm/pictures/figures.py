"""Writing pictures."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure

from seqebm.errors import DataError, did_you_mean
from seqebm.files import write_bytes


def check_picture(path: str | Path) -> None:
    """Raise :class:`DataError` unless the ending of ``path`` is one that can be drawn."""
    path = Path(path)
    ending = path.suffix.lower().lstrip(".")
    known = sorted(Figure().canvas.get_supported_filetypes())
    if ending not in known:
        raise DataError(
            f"{path}: a picture needs one of the endings {', '.join(known)}."
            f"{did_you_mean(ending, known)}"
        )


def save_figure(figure: Figure, path: str | Path, dpi: int = 110) -> None:
    """Write a figure, atomically, in the format of the ending of ``path``.

    Raises :class:`DataError` for an unknown ending or a place that cannot be written.
    """
    check_picture(path)
    data = io.BytesIO()
    figure.savefig(data, format=Path(path).suffix.lower().lstrip("."), dpi=dpi)
    write_bytes(path, data.getvalue())
