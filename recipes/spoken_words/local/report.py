#!/usr/bin/env python
"""Collects EXP/foldK/CONFIG/seedN/CONDITION/score.json into results.md: errors, and differences."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from seqebm.data import read_text
from seqebm.scoring.scoring import compare, score

CLEAN = "clean"
BASELINE = "convnet"

Found = dict[str, dict[str, dict[tuple[int, str], float]]]  # condition, config, (seed, fold)


def collect(exp: Path) -> Found:
    """Share of wrong answers by condition, config, seed and fold."""
    found: Found = defaultdict(lambda: defaultdict(dict))
    for path in sorted(exp.glob("fold*/*/seed*/*/score.json")):
        fold, config, condition = path.parts[-5], path.parts[-4], path.parts[-2]
        accuracy = json.loads(path.read_text(encoding="utf-8"))["accuracy"]
        found[condition][config][int(path.parts[-3][len("seed") :]), fold] = 1 - accuracy
    return found


def errors(found: Found) -> list[str]:
    """Mean error over folds and seeds, and its spread over seeds; a row for each config."""
    folds = sorted({fold for runs in found[CLEAN].values() for _, fold in runs})
    lines = [
        f"| config | {' | '.join(folds)} | error % | sd over seeds | folds x seeds |",
        f"|---|{'---|' * len(folds)}---|---|---|",
    ]
    for config, runs in sorted(found[CLEAN].items(), key=lambda item: mean(item[1])):
        seeds = {seed for seed, _ in runs}
        each = [mean({run: e for run, e in runs.items() if run[0] == seed}) for seed in seeds]
        spread = f"{100 * np.std(each, ddof=1):.2f}" if len(each) > 1 else ""
        by_fold = [{run: e for run, e in runs.items() if run[1] == fold} for fold in folds]
        cells = " | ".join(f"{100 * mean(part):.2f}" if part else "" for part in by_fold)
        lines.append(f"| `{config}` | {cells} | {100 * mean(runs):.2f} | {spread} | {len(runs)} |")
    return lines


def mean(runs: dict[tuple[int, str], float]) -> float:
    """Over all folds of all seeds."""
    return float(np.mean(list(runs.values())))


def conditions(found: Found) -> list[str]:
    """Errors under each trouble beside the clean ones: a column for each config.

    Of the folds and seeds that have been tried under all of them.
    """
    tried = {
        config: set.intersection(*({*found[c][config]} for c in found if config in found[c]))
        for config in set.intersection(*({*configs} for configs in found.values()))
    }
    configs = sorted(tried, key=lambda config: mean(found[CLEAN][config]))
    runs = sorted({fold for runs in tried.values() for _, fold in runs})
    lines = [
        f"Under troubles ({', '.join(runs)}):",
        "",
        f"| error % | {' | '.join(f'`{c}`' for c in configs)} |",
        f"|---|{'---|' * len(configs)}",
    ]
    for condition in [CLEAN, *sorted(set(found) - {CLEAN})]:
        cells = (
            f"{100 * mean({run: found[condition][c][run] for run in tried[c]}):.1f}"
            for c in configs
        )
        lines.append(f"| {condition} | {' | '.join(cells)} |")
    return lines


def differences(exp: Path, found: Found) -> list[str]:
    """Each config against the baseline: paired bootstrap over utterances, by seed."""
    lines = []
    for config in sorted(set(found[CLEAN]) - {BASELINE}):
        both = set(found[CLEAN][config]) & set(found[CLEAN].get(BASELINE, {}))
        for seed in sorted({seed for seed, _ in both}):
            scores = [scored(exp, name, seed) for name in (config, BASELINE)]
            result = compare(*scores, "accuracy", "utterance", 5000)
            if result.interval is not None:
                low, high = result.interval.low, result.interval.high
                lines.append(
                    f"- seed {seed}: error of `{config}` minus `{BASELINE}`: "
                    f"{100 * result.difference:+.2f} points (95 %: {100 * low:+.2f} to "
                    f"{100 * high:+.2f})"
                )
    return lines


def scored(exp: Path, config: str, seed: int):
    """The score of one seed over all folds."""
    reference: dict[str, str] = {}
    hypothesis: dict[str, str] = {}
    for place in sorted(exp.glob(f"fold*/{config}/seed{seed}/{CLEAN}")):
        reference |= read_text(place / "ref.txt", "reference")
        hypothesis |= read_text(place / "hyp.txt", "hypothesis file")
    return score(reference, hypothesis)


def confused(exp: Path, config: str) -> list[str]:
    """The most frequent confusions of a config, over folds and seeds."""
    pairs: dict[tuple[str, str], int] = defaultdict(int)
    for place in sorted(exp.glob(f"fold*/{config}/seed*/{CLEAN}")):
        reference = read_text(place / "ref.txt", "reference")
        for name, word in read_text(place / "hyp.txt", "hypothesis file").items():
            if word != reference[name]:
                pairs[reference[name], word] += 1
    most = sorted(pairs.items(), key=lambda item: -item[1])[:12]
    return [f"- {said} heard as {heard}: {count}" for (said, heard), count in most]


def main() -> None:
    """Write the report and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exp", type=Path)
    options = parser.parse_args()
    found = collect(options.exp)
    if not found[CLEAN]:
        parser.error(f"{options.exp} holds no score.json yet: run stages 2 and 3 first")
    parts = [errors(found), differences(options.exp, found)]
    if len(found) > 1:
        parts.append(conditions(found))
    best = min(found[CLEAN], key=lambda config: mean(found[CLEAN][config]))
    parts.append([f"Confusions of `{best}`:", "", *confused(options.exp, best)])
    text = "\n\n".join("\n".join(part) for part in parts if part) + "\n"
    (options.exp / "results.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
