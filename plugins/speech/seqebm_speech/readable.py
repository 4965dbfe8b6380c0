"""Whether the audio of a corpus can be read at all."""

from __future__ import annotations

from seqebm.hooks import DataError, Utterance
from seqebm_speech.audio import AudioReader


def is_readable(utterance: Utterance) -> str | None:
    """Why the audio of an utterance cannot be read; None if it can."""
    reader = AudioReader()
    try:
        reader.read(utterance.path, reader.file_rate(utterance.path))
    except DataError as error:
        return str(error)
    return None
