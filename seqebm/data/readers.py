"""Picks the registered reader for a file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from seqebm.errors import DataError, PluginError
from seqebm.hooks import Reader, get_host

logger = logging.getLogger(__name__)

# What to install where no reader of a kind is registered.
_REMEDY = {
    "audio": "pip install -e plugins/speech",
    "features": "pip install -e plugins/speech",
    "ink": "pip install -e plugins/ink",
}


class ReaderPool:
    """The readers of one kind, asked by file ending.

    Args:
        kind: ``"audio"``, ``"ink"``, ``"image"`` or ``"features"``.
        readers: the readers to use; by default all registered ones of this kind.

    Raises :class:`DataError` if there are none.
    """

    def __init__(self, kind: str, readers: Sequence[Reader] | None = None) -> None:
        self.kind = kind
        self.readers = list(readers) if readers is not None else _registered(kind)
        if not self.readers:
            remedy = _REMEDY.get(kind, "install a plugin that brings one")
            raise DataError(f"no reader of {kind} files is registered; {remedy}")

    def for_path(self, path: Path) -> Reader:
        """The reader that claims the ending of ``path``.

        A file of unknown ending goes to the first reader: what a file is, is in its content.
        """
        suffix = path.suffix.lower()
        for reader in self.readers:
            if suffix in reader.suffixes:
                return reader
        return self.readers[0]

    def file_rate(self, path: Path) -> int:
        """Samples per second in the file at ``path``.

        Needs the optional method ``file_rate(path) -> int`` of the reader. Raises
        :class:`DataError` if the reader has none or cannot tell.
        """
        reader = self.for_path(path)
        method = getattr(reader, "file_rate", None)
        if method is None:
            raise DataError(f"{path}: reader {type(reader).__name__} cannot tell the file's rate")
        return int(method(path))


def _registered(kind: str) -> list[Reader]:
    registry = get_host().registry
    found = []
    for name in registry.names("readers"):
        try:
            reader = registry.make("readers", {"name": name}, where=f"readers.{name}")
        except PluginError as error:
            # A reader of ink that does not import must not keep audio from being read.
            logger.warning("%s", error)
            continue
        if reader.kind == kind:
            found.append(reader)
    return found
