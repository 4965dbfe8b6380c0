"""Numbers only: warps, trellises, chains and acyclic graphs. See docs/kernels.md, docs/crf.md.

A room a family (``warp``, ``trellis``, ``chain``, ``dag``), each with the same doors, on
``machine``, which is all that they share:

``ops``
    what the rest of seqebm calls: differentiable, checked;
``operators``
    the registered torch operators;
``reference``
    the specification: slow, obvious, float64 NumPy;
``cpu``, ``cuda``
    the kernels, with their parts in ``cpu_*`` and ``cuda_*``.
"""
