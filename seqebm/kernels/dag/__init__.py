"""Explicit acyclic graphs; ``ops`` is what the rest of seqebm calls."""
