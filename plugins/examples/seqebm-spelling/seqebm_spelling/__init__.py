"""A lattice of strings for seqebm."""
