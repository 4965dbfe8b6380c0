"""A lattice for seqebm."""
