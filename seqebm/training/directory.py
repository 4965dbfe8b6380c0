"""The directory of an experiment belongs to one configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from seqebm.errors import ConfigError
from seqebm.models import Config
from seqebm.models.config import parse_config
from seqebm.models.storage import write_bytes

# What may be changed between the first run and a resumed one.
RESUMABLE = {"logger", "keep_checkpoints", "threads", "accelerator", "patience"}


def claim(exp: Path, config: Config) -> None:
    """Write config.yaml into an experiment's directory, or compare with the one that is there.

    Raises :class:`ConfigError` if that cannot be read, or is of another run.
    """
    path = exp / "config.yaml"
    if path.exists():
        try:
            before = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(
                f"{path}: cannot be read ({error}): give another --exp, or delete {exp}"
            ) from error
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
