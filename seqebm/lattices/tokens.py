"""What a transcript is a string of: words between blanks, or characters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Tokens = Literal["words", "characters"]
SPACE = "<space>"  # the blank, as a character


def split(text: str, tokens: Tokens) -> list[str]:
    """The tokens of a transcript; runs of blanks count as one, those at its ends not at all."""
    words = text.split()
    if tokens == "words":
        return words
    return [SPACE if character == " " else character for character in " ".join(words)]


def join(tokens: Iterable[str], kind: Tokens) -> str:
    """The transcript of tokens."""
    if kind == "words":
        return " ".join(tokens)
    return "".join(" " if token == SPACE else token for token in tokens)
