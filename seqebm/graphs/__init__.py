"""Topology: graphs, their algebra with arc maps, hierarchy, builders, text and pictures."""

from seqebm.graphs.graph import Derived, Graph
from seqebm.graphs.symbols import EPSILON, Symbols

__all__ = ["EPSILON", "Derived", "Graph", "Symbols"]
