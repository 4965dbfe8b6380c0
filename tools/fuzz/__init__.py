"""Fuzzers: damaged files go into everything that reads one; nothing but our own errors comes out.

``python -m tools.fuzz --help``; docs/robustness.md has the counts.
"""
