"""Make docs/performance.md from the figures of ``python -m tools.bench --json FILE``.

python -m tools.bench.page FILE...      one file for each number of threads, for instance
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tools.bench import jobs

TARGET = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
HEAD = """# Performance

Made by `python -m tools.bench.page` from what `python -m tools.bench --json FILE` measured; do not
edit. How it is measured, what the rows are, and where we are weak:
[tools/bench](../tools/bench/README.md).
Times are least / median in milliseconds; x is the ratio to ours, of the least and of the median
times; the error is the largest, relative to our own result in float64. The floor is the time that
the textbook algorithm needs to move its data once, as fast as memory can be copied here; how many
times the floor our least time is stands behind it. Below 1, ours moves less than the textbook.
"""


def rows(report: dict[str, Any]) -> list[str]:
    """The table of one file."""
    rates = ", ".join(f"{name} {rate / 1e9:.0f} GB/s" for name, rate in report["bandwidth"].items())
    lines = [
        f"## {report['threads']} thread(s), {report['cores']} cores, {report['machine']}, Python "
        f"{report['python']}\n",
        f"Memory bandwidth: {rates}. GPU: {report.get('gpu', 'none')}.",
        "",
        "| row | load | contender | ms | quartiles | x | error | floor |",
        "|---|---|---|---|---|---|---|---|",
    ]
    absent: dict[str, list[tuple[str, str]]] = {}  # by reason: contender, row
    for row in report["rows"]:
        load = "-".join(f"{value:.1f}" for value in row["load"])
        first = True
        for facts in row["contenders"]:
            name = f"{facts['name']} {facts.get('version', '')}".strip()
            if "missing" in facts:
                absent.setdefault(facts["missing"], []).append((facts["name"], facts["row"]))
                continue
            title = f"`{facts['row']}`: {jobs.ROWS[facts['row']].title}" if first else ""
            cells = [title, load if first else "", f"**{name}**" if first else name]
            if "min_ms" in facts:
                cells += _figures(facts, first, report["bandwidth"])
            else:
                cells += ["failed", "", "", "", ""]
            lines.append(f"| {' | '.join(cells)} |")
            first = False
    lines.append("")
    for why, who in absent.items():
        names, where = (set(column) for column in zip(*who, strict=True))
        lines.append(f"- Not there: {', '.join(sorted(names))} in {len(where)} rows ({why}).")
    for growth in report.get("growth", []):
        points = ", ".join(f"{1e3 * took:.1f} ms for {size:,}" for size, took in growth["points"])
        lines.append(
            f"- Time grows with {growth['name']} to the {growth['exponent']:.2f}: {points}."
        )
    return [*lines, ""]


def _figures(facts: dict[str, Any], ours: bool, bandwidth: dict[str, float]) -> list[str]:
    low, high = facts["quartiles_ms"]
    error = "" if facts["difference"] is None else f"{facts['difference']:.1e}"
    ratio = "" if ours else f"{facts['ratio_min']:.1f}, {facts['ratio_median']:.1f}"
    floor = ""
    if facts["name"].startswith("seqebm"):
        device = "cuda" if facts["name"].endswith("CUDA") else "cpu"
        least = 1e3 * jobs.ROWS[facts["row"]].moved / bandwidth[device]
        floor = f"{least:.2f} ms, {facts['min_ms'] / least:.1f}"
    once = " (once)" if facts["repetitions"] == 1 else ""
    return [
        f"{facts['min_ms']:.2f} / {facts['median_ms']:.2f}{once}", f"{low:.2f}-{high:.2f}",
        ratio, error, floor,
    ]  # fmt: skip


def main() -> None:
    """Write the page."""
    reports = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    TARGET.write_text("\n".join([HEAD, *(line for r in reports for line in rows(r))]))


if __name__ == "__main__":
    main()
