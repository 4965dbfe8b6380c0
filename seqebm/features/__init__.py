"""Modality-free feature extractors: frames in, features out."""
