"""Inference: the set of all answers of a batch with their energies, and what is asked of it.

``energies`` says what every such set can be asked; ``choice``, ``trellis``, ``dag`` and
``labellings`` are the kinds that ship; ``search`` has the ways to ask that a config names.
"""
