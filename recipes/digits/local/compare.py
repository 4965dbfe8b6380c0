#!/usr/bin/env python
"""Two configs on the same utterances: paired bootstrap per seed, and the seeds' energies summed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from seqebm.data import read_text
from seqebm.scoring.scoring import Score, compare, score


def load(exp: Path, config: str, seed: int) -> tuple[dict, dict, dict]:
    """References, hypotheses and energies of every fold of one seed."""
    reference: dict[str, str] = {}
    hypothesis: dict[str, str] = {}
    energies: dict[str, dict[str, float]] = {}
    for directory in sorted(exp.glob(f"*/{config}/seed{seed}/decode")):
        reference |= read_text(directory / "ref.txt", "reference")
        hypothesis |= read_text(directory / "hyp.txt", "hypothesis file")
        for line in (directory / "answers.jsonl").read_text(encoding="utf-8").splitlines():
            answer = json.loads(line)
            energies[answer["id"]] = answer["energies"]
    return reference, hypothesis, energies


def summed(runs: list[tuple[dict, dict, dict]]) -> Score:
    """The score of the answers whose energies, added over the runs, are lowest."""
    reference = runs[0][0]
    answers = {}
    for name in reference:
        tables = [energies[name] for _, _, energies in runs]
        words = set.intersection(*(set(t) for t in tables))
        answers[name] = min(words, key=lambda word: sum(t[word] for t in tables))
    return score(reference, answers)


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exp", type=Path, help="exp/CORPUS")
    parser.add_argument("configs", nargs=2)
    parser.add_argument("--seeds", default="0 1 2")
    options = parser.parse_args()
    seeds = [int(s) for s in options.seeds.split()]
    runs = {c: [load(options.exp, c, s) for s in seeds] for c in options.configs}
    first, second = options.configs
    for index, seed in enumerate(seeds):
        a, b = (score(*runs[c][index][:2]) for c in options.configs)
        result = compare(a, b, "accuracy", "utterance", 5000)
        assert result.interval is not None  # there is more than one utterance
        low, high = result.interval.low, result.interval.high
        print(
            f"seed {seed}: error of {first} minus {second}: {100 * result.difference:+.2f} points "
            f"(95 % {100 * low:+.2f} to {100 * high:+.2f})"
        )
    for config in options.configs:
        print(f"energies of all seeds added, {config}: {summed(runs[config]).total.accuracy:.2%}")


if __name__ == "__main__":
    main()
