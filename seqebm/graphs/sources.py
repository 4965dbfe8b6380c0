"""Text that is handed over as it is, or as the path of a file."""

from __future__ import annotations

from pathlib import Path

from seqebm.text import read_text


def read_source(source: str | Path, name: str | None, default: str) -> tuple[str, str]:
    """The text of a source, and what error messages call it.

    Args:
        source: a text, or the :class:`~pathlib.Path` of a file (see :mod:`seqebm.text`).
        name: what to call it, if given; otherwise a file is called by its path.
        default: what to call a text without a name.

    Raises :class:`seqebm.errors.DataError` for a file that cannot be read.
    """
    if not isinstance(source, Path):
        return source, name or default
    return read_text(source), name or str(source)
