"""Text that is handed over as it is, or as the path of a file."""

from __future__ import annotations

from pathlib import Path

from seqebm.errors import DataError


def read_source(source: str | Path, name: str | None, default: str) -> tuple[str, str]:
    """The text of a source, and what error messages call it.

    Args:
        source: a text, or the :class:`~pathlib.Path` of a UTF-8 file.
        name: what to call it, if given; otherwise a file is called by its path.
        default: what to call a text without a name.

    Raises :class:`DataError` for a file that cannot be read.
    """
    if not isinstance(source, Path):
        return source, name or default
    name = name or str(source)
    try:
        return source.read_text(encoding="utf-8"), name
    except OSError as fault:
        raise DataError(f"{source}: cannot be read ({fault.strerror or fault})") from fault
    except UnicodeDecodeError as fault:
        raise DataError(f"{source}: is not UTF-8 ({fault.reason}); convert it") from fault
