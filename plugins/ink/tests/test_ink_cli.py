"""Ink on the command line: train, decode files of every format, times, pictures, bad files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seqebm.cli.app import app
from seqebm.data import DataDir

CONFIG = """
frontend: {name: pen, normalisation: lines, step: 0.25, delayed: hat, context: 5, cell: 0.3}
features: {name: tdnn, channels: 48, kernels: [5, 3, 3], strides: [2, 1, 2]}
lattice: {name: hmm, tokens: characters, states: 2, skip: 1, silence_states: 0}
loss: nll
training: {epochs: 6, batch_size: 16, learning_rate: 0.01, threads: 1}
"""


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def good(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    """A corpus of few words and a model of it."""
    pytest.importorskip("HersheyFonts", reason="needs seqebm-ink[synthesis]")
    directory = tmp_path_factory.mktemp("words")
    settings = ["what=words", "words=8", "train_writers=8", "test_writers=2", "repetitions=3"]
    options = [argument for s in [*settings, "new_words=0"] for argument in ("--set", s)]
    good("data", "prepare", "synthetic_ink", directory / "data", *options)
    (directory / "conf.yaml").write_text(CONFIG)
    good("train", directory / "conf.yaml", "--data", directory / "data/train", "--exp",
         directory / "exp")  # fmt: skip
    return directory


def files(directory: Path, to: Path) -> None:
    """One ink in every format: a.json, a.inkml, a.dat."""
    source = sorted((directory / "data/samples").glob("*.json"))[0]
    strokes = json.loads(source.read_text())
    rows = [
        stroke["points"] if isinstance(stroke, dict) else stroke for stroke in strokes["strokes"]
    ]
    (to / "a.json").write_text(source.read_text())
    traces = "".join(
        f"<trace>{', '.join(f'{p[0]} {-p[1]}' for p in stroke)}</trace>" for stroke in rows
    )
    up = strokes.get("y_axis") == "up"
    assert up, "the samples say where y grows to"
    (to / "a.inkml").write_text(f'<ink xmlns="http://www.w3.org/2003/InkML">{traces}</ink>')
    pen = "".join(
        ".PEN_DOWN\n" + "".join(f" {p[0]} {p[1]}\n" for p in stroke) + ".PEN_UP\n"
        for stroke in rows
    )
    (to / "a.dat").write_text(f".VERSION 1.0\n.COORD X Y\n.POINTS_PER_SECOND 100\n{pen}")


def test_every_format_gives_the_same_answer_with_times_and_a_picture(words, tmp_path):
    files(words, tmp_path)
    paths = [tmp_path / f"a.{suffix}" for suffix in ("json", "inkml", "dat")]
    answers = []
    for path in paths:
        picture = tmp_path / f"{path.suffix[1:]}.png"
        result = good("decode", "--model", words / "exp", path, "--json", "--plot", picture)
        answers.append(json.loads(result.stdout))
        assert picture.stat().st_size > 5_000
    assert {answer["text"] for answer in answers} == {answers[0]["text"]}
    first = answers[0]
    assert "".join(part["label"] for part in first["words"]) == first["text"]
    starts = [part["start"] for part in first["words"]]
    assert starts == sorted(starts) and first["words"][-1]["end"] <= first["duration"] + 1e-6


def test_a_corpus_is_decoded_aligned_and_scored(words, tmp_path):
    test = words / "data/test"
    good("decode", "--model", words / "exp", "--data", test, "--output", tmp_path / "free")
    listed = tmp_path / "lexicon"
    listed.write_text("\n".join(sorted({u.text or "" for u in DataDir.load(test).utterances})))
    good("decode", "--model", words / "exp", "--data", test, "--output", tmp_path / "lex",
         "--lexicon", listed)  # fmt: skip
    rates = {}
    for name in ("free", "lex"):
        good("score", tmp_path / name, "--json", tmp_path / f"{name}.json")
        rates[name] = json.loads((tmp_path / f"{name}.json").read_text())["wer"]
    assert rates["lex"] <= rates["free"] and rates["lex"] < 0.3, rates
    good("align", "--model", words / "exp", "--data", test, "--output", tmp_path / "align")
    rows = [line.split() for line in (tmp_path / "align/words.ctm").read_text().splitlines()]
    by_id = {u.id: u.text for u in DataDir.load(test).utterances}
    for name, text in by_id.items():
        assert "".join(row[4] for row in rows if row[0] == name) == text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.json", '{"strokes": []}', "empty.json"),
        ("nan.json", '{"strokes": [[[1, NaN], [2, 3]]]}', "nan.json"),
        (
            "bomb.inkml",
            '<!DOCTYPE ink [<!ENTITY a "b">]><ink><trace>&a;</trace></ink>',
            "bomb.inkml",
        ),
        ("nothing.dat", "hello", "nothing.dat"),
    ],
)
def test_bad_ink_is_one_message_and_the_others_are_decoded(words, tmp_path, name, content, message):
    files(words, tmp_path)
    (tmp_path / name).write_text(content)
    result = run("decode", "--model", words / "exp", tmp_path / name, tmp_path / "a.json", "--json")
    assert result.exit_code == 1 and message in result.output, result.output
    assert "Traceback" not in result.output
    assert [json.loads(line)["id"] for line in result.output.splitlines() if line[0] == "{"]


def test_a_word_with_a_character_that_the_model_has_never_seen(words, tmp_path, caplog):
    (tmp_path / "lexicon").write_text("cat\nna\u00efve\n")
    files(words, tmp_path)
    ink, lexicon = tmp_path / "a.json", tmp_path / "lexicon"
    result = good("decode", "--model", words / "exp", ink, "--lexicon", lexicon, "--json")
    assert json.loads(result.stdout)["text"] == "cat"
    assert "1 of 2 strings are left out" in caplog.text and "na\u00efve" in caplog.text
    lexicon.write_text("na\u00efve\n")
    result = run("decode", "--model", words / "exp", ink, "--lexicon", lexicon)
    assert result.exit_code == 1 and "na\u00efve" in repr(result.exception) + result.output
