"""Picks the registered reader for a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqebm.data.reader import Reader
from seqebm.errors import ConfigError, DataError, PluginError
from seqebm.hooks import get_host

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
        options: of the reader, as under ``frontend.reader`` of a config: its ``name`` (needed where
            several readers are of this kind) and what it takes. Other readers keep their defaults.

    Raises :class:`DataError` if there are none, :class:`ConfigError` for options that do not fit.
    """

    def __init__(
        self,
        kind: str,
        readers: Sequence[Reader] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self.readers = (
            list(readers) if readers is not None else _registered(kind, dict(options or {}))
        )
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

        Raises :class:`DataError` if the reader cannot tell.
        """
        reader = self.for_path(path)
        rate = reader.file_rate(path)
        if rate is None:
            raise DataError(f"{path}: reader {type(reader).__name__} cannot tell the file's rate")
        return int(rate)


def _registered(kind: str, options: dict[str, Any]) -> list[Reader]:
    """All readers of a kind; ``options`` are for the one that they name, or for the only one."""
    registry = get_host().registry
    found: dict[str, Reader] = {}
    for name in registry.names("readers"):
        try:
            reader = registry.make("readers", {"name": name}, where=f"readers.{name}")
        except PluginError as error:
            # A reader of ink that does not import must not keep audio from being read.
            logger.warning("%s", error)
            continue
        if reader.kind == kind:
            found[name] = reader
    if options:
        name = options.pop("name", None)
        if name is None and len(found) == 1:
            (name,) = found
        if name not in found:
            raise ConfigError(
                f"frontend.reader.name: {'missing' if name is None else repr(name)}; the readers "
                f"of {kind} are {', '.join(sorted(found)) or 'none'}"
            )
        found[name] = registry.make("readers", {"name": name, **options}, where="frontend.reader")
    return list(found.values())
