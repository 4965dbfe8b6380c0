"""Lattices: a graph or a set of templates meeting a batch of features."""
