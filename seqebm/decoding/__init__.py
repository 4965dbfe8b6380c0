"""Signals in, answers out: files, data directories, alignment, output formats."""
