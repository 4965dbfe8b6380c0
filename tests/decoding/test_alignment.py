"""Forced alignment: the best path of a transcript, its times, its errors; CTM and lattice files."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
import torch
from asking import clamped
from phrases import PHRASES, write_phrases

from seqebm.data import DataDir
from seqebm.decoding.alignment import align_utterances
from seqebm.decoding.batches import read_example
from seqebm.decoding.decoder import recognise_utterances
from seqebm.decoding.output import (
    ctm_lines,
    write_lattice,
    write_nbest,
    write_symbol_tables,
)
from seqebm.decoding.results import Transcription
from seqebm.errors import ConfigError, DataError, InfeasibleError, SeqebmError
from seqebm.graphs import Symbols, read_symbols, read_text
from seqebm.inference.energies import Energies
from seqebm.inference.found import Segment
from seqebm.models import Recognizer
from seqebm.models.config import parse_config
from seqebm.pictures.transcription import plot_transcription


@pytest.fixture(scope="module")
def phrases(tmp_path_factory):
    return write_phrases(tmp_path_factory.mktemp("phrases"))


@pytest.fixture(scope="module")
def utterances(phrases):
    return list(DataDir.load(phrases / "test"))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = Recognizer(parse_config(PHRASES), ("down", "flat", "up")).eval()
    with torch.no_grad():
        for parameter in model.lattice.parameters():
            parameter.normal_()
    return model


def test_alignment_is_the_best_path_of_the_transcript(model, utterances):
    alignments = list(align_utterances(model, utterances, batch_size=4))
    assert [a.id for a in alignments] == [u.id for u in utterances]
    for utterance, found in zip(utterances, alignments, strict=True):
        assert found.text == utterance.text == " ".join(w.label for w in found.words)
        example = read_example(model, utterance)
        lengths = torch.tensor([len(example.signal)])
        with torch.no_grad():
            features, counts = model.extract(example.signal[None], lengths)
            own = clamped(model.lattice, features, counts, [found.text])
            least = own.free_energy(math.inf)
        assert found.energy == pytest.approx(float(least[0]), rel=1e-4)
        assert found.frames == int(counts[0])
        for row in (found.units, found.states):
            assert [s.first for s in row] == [0, *(s.stop for s in row[:-1])]
            assert row[-1].stop == found.frames
        spoken = [(u.label, u.first, u.stop) for u in found.units if u.label != "<sil>"]
        assert spoken == [(w.label, w.first, w.stop) for w in found.words]


def test_alignment_and_decoding_agree_on_the_answer(model, utterances):
    for answer in recognise_utterances(model, utterances, {"batch_size": 2}):
        utterance = next(u for u in utterances if u.id == answer.id)
        if not answer.text:
            continue
        as_said = SimpleNamespace(**{**vars(utterance), "text": answer.text})
        (found,) = align_utterances(model, [as_said])
        assert found.energy == pytest.approx(answer.energy, rel=1e-4)
        assert found.words == tuple(w._replace(confidence=None) for w in answer.words)


def test_words_outside_the_language_model_can_be_aligned(utterances, tmp_path):
    lm = tmp_path / "lm.arpa"
    lm.write_text("\\data\\\nngram 1=2\n\n\\1-grams:\n-1 </s>\n-1 up\n\n\\end\\\n")
    config = parse_config({**PHRASES, "lattice": {**PHRASES["lattice"], "lm": str(lm)}})
    model = Recognizer(config, ("down", "flat", "up")).eval()
    strange = SimpleNamespace(**{**vars(utterances[0]), "text": "up down"})
    (found,) = align_utterances(model, [strange])
    assert [w.label for w in found.words] == ["up", "down"]


def test_transcripts_that_do_not_fit(model, utterances):
    def said(text):
        return SimpleNamespace(**{**vars(utterances[0]), "text": text})

    long = " ".join(["up"] * 200)
    texts = ["up", None, "up dwon", long, "down"]
    results = list(align_utterances(model, [said(t) for t in texts], batch_size=8))
    kinds = [isinstance(r, SeqebmError) for r in results]
    assert kinds == [False, True, True, True, False]
    name = utterances[0].id
    assert isinstance(results[1], DataError) and f"{name}: has no transcript" in str(results[1])
    assert name in str(results[2]) and "'dwon'" in str(results[2]) and "'down'" in str(results[2])
    assert isinstance(results[3], InfeasibleError) and "400" in str(results[3])


def test_a_model_that_cannot_align():
    class Unaligned(Energies):
        items = 1

        def free_energy(self, beta):
            return torch.zeros(1)

        def clamped(self, targets):
            return self

        def best(self, n=1, beta=math.inf):
            return [[]]

    with pytest.raises(ConfigError, match="cannot align"):
        Unaligned().align([0], ["u"], 0.01)


def test_unreadable_and_broken(model, utterances, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    bad = SimpleNamespace(**{**vars(utterances[0]), "id": "bad", "path": tmp_path / "bad.wav"})
    results = list(recognise_utterances(model, [utterances[0], bad, utterances[1]]))
    assert [isinstance(r, Transcription) for r in results] == [True, False, True]
    assert "bad.wav" in str(results[1])
    broken = Recognizer(parse_config(PHRASES), ("down", "flat", "up")).eval()
    with torch.no_grad():
        broken.lattice.linear.bias.fill_(math.nan)
    for results in (recognise_utterances(broken, utterances), align_utterances(broken, utterances)):
        assert all("training went wrong" in str(r) for r in results)


def test_batching_changes_nothing(model, utterances):
    one = list(recognise_utterances(model, utterances, {"batch_size": 1, "nbest": 2}))
    many = list(recognise_utterances(model, utterances, {"batch_size": 6, "nbest": 2}))
    for a, b in zip(one, many, strict=True):
        assert (a.id, a.text, a.frames) == (b.id, b.text, b.frames)
        assert a.energy == pytest.approx(b.energy, rel=1e-4)
        assert a.confidence == pytest.approx(b.confidence, abs=1e-3)
    assert model.lattice.words == ("down", "flat", "up")


def test_ctm():
    segments = [Segment("a", 0, 3, 0.25), Segment("b", 5, 6)]
    lines = ctm_lines("u1", segments, 0.03)
    assert lines == ["u1 1 0.000 0.090 a 0.2500", "u1 1 0.150 0.030 b"]


def test_lattices_and_alternatives_on_disk(model, utterances, tmp_path):
    search = {"nbest": 4, "lattice": True, "lattice_beam": 20.0}
    answers = list(recognise_utterances(model, utterances[:2], search))
    graphs = model.lattice.graphs
    classes = Symbols(graphs.classes)
    for answer in answers:
        write_lattice(tmp_path, answer, classes)
        assert "lattice" not in json.dumps(answer.as_dict())
    write_symbol_tables(tmp_path, classes, graphs.words)
    names = [tmp_path / f"{name}.txt" for name in ("classes", "words")]
    tables = [read_symbols(name) for name in names]
    graph = read_text(tmp_path / f"{answers[0].id}.fst.txt", *tables)
    original = answers[0].lattice.graph
    assert graph.arcs >= original.arcs and len(graph.finals) == len(original.finals)
    write_nbest(tmp_path / "nbest.txt", answers)
    rows = [line.split() for line in (tmp_path / "nbest.txt").read_text().splitlines()]
    assert [r[0] for r in rows[:4]] == [f"{answers[0].id}-{k}" for k in range(1, 5)]
    assert float(rows[0][1]) == pytest.approx(answers[0].energy, rel=1e-4)
    assert " ".join(rows[0][2:]) == answers[0].text


def test_picture(model, utterances, tmp_path):
    (answer,) = recognise_utterances(model, utterances[:1])
    plot_transcription(model, read_example(model, utterances[0]), answer, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
