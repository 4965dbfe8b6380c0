"""Topology: graphs, their algebra with arc maps, hierarchy, builders, text and pictures."""

from seqebm.graphs.builders import (
    bakis,
    bigram_loop,
    character_graph,
    ctc,
    ctc_linear,
    linear,
    scaled,
    word_loop,
)
from seqebm.graphs.draw import dot, plot
from seqebm.graphs.edit import edit_cost
from seqebm.graphs.epsilon import remove_epsilon
from seqebm.graphs.graph import Derived, Graph
from seqebm.graphs.hierarchy import replace
from seqebm.graphs.lexicon import Lexicon, lexicon_graph, word_graph
from seqebm.graphs.ngram import Arpa, ngram, read_arpa
from seqebm.graphs.paths import Path, enumerate_paths, path_energy
from seqebm.graphs.product import complement, compose, difference, intersect
from seqebm.graphs.symbols import EPSILON, Symbols
from seqebm.graphs.text import read_symbols, read_text, write_symbols, write_text
from seqebm.graphs.trim import (
    arc_sort,
    connect,
    epsilon_order,
    strongly_connected,
    topological_order,
    topological_sort,
)

__all__ = [
    "EPSILON",
    "Arpa",
    "Derived",
    "Graph",
    "Lexicon",
    "Path",
    "Symbols",
    "arc_sort",
    "bakis",
    "bigram_loop",
    "character_graph",
    "complement",
    "compose",
    "connect",
    "ctc",
    "ctc_linear",
    "difference",
    "dot",
    "edit_cost",
    "enumerate_paths",
    "epsilon_order",
    "intersect",
    "lexicon_graph",
    "linear",
    "ngram",
    "path_energy",
    "plot",
    "read_arpa",
    "read_symbols",
    "read_text",
    "remove_epsilon",
    "replace",
    "scaled",
    "strongly_connected",
    "topological_order",
    "topological_sort",
    "word_graph",
    "word_loop",
    "write_symbols",
    "write_text",
]
