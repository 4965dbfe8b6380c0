"""Words that look alike but are different strings, so that no comparison finds them equal.

``é`` is one code point (composed, Unicode's NFC) or two (decomposed, NFD: names of files on a Mac,
text out of a PDF), U+00A0 looks like a blank, and U+200B like nothing at all. Nothing is changed
in silence: messages say what normalisation would change, and ``seqebm data validate --fix`` does
it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from seqebm.errors import did_you_mean

_BLANK = re.compile("[\u00a0\u2007\u202f]")  # no-break blanks
_INVISIBLE = re.compile("[\u200b\u2060\ufeff]")  # zero width; joiners (U+200C, U+200D) are letters


def plain(text: str) -> str:
    """The text in NFC, with a blank for U+00A0 and its like, and without zero-width characters."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", _BLANK.sub(" ", text)))


def forms(text: str) -> tuple[str, ...]:
    """A text as it is, composed and decomposed: what the name of a file may be stored as."""
    if text.isascii():
        return (text,)
    both = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    return tuple(dict.fromkeys((text, *both)))


def seen(text: str) -> str:
    """A word with what tells it from its look-alikes: ``'é' (U+0065 U+0301)``."""
    points = " ".join(f"U+{ord(c):04X}" for c in text if not c.isascii() or _marked(text, c))
    return f"{text!r} ({points})" if points else repr(text)


def _marked(text: str, character: str) -> bool:
    """A letter that a combining mark follows."""
    at = text.index(character) + 1
    return at < len(text) and unicodedata.combining(text[at]) > 0


def nearest(word: str, known: Iterable[str]) -> str:
    """For a word that is not among ``known``: its look-alike, or the one spelt most like it.

    Returns a sentence that begins with a blank, or an empty string.
    """
    known = list(known)
    return alike([word], known) or did_you_mean(word, known)


def alike(words: Iterable[str], known: Iterable[str]) -> str:
    """The first of ``words`` that is no known one but looks like it: a sentence as above."""
    known = set(known)
    twins = {plain(other): other for other in sorted(known)}
    for word in words:
        twin = twins.get(plain(word))
        if twin is not None and word not in known:
            return (
                f" {seen(word)} only looks like {seen(twin)}: write both in one way (NFC, no "
                "U+00A0, nothing of zero width)."
            )
    return ""
