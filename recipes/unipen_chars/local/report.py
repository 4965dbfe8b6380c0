"""Collects EXP/SET/CONFIG/seedN/score.json into EXP/results.md and prints it.

usage: report.py EXP
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean


def seconds(experiment: Path) -> float:
    """Training time, from the metrics of every epoch."""
    path = experiment / "metrics.csv"
    if not path.is_file():
        return 0.0
    with path.open() as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


exp = Path(sys.argv[1])
found: dict[tuple[str, str], list[tuple[dict, float]]] = defaultdict(list)
for path in sorted(exp.glob("*/*/seed*/score.json")):
    found[path.parts[-4], path.parts[-3]].append(
        (json.loads(path.read_text()), seconds(path.parent))
    )
lines = [
    "| set | config | error % | 95 % over writers | wrong / of | seeds | training, s |",
    "|---|---|---|---|---|---|---|",
]
for (name, config), runs in found.items():
    errors = " ".join(f"{100 * (1 - score['accuracy']):.2f}" for score, _ in runs)
    first = runs[0][0]
    interval = first["intervals"]["accuracy_by_speaker"]
    between = f"{100 * (1 - interval[1]):.2f}-{100 * (1 - interval[0]):.2f}" if interval else ""
    total = first["utterances"]
    wrong = round((1 - first["accuracy"]) * total)
    lines.append(
        f"| {name} | {config} | {errors} | {between} | {wrong} / {total} | {len(runs)} | "
        f"{fmean(t for _, t in runs):.0f} |"
    )
(exp / "results.md").write_text("\n".join(lines) + "\n")
print("\n".join(lines))
