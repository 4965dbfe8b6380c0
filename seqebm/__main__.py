"""``python -m seqebm`` is ``seqebm``."""

from seqebm.cli import main

main()
