"""Finds the recordings of a corpus: in a directory, in an archive, or downloaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from seqebm.hooks import DataError, download, unpack


class Recordings(NamedTuple):
    """Where the recordings of a corpus are, whose names say what they are.

    Attributes:
        corpus: its name, for messages.
        url: where the archive is downloaded from; None: it cannot be.
        home: where it is published, for messages.
        archive: what the download is called.
        folder: where the recordings lie in a directory that holds more.
        name: pattern of their names.
        example: one such name.
        depth: levels of folders in which they lie: 2 if in folders of their own.
    """

    corpus: str
    url: str | None
    home: str
    archive: str
    folder: str
    name: re.Pattern[str]
    example: str
    depth: int = 1

    def find(self, source: Path | None, may_download: bool, destination: Path) -> Path:
        """The directory that holds the wavs, after downloading and unpacking as needed.

        Raises :class:`DataError` if there is no source and nothing may be downloaded, or the
        download fails, the archive is damaged, or there are no recordings.
        """
        if source is None:
            if self.url is None or not may_download:
                or_else = ", or 'download: true'" if self.url else ""
                raise DataError(
                    f"{self.corpus}: no source given; set 'source' to the recordings or their "
                    f"archive{or_else}. The corpus is published at {self.home}"
                )
            source = destination / self.archive
            if not source.is_file():
                download(self.url, source, self.corpus)
        if source.is_file():
            return self._unpack(source, destination / "wav")
        if not source.is_dir():
            raise DataError(f"{self.corpus}: {source} does not exist; correct 'source'")
        for folder in (source, source / self.folder):
            levels = ["*", "*/*"][: self.depth]
            if any(self.name.fullmatch(p.name) for level in levels for p in folder.glob(level)):
                return folder.absolute()
        archives = [p for end in ("*.tar.gz", "*.tgz", "*.tar.xz") for p in source.glob(end)]
        if len(archives) == 1:
            return self._unpack(archives[0], destination / "wav")
        raise DataError(
            f"{self.corpus}: {source} holds neither recordings ({self.example!r}), nor "
            f"{self.folder}/ with them, nor one archive (.tar.gz or .tar.xz, found "
            f"{len(archives)}). The corpus is published at {self.home}"
        )

    def _unpack(self, archive: Path, folder: Path) -> Path:
        """Copy the recordings of an archive into ``folder``. Their own paths are not followed."""
        for path in folder.iterdir() if folder.is_dir() else ():  # what another archive left
            if self.name.fullmatch(path.name):
                path.unlink()
        if not unpack(archive, folder, self._place, self.corpus):
            raise DataError(
                f"{self.corpus}: {archive} holds no recordings ({self.example!r}); correct "
                f"'source'. The corpus is published at {self.home}"
            )
        return folder

    def _place(self, name: str) -> str | None:
        name = name.rsplit("/", 1)[-1]
        return name if self.name.fullmatch(name) else None
