"""A features for seqebm."""
