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
from seqebm.graphs.determinise import bind, determinise
from seqebm.graphs.draw import dot, plot
from seqebm.graphs.edit import edit_cost, hamming_cost
from seqebm.graphs.epsilon import remove_epsilon
from seqebm.graphs.factor_graph import FactorGraph
from seqebm.graphs.graph import Derived, Graph
from seqebm.graphs.hierarchy import replace
from seqebm.graphs.lexicon import Lexicon, lexicon_graph, word_graph
from seqebm.graphs.nbest import n_best
from seqebm.graphs.ngram import Arpa, ngram, read_arpa
from seqebm.graphs.ngram_counts import arpa_text, estimate_ngram
from seqebm.graphs.paths import Path, enumerate_paths, path_energy
from seqebm.graphs.product import complement, compose, difference, intersect
from seqebm.graphs.rational import closure, concat, project, reverse, union
from seqebm.graphs.sampling import equivalent, random_paths
from seqebm.graphs.symbols import EPSILON, Symbols
from seqebm.graphs.text import read_symbols, read_text, write_symbols, write_text
from seqebm.graphs.totals import posteriors, prune, shortest_path, total_energy
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
    "FactorGraph",
    "Graph",
    "Lexicon",
    "Path",
    "Symbols",
    "arc_sort",
    "arpa_text",
    "bakis",
    "bigram_loop",
    "bind",
    "character_graph",
    "closure",
    "complement",
    "compose",
    "concat",
    "connect",
    "ctc",
    "ctc_linear",
    "determinise",
    "difference",
    "dot",
    "edit_cost",
    "enumerate_paths",
    "epsilon_order",
    "equivalent",
    "estimate_ngram",
    "hamming_cost",
    "intersect",
    "lexicon_graph",
    "linear",
    "n_best",
    "ngram",
    "path_energy",
    "plot",
    "posteriors",
    "project",
    "prune",
    "random_paths",
    "read_arpa",
    "read_symbols",
    "read_text",
    "remove_epsilon",
    "replace",
    "reverse",
    "scaled",
    "shortest_path",
    "strongly_connected",
    "topological_order",
    "topological_sort",
    "total_energy",
    "union",
    "word_graph",
    "word_loop",
    "write_symbols",
    "write_text",
]
