import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from seqebm.cli.score import score_command
from seqebm.errors import DataError

app = typer.Typer()
app.command()(score_command)


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def decoded(tmp_path):
    folder = tmp_path / "exp" / "decode"
    folder.mkdir(parents=True)
    (folder / "ref.txt").write_text("a one\nb two\nc one\nd six\n")
    (folder / "hyp.txt").write_text("a one\nb six\nc one\nd\n")
    (folder / "utt2spk").write_text("a s\nb s\nc t\nd t\n")
    return folder


def report(*arguments):
    result = run(*arguments, "--json", "-")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_decode_directory(decoded):
    result = run(decoded, "--per-speaker")
    assert result.exit_code == 0, result.output
    lines = {line.split("  ")[0]: line.split() for line in result.stdout.splitlines() if line}
    assert "50.00" in lines["accuracy"]
    assert lines["word error rate"][-4:] == ["1", "1", "0", "4"]
    assert lines["t"][:4] == ["t", "2", "1", "50.00"]


def test_the_experiment_above_it_will_do(decoded):
    assert report(decoded.parent)["accuracy"] == 0.5
    (decoded.parent / "other").mkdir()
    (decoded.parent / "other" / "hyp.txt").write_text("a one\n")
    failure = run(decoded.parent).exception
    assert isinstance(failure, DataError)
    assert "choose one" in str(failure)


def test_json(decoded, tmp_path):
    path = tmp_path / "new" / "score.json"
    assert run(decoded, "--json", path, "--bootstrap", 500, "--seed", 4).exit_code == 0
    result = json.loads(path.read_text())
    assert result["wer"] == 0.5
    assert result["words"]["deletions"] == 1
    assert result["speakers"]["s"]["accuracy"] == 0.5
    assert {"reference": "two", "hypothesis": "six", "count": 1} in result["confusions"]
    assert result["bootstrap"] == {"samples": 500, "seed": 4}
    low, high = result["intervals"]["wer_by_utterance"]
    assert 0 <= low < 0.5 < high <= 1
    assert set(report(decoded, "--bootstrap", 0)["intervals"]) == set()


def test_references_elsewhere(decoded, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "text").write_text("a one\nb six\nc two\nd six\n")
    assert report(decoded, "--ref", tmp_path / "data")["accuracy"] == 0.5
    assert report(decoded / "hyp.txt", "--ref", tmp_path / "data" / "text")["wer"] == 0.5


def test_speakers_may_be_named(decoded, tmp_path):
    (tmp_path / "other").write_text("a x\nb x\nc x\nd y\n")
    result = report(decoded, "--utt2spk", tmp_path / "other")
    assert {name: part["utterances"] for name, part in result["speakers"].items()} == {
        "x": 3,
        "y": 1,
    }


def test_intervals_over_utterances_and_speakers_differ(decoded):
    spans = report(decoded)["intervals"]
    # Both speakers have one of two wrong, so drawing speakers always gives one half.
    assert spans["accuracy_by_speaker"] == [0.5, 0.5]
    assert spans["accuracy_by_utterance"] == [0, 1]


def test_missing_hypotheses_are_announced(decoded):
    (decoded / "hyp.txt").write_text("a one\nz six\n")
    result = run(decoded)
    assert result.exit_code == 0
    assert "3 utterances have no hypothesis and count as errors: b, c, d" in result.stderr
    assert "1 utterances have no reference" in result.stderr
    assert report(decoded)["missing"] == ["b", "c", "d"]


def test_confusion_picture(decoded, tmp_path):
    assert run(decoded, "--confusion", tmp_path / "c.png").exit_code == 0
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("remove", "arguments", "part"),
    [
        ("hyp.txt", [], "seqebm decode"),
        ("ref.txt", [], "--ref DIR_OR_TEXT"),
        ("utt2spk", ["--per-speaker"], "--utt2spk FILE"),
        (None, ["--ref", "nowhere"], "nowhere does not exist"),
    ],
)
def test_what_is_missing_is_named(decoded, remove, arguments, part):
    if remove:
        (decoded / remove).unlink()
    failure = run(decoded, *arguments).exception
    assert isinstance(failure, DataError)
    assert part in str(failure)


def test_nothing_there(tmp_path):
    assert "does not exist" in str(run(tmp_path / "x").exception)


def test_an_id_listed_twice(decoded):
    (decoded / "hyp.txt").write_text("a one\na two\n")
    assert "hyp.txt:2: a: is listed twice" in str(run(decoded).exception)


def test_scoring_needs_no_torch(decoded):
    code = (
        "import sys; from pathlib import Path; from seqebm.cli.score import score_command;"
        "score_command(Path(sys.argv[1]), bootstrap=10); assert 'torch' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code, decoded], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr


def test_sclites_trn_is_read(decoded):
    (decoded / "hyp.trn").write_text("one (a)\nsix (b)\none (c)\n(d)\n")
    (decoded / "ref.trn").write_text(";; a comment\none (a)\ntwo (b)\none (c)\nsix (d)\n")
    result = report(decoded / "hyp.trn", "--ref", decoded / "ref.trn")
    assert result["wer"] == 0.5
    assert result == report(decoded / "hyp.txt") | {"bootstrap": result["bootstrap"]}


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ("a 1 0.00 0.31 one\nb 1 0.10 0.31 two\n", "is a ctm file"),
        ("a 1 s 0.00 0.31 one\nb 1 s 0.10 0.31 two\n", "is an stm file"),
    ],
)
def test_forms_that_are_not_scored_are_named(decoded, lines, kind):
    (decoded / "other").write_text(lines)
    failure = run(decoded / "other", "--ref", decoded / "ref.txt").exception
    assert isinstance(failure, DataError) and kind in str(failure)


def test_what_normalisation_would_change_is_said(decoded):
    (decoded / "ref.txt").write_text("a café noir\nb two\nc one\nd six\n")
    (decoded / "hyp.txt").write_text("a cafe\u0301\u00a0noir\nb two\nc one\nd six\n")
    result = run(decoded)
    assert "--normalise compares without that" in result.stderr
    assert "40.00 % of the words are wrong, 0.00 % with it" in result.stderr
    result = run(decoded, "--normalise", "--json", "-")
    assert json.loads(result.stdout)["wer"] == 0 and "warning" not in result.stderr
