"""seqebm-speech: audio files, front-ends, augmentation and digit corpora for seqebm."""

__version__ = "0.1.0"
