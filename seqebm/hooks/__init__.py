"""Plugins: the hook specifications, the plugin manager, the registry, and the door for authors.

A plugin needs to import nothing else of the core: the bases of all components, and the types that
they speak of, have their names here. Those that need torch load on first use, so that listing
plugins stays fast. This package itself imports nothing of seqebm but its errors.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from seqebm.errors import (
    ConfigError,
    DataError,
    InfeasibleError,
    ModelError,
    PluginError,
    SeqebmError,
    UnsupportedError,
)
from seqebm.hooks.hookspecs import hookimpl, hookspec
from seqebm.hooks.manager import PluginHost, get_host
from seqebm.hooks.registry import Component, Options
from seqebm.hooks.textfile import TextFile, is_sealed

#: What the door hands on, and from where.
_HANDED_ON = {
    # bases of components
    "Reader": "seqebm.data.reader",
    "FrontEnd": "seqebm.features.base",
    "FeatureExtractor": "seqebm.features.base",
    "Lattice": "seqebm.lattices.base",
    "AnswerSet": "seqebm.lattices.answers",
    "Warp": "seqebm.lattices.answers",
    "Loss": "seqebm.losses.base",
    "Inference": "seqebm.inference.search",
    "Search": "seqebm.inference.search",
    # energies, and what they speak of
    "Energies": "seqebm.inference.energies",
    "Single": "seqebm.inference.energies",
    "Choice": "seqebm.inference.choice",
    "Continuum": "seqebm.inference.continuum",
    "Labellings": "seqebm.inference.labellings",
    "Strings": "seqebm.inference.strings",
    "Dag": "seqebm.inference.dag",
    "Trellis": "seqebm.inference.trellis",
    "prepare": "seqebm.inference.trellis",
    "together": "seqebm.inference.trellis",
    "Classes": "seqebm.inference.segments",
    "Terms": "seqebm.inference.terms",
    "Request": "seqebm.inference.terms",
    "Found": "seqebm.inference.found",
    "Scored": "seqebm.inference.found",
    "Aligned": "seqebm.inference.found",
    "Segment": "seqebm.inference.found",
    "Segments": "seqebm.inference.found",
    "free_energy": "seqebm.inference.free_energy",
    "Graph": "seqebm.graphs",
    "Symbols": "seqebm.graphs",
    # data, for preparers and readers
    "DataDir": "seqebm.data",
    "Utterance": "seqebm.data",
    "write_data_dir": "seqebm.data",
    "write_table": "seqebm.data",
    "download": "seqebm.data.archives",
    "some": "seqebm.data.archives",
    "unpack": "seqebm.data.archives",
    "read_bytes": "seqebm.text",
    "write_bytes": "seqebm.files",
    "write_text": "seqebm.files",
    "valid_frames": "seqebm.lengths",
}

__all__ = [
    "Aligned",
    "AnswerSet",
    "Choice",
    "Classes",
    "Component",
    "ConfigError",
    "Continuum",
    "Dag",
    "DataDir",
    "DataError",
    "Energies",
    "FeatureExtractor",
    "Found",
    "FrontEnd",
    "Graph",
    "InfeasibleError",
    "Inference",
    "Labellings",
    "Lattice",
    "Loss",
    "ModelError",
    "Options",
    "PluginError",
    "PluginHost",
    "Reader",
    "Request",
    "Scored",
    "Search",
    "Segment",
    "Segments",
    "SeqebmError",
    "Single",
    "Strings",
    "Symbols",
    "Terms",
    "TextFile",
    "Trellis",
    "UnsupportedError",
    "Utterance",
    "Warp",
    "download",
    "free_energy",
    "get_host",
    "hookimpl",
    "hookspec",
    "is_sealed",
    "prepare",
    "read_bytes",
    "some",
    "together",
    "unpack",
    "valid_frames",
    "write_bytes",
    "write_data_dir",
    "write_table",
    "write_text",
]

if TYPE_CHECKING:
    from seqebm.data import DataDir, Utterance, write_data_dir, write_table
    from seqebm.data.archives import download, some, unpack
    from seqebm.data.reader import Reader
    from seqebm.features.base import FeatureExtractor, FrontEnd
    from seqebm.files import write_bytes, write_text
    from seqebm.graphs import Graph, Symbols
    from seqebm.inference.choice import Choice
    from seqebm.inference.continuum import Continuum
    from seqebm.inference.dag import Dag
    from seqebm.inference.energies import Energies, Single
    from seqebm.inference.found import Aligned, Found, Scored, Segment, Segments
    from seqebm.inference.free_energy import free_energy
    from seqebm.inference.labellings import Labellings
    from seqebm.inference.search import Inference, Search
    from seqebm.inference.segments import Classes
    from seqebm.inference.strings import Strings
    from seqebm.inference.terms import Request, Terms
    from seqebm.inference.trellis import Trellis, prepare, together
    from seqebm.lattices.answers import AnswerSet, Warp
    from seqebm.lattices.base import Lattice
    from seqebm.lengths import valid_frames
    from seqebm.losses.base import Loss
    from seqebm.text import read_bytes


def __getattr__(name: str) -> Any:
    if name in _HANDED_ON:
        return getattr(importlib.import_module(_HANDED_ON[name]), name)
    raise AttributeError(f"module 'seqebm.hooks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
