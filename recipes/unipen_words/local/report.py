"""Collects EXP/CONFIG/seedN/test-HOW/score.json into EXP/results.md and prints it.

usage: report.py EXP
"""

import csv
import json
import sys
from pathlib import Path

HOW = ("none", "ngram", "25k", "50k")


def seconds(experiment: Path) -> float:
    """Training time, from the metrics of every epoch."""
    path = experiment / "metrics.csv"
    if not path.is_file():
        return 0.0
    with path.open() as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


exp = Path(sys.argv[1])
lines = [
    "| model | word error %, no lexicon (95 % over writers) | character error % | "
    "n-gram | 25k | 50k | wrong words less than before | training, s |",
    "|---|---|---|---|---|---|---|---|",
]
models = sorted(
    {path.parent.parent for path in exp.glob("*/seed*/test-*/score.json")},
    key=lambda model: (model.name, model.parent.name != "before", model.parent.name),
)
for model in models:
    scores = {
        how: json.loads(path.read_text())
        for how in HOW
        if (path := model / f"test-{how}/score.json").is_file()
    }
    wer = {how: f"{100 * score['wer']:.2f}" for how, score in scores.items()}
    low, high = scores["none"]["intervals"]["wer_by_speaker"] or (float("nan"),) * 2
    before = model.parent.parent / "before" / model.name / "test-none/score.json"
    drop = ""
    if before.is_file() and model.parent.name != "before":
        drop = f"{100 * (1 - scores['none']['wer'] / json.loads(before.read_text())['wer']):.0f} %"
    lines.append(
        f"| {model.parent.name}, {model.name} | {wer['none']} ({100 * low:.1f}-{100 * high:.1f}) | "
        f"{100 * scores['none']['cer']:.2f} | {wer.get('ngram', '')} | {wer.get('25k', '')} | "
        f"{wer.get('50k', '')} | {drop} | {seconds(model):.0f} |"
    )
(exp / "results.md").write_text("\n".join(lines) + "\n")
print("\n".join(lines))
