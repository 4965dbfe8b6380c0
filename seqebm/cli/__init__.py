"""The ``seqebm`` program."""

from seqebm.cli.app import main

__all__ = ["main"]
