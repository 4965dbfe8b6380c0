"""Collect EXP/CONFIG/LOSS/seedN/result.json into a table for each config, and a picture.

usage: report.py EXP
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sweep import LOSSES

TITLES = {
    "templates": "TDNN + elastic templates",
    "hmm": "TDNN + HMM, energies free",
    "templates_fixed": "templates on fixed features: cannot collapse",
    "hmm_local": "TDNN + HMM, probabilities: cannot collapse",
    "hmm_narrow": "HMM, network of one frame, energies free",
    "hmm_narrow_local": "HMM, network of one frame, probabilities",
}


def mean(values: list[float], digits: str) -> str:
    """The mean, and the standard deviation where there are several."""
    spread = f" ± {np.std(values, ddof=1):{digits}}" if len(values) > 1 else ""
    return f"{np.mean(values):{digits}}{spread}"


def main() -> None:
    """Print the tables and draw the errors."""
    exp = Path(sys.argv[1])
    times = json.loads((exp / "times.json").read_text()) if (exp / "times.json").exists() else {}
    drawn: dict[str, dict[str, list[float]]] = {}
    for config, title in TITLES.items():
        rows = {}
        for loss in LOSSES:
            files = sorted((exp / config / loss).glob("seed*/result.json"))
            if files:
                rows[loss] = [json.loads(file.read_text()) for file in files]
        if not rows:
            continue
        print(f"\n## {title} (`{config}`)\n")
        columns = (
            "loss", "error %", "gap I - C", "flat items", "warnings", "s an epoch", "ms an item",
            "pulled up at first", "at last", "pulled up an item and ms",
        )  # fmt: skip
        print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
        drawn[title] = {}
        for loss, runs in rows.items():
            done = [run for run in runs if "failed" not in run]
            failed = f" ({len(runs) - len(done)} failed)" if len(done) < len(runs) else ""
            pulled = float(np.mean([run["pulled"] for run in runs]))
            ms = times.get(config, {}).get(loss)
            cost = f"{ms:.3f}" if ms else ""
            rate = f"{pulled / ms:.0f}" if ms else ""
            if not done:
                print(
                    f"| `{loss}` | {runs[0]['failed']} | | | | | {cost} | {pulled:.1f} | | {rate} |"
                )
                continue
            drawn[title][loss] = [100 * run["error"] for run in done]
            faults = Counter(name for run in done for name in run["warnings"])
            listed = ", ".join(
                f"{name} ({n})" if n < len(done) else name for name, n in faults.items()
            )
            print(
                f"| `{loss}` | {mean(drawn[title][loss], '.2f')}{failed} | "
                f"{np.mean([run['gap'] for run in done]):.3g} | "
                f"{np.mean([run['flat'] for run in done]):.0%} | {listed} | "
                f"{np.mean([run['seconds'] for run in done]):.1f} | {cost} | {pulled:.1f} | "
                f"{np.mean([run['pulled_after'] for run in done]):.1f} | {rate} |"
            )
    figure, axes = plt.subplots(
        1, len(drawn), figsize=(1 + 3.2 * len(drawn), 4), sharey=True, layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for axis, (title, errors) in zip(axes[0], drawn.items(), strict=True):
        for place, values in enumerate(errors.values()):
            axis.plot([place] * len(values), values, "o", color=f"C{place % 10}", ms=4)
        axis.set_xticks(range(len(errors)), [*errors], rotation=90, fontsize=7)
        axis.set_title(title, fontsize=7)
        axis.set_yscale("log")
        axis.grid(axis="y", alpha=0.3)
    axes[0][0].set_ylabel("test error, %")
    figure.savefig(exp / "losses.png", dpi=90)


if __name__ == "__main__":
    main()
