"""Collects EXP/CONFIG/seedN/score.json into EXP/results.md and prints it.

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
    with (experiment / "metrics.csv").open() as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


exp = Path(sys.argv[1])
found: dict[str, list[tuple[dict, float]]] = defaultdict(list)
for path in sorted(exp.glob("*/seed*/score.json")):
    found[path.parts[-3]].append((json.loads(path.read_text()), seconds(path.parent)))
lines = [
    "| config | WER % | sub / del / ins | wrong sentences % | seeds | training, s |",
    "|---|---|---|---|---|---|",
]
for config, runs in found.items():
    wers = " ".join(f"{100 * score['wer']:.2f}" for score, _ in runs)
    mean = f" (mean {100 * fmean(score['wer'] for score, _ in runs):.2f})" * (len(runs) > 1)
    counts = [runs[0][0]["words"][k] for k in ("substitutions", "deletions", "insertions")]
    wrong = 100 * fmean(1 - score["accuracy"] for score, _ in runs)
    time = fmean(t for _, t in runs)
    lines.append(
        f"| {config} | {wers}{mean} | {' / '.join(map(str, counts))} | {wrong:.1f} | "
        f"{len(runs)} | {time:.0f} |"
    )
(exp / "results.md").write_text("\n".join(lines) + "\n")
print("\n".join(lines))
