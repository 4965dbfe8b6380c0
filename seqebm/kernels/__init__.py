"""Numbers only: warping of sequences onto templates. See docs/kernels.md.

``patterns`` needs neither torch nor numba; ``ops`` is what the rest of seqebm calls.
"""
