"""What seqebm-speech registers. Import strings only: listing plugins does not import torch."""

from __future__ import annotations

from seqebm import hookimpl


@hookimpl
def seqebm_register_readers(register):
    """Register the reader ``audio``."""
    register("audio", "seqebm_speech.audio:AudioReader", "seqebm_speech.options:AudioOptions")


@hookimpl
def seqebm_register_frontends(register):
    """Register the front-ends ``logmel`` and ``mfcc``."""
    register("logmel", "seqebm_speech.frontend:LogMel", "seqebm_speech.options:LogMelOptions")
    register("mfcc", "seqebm_speech.frontend:MFCC", "seqebm_speech.options:MFCCOptions")


@hookimpl
def seqebm_register_preparers(register):
    """Register the corpora ``fsdd`` and ``synthetic_digits``."""
    register("fsdd", "seqebm_speech.corpora:fsdd", "seqebm_speech.options:FSDDOptions")
    register(
        "synthetic_digits",
        "seqebm_speech.synthetic:synthetic_digits",
        "seqebm_speech.options:SyntheticDigitsOptions",
    )
