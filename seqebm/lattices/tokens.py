"""What a transcript is a string of: words between blanks, or characters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from seqebm.text import fields, lines, spaced

Tokens = Literal["words", "characters"]
SPACE = "<space>"  # the blank, as a character


def split(text: str, tokens: Tokens) -> list[str]:
    """The tokens of a transcript.

    Words are what stands between blanks. As characters every blank counts, so that joining gives
    the same text again; data directories hold transcripts with single blanks.
    """
    if tokens == "words":
        return fields(text)
    return [SPACE if character == " " else character for character in text]


def listed(text: str) -> list[str]:
    """The transcripts of a file that holds one a line: single blanks, no empty ones."""
    return [transcript for line in lines(text) if (transcript := spaced(line))]


def join(tokens: Iterable[str], kind: Tokens) -> str:
    """The transcript of tokens."""
    if kind == "words":
        return " ".join(tokens)
    return "".join(" " if token == SPACE else token for token in tokens)
