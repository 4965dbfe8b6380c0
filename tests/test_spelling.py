"""Words that look alike but are different strings."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from seqebm.spelling import alike, forms, nearest, plain, seen

COMPOSED, DECOMPOSED = "café", "cafe\u0301"


def test_plain():
    assert plain(DECOMPOSED) == COMPOSED
    assert plain("New\u00a0York\u200b") == "New York"
    assert plain("ascii") == "ascii"
    assert plain("می\u200cخواهم") == "می\u200cخواهم", "a joiner is part of the word"


@given(st.text(max_size=8))
def test_plain_is_idempotent_and_forms_hold_the_text(text):
    assert plain(plain(text)) == plain(text)
    assert forms(text)[0] == text
    assert {unicodedata.normalize("NFC", form) for form in forms(text)} == {
        unicodedata.normalize("NFC", text)
    }


def test_seen():
    assert seen(DECOMPOSED) == f"{DECOMPOSED!r} (U+0065 U+0301)"
    assert seen("a\u00a0b") == "'a\\xa0b' (U+00A0)"
    assert seen("plain") == "'plain'"


def test_a_twin_is_told_rather_than_the_nearest():
    assert "only looks like 'café' (U+00E9)" in nearest(DECOMPOSED, [COMPOSED, "cafes"])
    assert nearest("cafs", ["cafes"]) == " Did you mean 'cafes'?"
    assert alike(["x", DECOMPOSED], ["y", COMPOSED]).startswith(f" {DECOMPOSED!r}")
    assert alike(["x"], ["y"]) == "" == alike([COMPOSED], [COMPOSED])
