"""Benchmarks of the kernels against other packages: ``python -m tools.bench``."""
