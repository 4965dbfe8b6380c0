"""What seqebm-ink registers. Import strings only: listing plugins does not import torch."""

from __future__ import annotations

from seqebm.hooks import hookimpl


@hookimpl
def seqebm_register_readers(register):
    """Register the reader ``ink``."""
    register("ink", "seqebm_ink.reader:InkReader", "seqebm_ink.options:InkReaderOptions")


@hookimpl
def seqebm_register_frontends(register):
    """Register the front-ends ``pen`` and ``amap``."""
    register("pen", "seqebm_ink.pen:Pen", "seqebm_ink.options:PenOptions")
    register("amap", "seqebm_ink.amap:AnnotatedImage", "seqebm_ink.options:AnnotatedImageOptions")


@hookimpl
def seqebm_register_preparers(register):
    """Register the corpora ``unipen``, ``pendigits`` and ``synthetic_ink``."""
    register("unipen", "seqebm_ink.unipen_corpus:unipen", "seqebm_ink.options:UnipenOptions")
    register("pendigits", "seqebm_ink.pendigits:pendigits", "seqebm_ink.options:PendigitsOptions")
    register(
        "synthetic_ink",
        "seqebm_ink.synthetic:synthetic_ink",
        "seqebm_ink.options:SyntheticInkOptions",
    )
