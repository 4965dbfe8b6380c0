"""A loss for seqebm."""
