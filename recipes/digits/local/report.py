#!/usr/bin/env python
"""Collects exp/CORPUS/FOLD/CONFIG/seedN/score.json into results.md and accuracy.png."""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from seqebm.data import read_text

SYNTHETIC = (
    "**The corpus is synthetic**: digits spoken by eSpeak NG, made on this machine. These figures "
    "show that the recipe works; they say nothing about real speech.\n"
)


def collect(exp: Path) -> dict[str, dict[int, dict[str, float]]]:
    """Accuracy as ``[config][seed][fold]``."""
    found: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for path in sorted(exp.glob("*/*/seed*/score.json")):
        fold, config, seed = path.parts[-4], path.parts[-3], int(path.parts[-2][len("seed") :])
        found[config][seed][fold] = json.loads(path.read_text())["accuracy"]
    return found


def seconds(exp: Path, config: str) -> float:
    """Mean training time of one experiment of ``config``, from its metrics."""
    totals = []
    for path in exp.glob(f"*/{config}/seed*/metrics.csv"):
        with path.open() as file:
            totals.append(sum(float(row["seconds"]) for row in csv.DictReader(file)))
    return float(np.mean(totals)) if totals else 0.0


def table(exp: Path, found: dict[str, dict[int, dict[str, float]]]) -> list[str]:
    """A row a config: accuracy per fold (mean over seeds), mean over folds, spread over seeds."""
    folds = sorted({f for seeds in found.values() for scores in seeds.values() for f in scores})
    lines = [
        f"| config | {' | '.join(folds)} | mean accuracy | error | seeds | seconds each |",
        f"|---|{'---|' * len(folds)}---|---|---|---|",
    ]
    for config, seeds in found.items():
        have = [f for f in folds if any(f in scores for scores in seeds.values())]
        by_fold = {f: np.mean([s[f] for s in seeds.values() if f in s]) for f in have}
        by_seed = [np.mean(list(s.values())) for s in seeds.values()]
        mean = float(np.mean(list(by_fold.values())))
        spread = f", sd {100 * np.std(by_seed, ddof=1):.2f}" if len(by_seed) > 1 else ""
        cells = " | ".join(f"{100 * by_fold[f]:.1f}" if f in by_fold else "" for f in folds)
        part = "" if len(have) == len(folds) else f" ({len(have)} of {len(folds)} folds)"
        lines.append(
            f"| {config} | {cells} | **{100 * mean:.2f} %**{part} | {100 * (1 - mean):.2f} % | "
            f"{len(by_seed)}{spread} | {seconds(exp, config):.0f} |"
        )
    return lines


def robustness(exp: Path) -> list[str]:
    """Mean accuracy under each trouble over folds and seeds, a column for each config."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(exp.glob("*/*/seed*/troubles/*/score.json")):
        accuracy = json.loads(path.read_text())["accuracy"]
        found[path.parts[-2]][path.parts[-5]].append(accuracy)
    configs = sorted({config for row in found.values() for config in row})
    if not configs:
        return []
    lines = ["", f"| accuracy % | {' | '.join(configs)} |", f"|---|{'---|' * len(configs)}"]
    for trouble, row in found.items():
        cells = (f"{100 * np.mean(row[c]):.1f}" if c in row else "" for c in configs)
        lines.append(f"| {trouble} | {' | '.join(cells)} |")
    return lines


def inner(exp: Path) -> list[str]:
    """Accuracy on the inner folds, for each speaker who is to be reported.

    A column holds the settings' score for its speaker: the mean accuracy on each other speaker,
    of models that heard neither. The best config of a column was chosen without its speaker.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for scored in sorted(exp.glob("*-*/*/seed*/score.json")):
        place = scored.parent / "decode"
        reference = read_text(place / "ref.txt", "reference")
        hypothesis = read_text(place / "hyp.txt", "hypothesis file")
        first, second = place.parts[-4].split("-")
        for reported, heard in ((first, second), (second, first)):
            right = [hypothesis.get(u) == w for u, w in reference.items() if u.startswith(heard)]
            found[place.parts[-3]][reported].append(float(np.mean(right)))
    speakers = sorted({speaker for row in found.values() for speaker in row})
    if not speakers:
        return []
    lines = ["", f"| inner accuracy %, for | {' | '.join(speakers)} | mean |"]
    lines.append(f"|---|{'---|' * (len(speakers) + 1)}")
    for config, row in found.items():
        means = [float(np.mean(row[s])) if s in row else np.nan for s in speakers]
        cells = " | ".join(f"{100 * m:.1f}" for m in (*means, np.nanmean(means)))
        lines.append(f"| {config} | {cells} |")
    return lines


def draw(found: dict[str, dict[int, dict[str, float]]], path: Path) -> None:
    """Every experiment as a dot, by config."""
    figure, axes = plt.subplots(figsize=(1.6 + 1.5 * len(found), 4.5), layout="constrained")
    folds = sorted({f for seeds in found.values() for scores in seeds.values() for f in scores})
    for column, seeds in enumerate(found.values()):
        for index, fold in enumerate(folds):
            values = [100 * s[fold] for s in seeds.values() if fold in s]
            place = column + 0.12 * (index - (len(folds) - 1) / 2)
            label = fold if column == 0 else None
            axes.plot([place] * len(values), values, "o", color=f"C{index}", label=label)
    axes.set_xticks(range(len(found)), list(found), rotation=20, ha="right")
    axes.set(ylabel="accuracy (%)")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(title="test speaker", fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Write the report of one corpus and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exp", type=Path)
    parser.add_argument("--corpus", required=True)
    options = parser.parse_args()
    found = collect(options.exp)
    if not found:
        parser.error(f"{options.exp} holds no score.json yet: run stages 3 to 5 first")
    text = "\n".join(
        [
            SYNTHETIC if options.corpus == "synthetic" else "",
            *table(options.exp, found),
            *robustness(options.exp),
            *inner(options.exp),
        ]
    )
    (options.exp / "results.md").write_text(text.lstrip() + "\n", encoding="utf-8")
    draw(found, options.exp / "accuracy.png")
    print(text.lstrip())
    print(f"\nwritten: {options.exp}/results.md, {options.exp}/accuracy.png")


if __name__ == "__main__":
    main()
