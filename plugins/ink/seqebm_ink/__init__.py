"""Pen ink for seqebm."""
