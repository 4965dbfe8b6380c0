"""seqebm: sequence recognition with energy-based models.

The public names load on first use, so that ``import seqebm`` and ``seqebm --help`` do not pay for
torch before they need it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from seqebm import forked as forked  # from now on, forks are noticed

__version__ = "0.1.0"

_PUBLIC = {
    "Recognizer": "seqebm.models",
    "Config": "seqebm.models",
    "load_config": "seqebm.models",
    "parse_config": "seqebm.models.config",
    "train": "seqebm.training",
    "recognise": "seqebm.decoding.recognition",
    "DataDir": "seqebm.data",
    "hookimpl": "seqebm.hooks",
    "SeqebmError": "seqebm.errors",
}

__all__ = [
    "Config",
    "DataDir",
    "Recognizer",
    "SeqebmError",
    "__version__",
    "hookimpl",
    "load_config",
    "parse_config",
    "recognise",
    "train",
]

if TYPE_CHECKING:
    from seqebm.data import DataDir
    from seqebm.decoding.recognition import recognise
    from seqebm.errors import SeqebmError
    from seqebm.hooks import hookimpl
    from seqebm.models import Config, Recognizer, load_config
    from seqebm.models.config import parse_config
    from seqebm.training import train


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'seqebm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
