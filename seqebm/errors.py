"""The errors that a user can mend. The command line prints their message and exits with status 1.

This module is the floor of the house: every package may import it, and it imports nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SeqebmError(Exception):
    """Something the user can mend: the message names the thing, its value and the remedy."""


class ConfigError(SeqebmError):
    """A configuration has an unknown key, a value out of range, or names a missing component."""


class DataError(SeqebmError):
    """An input file, an utterance or a data directory cannot be used."""


class ModelError(SeqebmError):
    """A saved model or checkpoint cannot be read or written."""


class PluginError(SeqebmError):
    """A plugin is broken, missing, or claims a name that another one has."""


class GraphError(SeqebmError):
    """A graph is malformed, or an operation does not fit it."""


class UnsupportedError(ConfigError):
    """What is asked of a component is something that it cannot give; the message says what."""


class InfeasibleError(DataError):
    """An utterance is too short (or too long) for every path through its lattice."""


def did_you_mean(value: str, choices: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the choice nearest to ``value``, or an empty string."""
    near = difflib.get_close_matches(value, list(choices), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
