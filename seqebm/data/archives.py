"""Fetching and unpacking the archives of published corpora: for preparers."""

from __future__ import annotations

import logging
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

from seqebm.errors import DataError

logger = logging.getLogger(__name__)

LARGEST = 50_000_000  # bytes of one file in an archive
_QUOTED = 5  # names quoted in a message


def download(url: str, target: Path, corpus: str) -> None:
    """Fetch ``url`` to ``target``, whole or not at all. Raises :class:`DataError`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    logger.info("%s: downloading %s", corpus, url)
    try:
        with urllib.request.urlopen(url, timeout=30) as reply, part.open("wb") as file:
            shutil.copyfileobj(reply, file)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        part.unlink(missing_ok=True)
        raise DataError(
            f"{corpus}: cannot download {url} ({getattr(error, 'reason', error)}); fetch it where "
            "there is a network and set 'source' to the archive"
        ) from error
    os.replace(part, target)


def unpack(archive: Path, folder: Path, place: Callable[[str], str | None], corpus: str) -> int:
    """Copy files of a tar archive into ``folder`` and return how many there were.

    ``place`` says where below ``folder`` a file of the archive goes, None leaving it out; it must
    not return what leads out of ``folder``. Links and files above 50 MB are left out.

    Raises :class:`DataError` if the archive is damaged or cut short.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = 0
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = place(member.name)
                if not name or not member.isfile() or member.size > LARGEST:
                    continue
                file = tar.extractfile(member)
                if file is None:
                    continue
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with file, (folder / name).open("wb") as out:
                    shutil.copyfileobj(file, out)
                found += 1
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"{corpus}: {archive} is no readable archive, or is cut short ({error}); fetch it again"
        ) from error
    return found


def some(names: list[str], between: str = ", ") -> str:
    """The first few names, and how many more there are."""
    more = len(names) - _QUOTED
    return between.join(names[:_QUOTED]) + (f"{between}and {more} more" if more > 0 else "")
