"""The dense linear chain; ``ops`` is what the rest of seqebm calls."""
