"""Compiled functions kept on disk: where, how they are verified, and what the user is told.

Numba alone refuses to work where it can write neither beside the source nor below HOME, and trusts
what it finds on disk: damaged machine code ends the process inside LLVM, where nothing can be
caught. Every package may import this module; it imports nothing of seqebm.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import caching, event

logger = logging.getLogger(__name__)
_config: Any = numba.config  # its settings have no types
#: Seconds of compiling after which the user is told why nothing happens.
PATIENCE = 1.5
REMEDY = "set NUMBA_CACHE_DIR to a directory that you may write"

#: Directories in which compiled functions are kept; None: some are compiled at every start.
places: set[Path | None] = set()


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """As ``numba.njit(cache=True, **options)``, but it works on any machine.

    Numba's directories come first: NUMBA_CACHE_DIR, ``__pycache__`` beside the source, the user's
    cache. Where none can be written it is one below the system's directory for temporary files,
    and failing that the function is compiled at each start, with one warning. A file in it that is
    damaged counts as missing.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher: Any = numba.njit(**options)(function)
        if not _config.DISABLE_JIT:  # otherwise it is the function itself
            _ours.add(id(dispatcher))
            dispatcher._cache = _cache(function)
        return dispatcher

    return decorate


def _cache(function: Callable[..., Any]) -> Any:
    try:
        try:
            cache = _Cache(function)
        except RuntimeError:  # none of Numba's directories can be written
            before, _config.CACHE_DIR = _config.CACHE_DIR, str(_make_temporary())
            try:
                cache = _Cache(function)
            finally:
                _config.CACHE_DIR = before
    except (RuntimeError, OSError) as error:
        if None not in places:
            logger.warning(
                "compiled kernels cannot be kept (%s): each start compiles them anew, which takes "
                "about half a minute; %s", error, REMEDY,
            )  # fmt: skip
        places.add(None)
        return caching.NullCache()
    places.add(Path(cache.cache_path))
    return cache


def temporary() -> Path:
    """Where compiled functions go for want of a better place; not there until it is needed."""
    user = os.getuid() if os.name == "posix" else "user"
    return Path(tempfile.gettempdir()) / f"seqebm-kernels-{user}"


def _make_temporary() -> Path:
    """Make sure that only this user can write there. Raises :class:`OSError`."""
    path = temporary()
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    # Machine code is run from here: whoever else can write to it could run anything as this user.
    if not stat.S_ISDIR(found.st_mode) or (
        os.name == "posix" and (found.st_uid != os.getuid() or found.st_mode & 0o022)
    ):
        raise PermissionError(f"{path} is not a directory that only you can write")
    return path


class _Files(caching.IndexDataCacheFile):
    """Numba's index and data files, each behind a digest of it and of Numba's version.

    The data have their key with them: two processes that save at once may give one name to two.
    """

    def _load_index(self) -> dict[Any, str]:
        found = self._read(self._index_path)
        return found[1] if found and found[0] == self._source_stamp else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._source_stamp, overloads))

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        found = super().load(key)
        return found[1] if found and found[0] == key else None

    def _load_data(self, name: str) -> Any:
        return self._read(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _read(self, path: str) -> Any:
        try:
            content = Path(path).read_bytes()
        except OSError:
            return None
        digest, data = content[:32], content[32:]
        if digest != self._digest(data):
            return None
        try:
            return pickle.loads(data)
        except Exception:  # whole, but it names what an upgrade has removed
            return None

    def _write(self, path: str, content: Any) -> None:
        data = self._dump(content)
        with self._open_for_write(path) as file:
            file.write(self._digest(data) + data)

    def _digest(self, data: bytes) -> bytes:
        return hashlib.sha256(self._version.encode() + data).digest()


class _Cache(caching.FunctionCache):
    """Numba's, with :class:`_Files`; that a function cannot be kept is no reason not to run it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = _Files(
            self._cache_path, self._impl.filename_base, locator.get_source_stamp()
        )

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            if None not in places:
                logger.warning(
                    "a compiled kernel could not be kept: %s: %s; make room there, or %s",
                    error.filename2 or error.filename or self._cache_path,
                    error.strerror or error, REMEDY,
                )  # fmt: skip
            places.add(None)


_ours: set[int] = set()  # of dispatchers; they live as long as their modules


class _Patience(event.Listener):
    """Says once, if compiling takes long, that it is going on. Numba compiles one at a time."""

    def __init__(self) -> None:
        self.depth, self.spent, self.said = 0, 0.0, False
        self.started = 0.0
        self.timer: threading.Timer | None = None

    def on_start(self, event: Any) -> None:
        if self.said or id(event.data["dispatcher"]) not in _ours:
            return
        self.depth += 1
        if self.depth == 1:
            self.started = time.monotonic()
            self.timer = threading.Timer(max(0.0, PATIENCE - self.spent), self.say)
            self.timer.daemon = True
            self.timer.start()

    def on_end(self, event: Any) -> None:
        if not self.depth or id(event.data["dispatcher"]) not in _ours:
            return
        self.depth -= 1
        if self.depth == 0 and self.timer is not None:
            self.timer.cancel()
            self.spent += time.monotonic() - self.started

    def say(self) -> None:
        self.said = True
        kept = "" if None in places else ", kept for later runs"
        logger.info("compiling kernels for this machine%s (about half a minute)", kept)


event.register("numba:compile", _Patience())
