"""Plugins: the hook specifications, the plugin manager and the component registry.

This package imports nothing else of seqebm than its errors.
"""

from seqebm.hooks.hookspecs import hookimpl, hookspec
from seqebm.hooks.manager import PluginHost, get_host
from seqebm.hooks.protocols import (
    Answers,
    FeatureExtractor,
    FrontEnd,
    Lattice,
    Loss,
    Reader,
    Request,
    Terms,
)
from seqebm.hooks.registry import Component, Options
from seqebm.hooks.textfile import TextFile

__all__ = [
    "Answers",
    "Component",
    "FeatureExtractor",
    "FrontEnd",
    "Lattice",
    "Loss",
    "Options",
    "PluginHost",
    "Reader",
    "Request",
    "Terms",
    "TextFile",
    "get_host",
    "hookimpl",
    "hookspec",
]
