"""Numbers only: warps, trellises, chains and acyclic graphs. See docs/kernels.md, docs/crf.md.

``ops``, ``ops_trellis``, ``ops_chain`` and ``ops_dag`` are what the rest of seqebm calls;
``patterns`` needs neither torch nor numba.
"""
