"""``--set key=value``: the one place where such a setting is taken apart."""

from __future__ import annotations

from typing import Any

from seqebm.errors import ConfigError


def parse_setting(setting: str, form: str) -> tuple[str, Any]:
    """``"training.epochs=3"`` -> ``("training.epochs", 3)``; the value is YAML.

    Raises :class:`ConfigError`, which shows ``form``, for a setting without ``=`` or without key,
    and for bad YAML.
    """
    import yaml  # not before a setting is met: `seqebm --help` has no use for it

    key, equals, text = setting.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(f"--set {setting!r}: write {form}")
    try:
        return key, yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {setting!r}: the value is not YAML: {error}") from error
