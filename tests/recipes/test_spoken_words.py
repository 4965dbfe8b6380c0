"""The report of the recipe spoken_words, on experiments made by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPORT = Path(__file__).parents[2] / "recipes" / "spoken_words" / "local" / "report.py"
WORDS = ["one", "two", "three", "four"]


def experiment(exp: Path, fold: int, config: str, condition: str, wrong: int) -> None:
    """Eight utterances, of which so many are answered with the next word."""
    place = exp / f"fold{fold}" / config / "seed0" / condition
    place.mkdir(parents=True)
    names = [f"f{fold}-{k}" for k in range(8)]
    said = [WORDS[k % 4] for k in range(8)]
    heard = [WORDS[(k + (k < wrong)) % 4] for k in range(8)]
    for name, words in (("ref.txt", said), ("hyp.txt", heard)):
        lines = (f"{utterance} {word}\n" for utterance, word in zip(names, words, strict=True))
        (place / name).write_text("".join(lines))
    (place / "score.json").write_text(json.dumps({"accuracy": 1 - wrong / 8}))


def test_report(tmp_path):
    for fold in (0, 1):
        for condition, more in (("clean", 0), ("noise10", 2)):
            experiment(tmp_path, fold, "templates", condition, 1 + more)
            experiment(tmp_path, fold, "convnet", condition, 2 * fold + more)
    command = [sys.executable, str(REPORT), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert "| `convnet` | 0.00 | 25.00 | 12.50 |  | 2 |" in lines
    assert "| `templates` | 12.50 | 12.50 | 12.50 |  | 2 |" in lines
    assert "- seed 0: error of `templates` minus `convnet`: +0.00 points" in result.stdout
    assert "| noise10 | 37.5 | 37.5 |" in lines
    assert any("one heard as two: 1" in line or "one heard as two: 2" in line for line in lines)
    assert (tmp_path / "results.md").read_text() in result.stdout


def test_troubles_are_compared_on_the_folds_that_have_them(tmp_path):
    experiment(tmp_path, 0, "convnet", "clean", 1)
    experiment(tmp_path, 0, "convnet", "noise10", 3)
    experiment(tmp_path, 1, "convnet", "clean", 4)
    command = [sys.executable, str(REPORT), str(tmp_path)]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    assert "Under troubles (fold0):" in lines
    assert "| clean | 12.5 |" in lines and "| noise10 | 37.5 |" in lines


def test_nothing_to_report(tmp_path):
    result = subprocess.run(
        [sys.executable, str(REPORT), str(tmp_path)], capture_output=True, text=True
    )
    assert result.returncode == 2 and "run stages 2 and 3 first" in result.stderr
