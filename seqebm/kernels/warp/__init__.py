"""Elastic matching (dynamic time warping); ``ops`` is what the rest of seqebm calls."""
