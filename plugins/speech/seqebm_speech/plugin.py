"""What seqebm-speech registers. Import strings only: listing plugins does not import torch."""

from __future__ import annotations

from seqebm.hooks import hookimpl


@hookimpl
def seqebm_register_readers(register):
    """Register the readers ``audio`` and ``cepstra``."""
    register("audio", "seqebm_speech.audio:AudioReader", "seqebm_speech.options:AudioOptions")
    register(
        "cepstra",
        "seqebm_speech.cepstra_reader:CepstraReader",
        "seqebm_speech.options:CepstraReaderOptions",
    )


@hookimpl
def seqebm_register_frontends(register):
    """Register the front-ends ``logmel``, ``mfcc``, ``cepstra`` and ``encoder``."""
    register("logmel", "seqebm_speech.frontend:LogMel", "seqebm_speech.options:LogMelOptions")
    register("mfcc", "seqebm_speech.frontend:MFCC", "seqebm_speech.options:MFCCOptions")
    register(
        "cepstra",
        "seqebm_speech.cepstra:Cepstra",
        "seqebm_speech.cepstra_options:CepstraOptions",
    )
    register("encoder", "seqebm_speech.encoder:Encoder", "seqebm_speech.options:EncoderOptions")


@hookimpl
def seqebm_register_preparers(register):
    """Register the corpora, and ``troubles``, which spoils one."""
    register("an4", "seqebm_speech.an4:an4", "seqebm_speech.options:AN4Options")
    register("fsdd", "seqebm_speech.corpora:fsdd", "seqebm_speech.options:FSDDOptions")
    register(
        "dspspeech",
        "seqebm_speech.dspspeech:dspspeech",
        "seqebm_speech.options:DSPSpeechOptions",
    )
    register(
        "troubles",
        "seqebm_speech.troubles:troubles",
        "seqebm_speech.options:TroublesOptions",
    )
    register("yesno", "seqebm_speech.yesno:yesno", "seqebm_speech.options:YesNoOptions")
    register(
        "synthetic_digits",
        "seqebm_speech.synthetic:synthetic_digits",
        "seqebm_speech.options:SyntheticDigitsOptions",
    )
    register(
        "synthetic_words",
        "seqebm_speech.synthetic:synthetic_words",
        "seqebm_speech.options:SyntheticWordsOptions",
    )
