"""Text files of sclite's that are easily taken for Kaldi's."""

from __future__ import annotations

import pytest

from seqebm.data.foreign import kind_of, read_transcripts, read_trn
from seqebm.errors import DataError

TRN = ["one two (spk-001)", "(spk-002)", "<sil> three (spk-003)"]
CTM = ["call A 0.00 0.31 one 0.99", "call A 0.40 0.12 two 0.98"]
STM = ["call A spk 0.00 1.31 <o,f0> one two", "call A spk 1.40 2.12 three"]
KALDI = ["spk-001 one two", "spk-002", "spk-003 three"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (TRN, "trn"),
        ([";; made by x", "", *TRN], "trn"),
        (CTM, "ctm"),
        ([";; a comment", *STM], "stm"),
        (KALDI, ""),
        ([], ""),
        (["u1 one (noise)", "u2 two (noise)", "u3 (noise)"], ""),
        (["u1 it is 0.5 0.7 or so", "u2 no numbers at all here"], ""),
        (["u1 (laughs) one", "u2 two"], ""),
        (["words (utt-1)"], "trn"),
    ],
)
def test_kinds(content, kind):
    found = kind_of(content)
    assert (kind in found) if kind else not found


def test_trn():
    words = {"spk-001": "one two", "spk-002": "", "spk-003": "<sil> three"}
    assert read_trn([";; c", *TRN], "x.trn") == words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (["one (a)", "two"], r"x:2: has no '\(utterance\)' at its end"),
        (["one (a)", "two (a)"], "x:2: a is listed twice"),
        (["{ one / won } two (a)"], "x:1: has alternatives"),
    ],
)
def test_what_trn_does_not_hold(content, message):
    with pytest.raises(DataError, match=message):
        read_trn(content, "x")


def test_transcripts_of_either_form(tmp_path):
    path = tmp_path / "t"
    path.write_text("\n".join(TRN))
    from_trn = read_transcripts(path)
    path.write_text("spk-001 one  two\nspk-002\nspk-003 <sil> three\n")
    assert read_transcripts(path) == from_trn
    path.write_text("\n".join(CTM))
    with pytest.raises(DataError, match=r"hypotheses .*/t is a ctm file.*write lines"):
        read_transcripts(path, "hypotheses")
    with pytest.raises(DataError, match="does not exist"):
        read_transcripts(tmp_path / "no")
