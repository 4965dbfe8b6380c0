"""Pronunciation dictionaries of others: probabilities, comments and marks are not phones."""

import logging
import math

import pytest

from seqebm.errors import DataError
from seqebm.graphs import Lexicon
from seqebm.graphs.dictionary import read_pronunciations


def test_lexiconp_gives_energies():
    lexicon = Lexicon.from_text("one 1.0 W AH N\nthe 0.25 DH AH\nthe 0.75 DH IY\n")
    assert lexicon.phones == ["AH", "DH", "IY", "N", "W"]
    assert lexicon.energies("the") == pytest.approx([-math.log(0.25), -math.log(0.75)])
    assert lexicon.restricted(["the"]).energies("the") == lexicon.energies("the")
    assert lexicon.energies("one") == [0.0]


def test_mfa_has_four_numbers_of_which_the_first_counts(caplog):
    text = "the\t0.5\t0.1\t1.2\t0.9\td ə\nthe\t1.0\t0.1\t1.2\t0.9\td i\n"
    with caplog.at_level(logging.WARNING):
        lexicon = Lexicon.from_text(text, "english.dict")
    assert lexicon.pronunciations("the") == [("d", "ə"), ("d", "i")]
    assert lexicon.energies("the") == pytest.approx([math.log(2), 0.0])
    assert "english.dict: has four numbers a pronunciation" in caplog.text


def test_a_unit_may_be_a_whole_number():
    assert Lexicon.from_text("twelve 1 2\n1.5 1 5\n").pronunciations("1.5") == [("1", "5")]


def test_comments_and_disambiguation_symbols_are_no_phones(caplog):
    text = "aalborg AO1 L B # place, danish\nsent S EH N T #1\ncent S EH N T #2\n# all\n"
    with caplog.at_level(logging.WARNING):
        lexicon = Lexicon.from_text(text, "x.dict")
    assert lexicon.pronunciations("aalborg") == [("AO1", "L", "B")]
    assert lexicon.pronunciations("cent") == [("S", "EH", "N", "T")]
    assert lexicon.words == ["aalborg", "cent", "sent"]
    assert "x.dict: 1 lines have a comment after #" in caplog.text
    assert "x.dict: 2 lines end in a disambiguation symbol" in caplog.text


def test_the_mark_alone_is_a_unit():
    """Spelled lexica may have '#' among their characters."""
    assert Lexicon.from_text("a# a #\n").pronunciations("a#") == [("a", "#")]
    assert Lexicon.from_text("b # b\n", comment="").pronunciations("b") == [("#", "b")]


def test_blanks_beyond_ascii_are_part_of_words():
    table = read_pronunciations("New\u00a0York N UW\n", "x")
    assert list(table) == ["New\u00a0York"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a 1.0 A\nb B\n",
            r"x:2: word 'b' has no numbers before its phones, but on line 1 there are 1",
        ),
        ("a 1.0 0.5 A\n", r"x:1: word 'a' has 2 numbers before its phones; known are one"),
        ("a 0.0 A\n", r"x:1: word 'a' has the probability '0.0'; it must be above 0"),
        ("a 1.5 A\n", r"x:1: word 'a' has the probability '1.5'"),
        ("a 1.0\n", r"x:1: word 'a' has no phones"),
        ("a\n", r"x:1: word 'a' has no phones"),
        ("", r"x: has no words"),
    ],
)
def test_what_is_wrong_is_named(text, message):
    with pytest.raises(DataError, match=message):
        Lexicon.from_text(text, "x")


def test_look_alikes_are_told():
    with pytest.raises(DataError, match=r"only looks like 'café'"):
        Lexicon.from_text("café K A F E\n").pronunciations("cafe\u0301")
