"""The directory of an experiment belongs to one configuration."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from seqebm.errors import ConfigError, ModelError
from seqebm.models import Config
from seqebm.models.config import parse_config
from seqebm.models.storage import write_bytes
from seqebm.settings import load_yaml
from seqebm.text import read_text

# What may be changed between the first run and a resumed one.
RESUMABLE = {"logger", "keep_checkpoints", "threads", "accelerator", "patience"}


logger = logging.getLogger(__name__)

_training = threading.RLock()  # random numbers of torch are the process's, not the thread's


@contextlib.contextmanager
def alone_in(exp: Path) -> Iterator[None]:
    """Within it, no other training works in ``exp``, nor in another thread of this process.

    The lock goes with the process, however it ends. Raises :class:`ConfigError` if another has it,
    :class:`ModelError` if the directory cannot be made.
    """
    if not _training.acquire(blocking=False):
        raise ConfigError(
            f"{exp}: another thread of this process is training, and both would draw from the same "
            "random numbers: train one after the other, or in processes of their own"
        )
    try:
        try:
            exp.mkdir(parents=True, exist_ok=True)
            lock = FileLock(exp / ".lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(
                f"{exp}: another training is at work there: wait until it has ended, or give "
                "another --exp"
            ) from None
        except NotImplementedError:  # a file system without locks
            logger.warning("%s: cannot be locked; start no other training there", exp)
        except OSError as error:
            raise ModelError(
                f"{exp}: could not be written ({error.strerror or error}): check that it may be "
                "written there, or give another --exp"
            ) from error
        try:
            yield
        finally:
            lock.release()
    finally:
        _training.release()


def claim(exp: Path, config: Config) -> None:
    """Write config.yaml into an experiment's directory, or compare with the one that is there.

    Raises :class:`ConfigError` if that cannot be read, or is of another run.
    """
    path = exp / "config.yaml"
    if path.exists():
        try:
            before = load_yaml(read_text(path, ConfigError), str(path))
        except ConfigError as error:
            raise ConfigError(f"{error}: give another --exp, or delete {exp}") from error
        changed = sorted(_differences(_explicit(before, path), config.explicit()))
        if changed:
            raise ConfigError(
                f"{exp} holds a run with another config (it differs in "
                f"{', '.join(changed)}): give another --exp, or delete {exp}"
            )
    write_bytes(path, config.to_yaml().encode())


def _explicit(values: Any, path: Path) -> dict[str, Any]:
    """A configuration as it was written, by this or an earlier version, with all its defaults."""
    try:
        return parse_config(values, str(path)).explicit()
    except ConfigError as error:
        raise ConfigError(
            f"{path}: is of another version ({error}): give another --exp, or delete {path.parent}"
        ) from error


def _differences(before: Any, now: Any, path: str = "") -> list[str]:
    """Dotted names of the settings that differ, but for those that may change."""
    if isinstance(before, dict) and isinstance(now, dict):
        found = []
        for key in {*before, *now}:
            name = f"{path}.{key}" if path else str(key)
            if path == "training" and key in RESUMABLE:
                continue
            found += _differences(before.get(key), now.get(key), name)
        return found
    return [] if before == now else [path]
