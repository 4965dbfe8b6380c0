"""``seqebm decode`` and ``seqebm score`` with a model of word strings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer
from toy import TINY
from typer.testing import CliRunner

from seqebm.cli.decode import decode_command
from seqebm.cli.score import score_command
from seqebm.data import DataDir, read_text, write_data_dir
from seqebm.errors import ConfigError
from seqebm.graphs import read_symbols
from seqebm.graphs import read_text as read_graph
from seqebm.models.config import parse_config
from seqebm.training import train

app = typer.Typer()
app.command("decode")(decode_command)
app.command("score")(score_command)


def run(*arguments, environment=None):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def good(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


@pytest.fixture(scope="module")
def decoded(phrases, tmp_path_factory):
    directory = tmp_path_factory.mktemp("decoded")
    good(
        "decode", "--model", phrases / "exp", "--data", phrases / "test", "--output", directory,
        "--nbest", 3, "--lattice", "--lattice-beam", 30, "--ctm",
    )  # fmt: skip
    return directory


def test_score_takes_what_decode_writes(phrases, decoded, tmp_path):
    references = read_text(decoded / "ref.txt")
    assert references == {u.id: u.text for u in DataDir.load(phrases / "test")}
    assert set(read_text(decoded / "hyp.txt")) == set(references)
    picture = tmp_path / "confusion.png"
    result = good("score", decoded, "--json", "-", "--confusion", picture)
    score = json.loads(result.stdout)
    assert score["words"]["total"] == sum(len(t.split()) for t in references.values()) > 6
    assert score["wer"] <= 0.2, "the toy task is learned"
    assert score["speakers"].keys() == {"test0", "test1"} and picture.exists()


def test_files_agree_with_one_another(decoded):
    hypotheses = read_text(decoded / "hyp.txt")
    rows = [json.loads(line) for line in (decoded / "answers.jsonl").read_text().splitlines()]
    assert {r["id"]: r["text"] for r in rows} == hypotheses
    ctm = [line.split() for line in (decoded / "words.ctm").read_text().splitlines()]
    nbest = [line.split() for line in (decoded / "nbest.txt").read_text().splitlines()]
    for row in rows:
        own = [fields for fields in ctm if fields[0] == row["id"]]
        assert [fields[4] for fields in own] == row["text"].split()
        end = 0.0
        for fields, word in zip(own, row["words"], strict=True):
            start, duration = float(fields[2]), float(fields[3])
            assert fields[1] == "1" and start >= end - 1e-6 and duration > 0
            assert start == pytest.approx(word["start"], abs=1e-3)
            end = start + duration
            assert end == pytest.approx(word["end"], abs=2e-3)
            assert float(fields[5]) == pytest.approx(word["confidence"], abs=1e-4)
        assert end <= row["duration"] + 1e-6
        others = [fields for fields in nbest if fields[0].rsplit("-", 1)[0] == row["id"]]
        assert [" ".join(f[2:]) for f in others] == [a["text"] for a in row["alternatives"]]
        assert " ".join(others[0][2:]) == row["text"] and 1 <= len(others) <= 3
    tables = [read_symbols(decoded / "lattices" / f"{n}.txt") for n in ("classes", "words")]
    for name in hypotheses:
        assert read_graph(decoded / "lattices" / f"{name}.fst.txt", *tables).arcs


def test_files_and_pictures(phrases, tmp_path):
    wav = phrases / "wav" / "test-00.wav"
    picture = tmp_path / "p.png"
    result = good("decode", "--model", phrases / "exp", wav, "--nbest", 2, "--plot", picture)
    assert "confidence" in result.stdout and "2." in result.stdout and picture.exists()
    result = good("decode", "--model", phrases / "exp", wav, "--json")
    row = json.loads(result.stdout)
    assert set(row) == {"id", "text", "energy", "confidence", "words", "duration", "beam"}
    assert 0 < row["confidence"] <= 1
    plain = json.loads(
        good("decode", "--model", phrases / "exp", wav, "--json", "--no-confidence").stdout
    )
    assert plain["confidence"] is None and plain["text"] == row["text"]
    result = good("decode", "--model", phrases / "exp", wav, "--ctm")
    assert [line.split()[4] for line in result.stdout.splitlines()] == row["text"].split()


def test_beam_scale_and_penalty_reach_the_search(phrases):
    wav = phrases / "wav" / "test-01.wav"
    row = json.loads(
        good("decode", "--model", phrases / "exp", wav, "--json", "--word-penalty", 1000).stdout
    )
    assert row["text"] == ""
    row = json.loads(
        good(
            "decode", "--model", phrases / "exp", wav, "--json", "--beam", 100, "--widen",
            "--lm-scale", 0, "--max-active", 50,
        ).stdout
    )  # fmt: skip
    assert row["beam"] == 100


def test_words_that_the_model_does_not_know(phrases, tmp_path):
    first = next(iter(DataDir.load(phrases / "test")))
    strange = type(first)(first.id, first.path.resolve(), "up sideways up sideways", "s")
    write_data_dir(tmp_path / "data", [strange])
    result = good(
        "decode", "--model", phrases / "exp", "--data", tmp_path / "data",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert "2 words of the references" in result.stderr
    assert "1 distinct words ('sideways')" in result.stderr


def test_a_bad_file_does_not_cost_the_others(phrases, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    wav = phrases / "wav" / "test-02.wav"
    result = run("decode", "--model", phrases / "exp", tmp_path / "bad.wav", wav)
    assert result.exit_code == 1
    assert "bad.wav" in result.stderr and "test-02.wav" in result.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--lattice"], "--lattice needs --output"),
        (["--ctm", "--json"], "both print"),
        (["--beam", "-1"], r"inference.beam: .*greater than 0 \(got -1.0"),
        (["--lattice-beam", "0"], r"inference.lattice_beam: .*greater than 0"),
        (["--word-penalty", "nan"], r"inference.word_penalty: .*finite.*nan"),
        (["--lm-scale", "inf"], r"inference.lm_scale: .*finite.*inf"),
    ],
)
def test_usage(phrases, options, words):
    wav = phrases / "wav" / "test-00.wav"
    failure = run("decode", "--model", phrases / "exp", wav, *options).exception
    assert isinstance(failure, ConfigError) and re.search(words, str(failure))


def test_options_of_word_strings_with_isolated_words(tones, tmp_path):
    exp = tmp_path / "exp"
    settings = {**TINY, "training": {**TINY["training"], "epochs": 0}}
    train(parse_config(settings), tones / "train", exp)
    wav = next((tones / "wav").glob("test-*"))
    for options in (["--nbest", "2"], ["--lm-scale", "0"], ["--widen"], ["--no-confidence"]):
        failure = run("decode", "--model", exp, wav, *options).exception
        assert isinstance(failure, ConfigError)
        name = options[0].replace("no-", "")
        assert name in str(failure) and "isolated words" in str(failure)
    assert Path(wav).name in good("decode", "--model", exp, wav).stdout
