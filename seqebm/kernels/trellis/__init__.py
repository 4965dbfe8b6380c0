"""A graph that meets emissions frame by frame; ``ops`` is what the rest of seqebm calls."""
