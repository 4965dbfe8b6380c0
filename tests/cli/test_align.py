"""``seqebm align``: files, data directories, transcripts that do not fit."""

from __future__ import annotations

import json

import pytest
import typer
from toy import TINY
from typer.testing import CliRunner

from seqebm.cli.align import align_command
from seqebm.data import DataDir, Utterance, write_data_dir
from seqebm.errors import ConfigError
from seqebm.models.config import parse_config
from seqebm.training import train

app = typer.Typer()
app.command()(align_command)


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def good(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def test_a_data_directory(phrases, tmp_path):
    result = good(
        "--model", phrases / "exp", "--data", phrases / "test", "--output", tmp_path, "--json"
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows == [json.loads(x) for x in (tmp_path / "align.jsonl").read_text().splitlines()]
    texts = {u.id: u.text for u in DataDir.load(phrases / "test")}
    assert {r["id"]: r["text"] for r in rows} == texts
    words = [line.split() for line in (tmp_path / "words.ctm").read_text().splitlines()]
    units = [line.split() for line in (tmp_path / "units.ctm").read_text().splitlines()]
    for row in rows:
        own = [w for w in words if w[0] == row["id"]]
        assert [w[4] for w in own] == row["text"].split() and len(own[0]) == 5
        spoken = [u for u in units if u[0] == row["id"]]
        assert [u[4] for u in spoken if u[4] != "<sil>"] == row["text"].split()
        total = sum(float(u[3]) for u in spoken)
        assert total == pytest.approx(row["duration"], abs=1e-3 * len(spoken))
        for word, listed in zip(own, row["words"], strict=True):
            assert float(word[2]) == pytest.approx(listed["start"], abs=1e-3)


def test_a_file(phrases):
    wav = phrases / "wav" / "test-00.wav"
    result = good("--model", phrases / "exp", wav, "--text", "  up   down ")
    heading, *lines = [line.split() for line in result.stdout.splitlines()]
    assert heading[0] == str(wav) and "energy" in heading
    assert lines[0] == ["word", "units", "start", "end", "duration"]
    assert [line[0] for line in lines[1:]] == ["up", "down"]


def test_transcripts_that_do_not_fit(phrases, tmp_path):
    path = (phrases / "wav" / "test-00.wav").resolve()
    texts = ["up", "up sideways", " ".join(["up"] * 400)]
    utterances = [Utterance(f"u{k}", path, text, "s") for k, text in enumerate(texts)]
    write_data_dir(tmp_path / "data", utterances)
    result = run(
        "--model", phrases / "exp", "--data", tmp_path / "data", "--output", tmp_path / "out"
    )
    assert result.exit_code == 1
    assert "1 of 3 alignments" in result.stderr
    assert "u1: " in result.stderr and "'sideways'" in result.stderr
    assert "u2: too short" in result.stderr and "800" in result.stderr
    assert (tmp_path / "out" / "words.ctm").read_text().startswith("u0 1 ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either FILES with --text, or --data"),
        (["a.wav"], "FILES need --text"),
        (["--data", "d", "--text", "up"], "--text belongs to FILES"),
    ],
)
def test_usage(arguments, words):
    failure = run("--model", "exp", *arguments).exception
    assert isinstance(failure, ConfigError) and words in str(failure)


def test_a_model_of_isolated_words(tones, tmp_path):
    settings = {**TINY, "training": {**TINY["training"], "epochs": 0}}
    train(parse_config(settings), tones / "train", tmp_path / "exp")
    wav = next((tones / "wav").glob("test-*"))
    result = run("--model", tmp_path / "exp", wav, "--text", "up", "--json")
    (word,) = json.loads(result.stdout)["words"]
    assert word["label"] == "up" and word["start"] == 0, "it spans the recording"
    result = run("--model", tmp_path / "exp", wav, "--text", "upp")
    assert result.exit_code == 1 and "'upp' is not in the model's vocabulary" in result.stderr
