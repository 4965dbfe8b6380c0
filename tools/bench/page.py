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
times; the error is the largest, relative to our own result in float64.
"""


def rows(report: dict[str, Any]) -> list[str]:
    """The table of one file."""
    lines = [
        f"## {report['threads']} thread(s), {report['cores']} cores, {report['machine']}, Python "
        f"{report['python']}\n",
        "| row | load | contender | ms | quartiles | x | error |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        load = "-".join(f"{value:.1f}" for value in row["load"])
        for place, facts in enumerate(row["contenders"]):
            title = f"`{facts['row']}`: {jobs.ROWS[facts['row']][0]}" if not place else ""
            name = f"{facts['name']} {facts.get('version', '')}".strip()
            cells = [title, load if not place else "", f"**{name}**" if not place else name]
            if "min_ms" in facts:
                low, high = facts["quartiles_ms"]
                error = "" if facts["difference"] is None else f"{facts['difference']:.1e}"
                ratio = f"{facts['ratio_min']:.1f}, {facts['ratio_median']:.1f}" if place else ""
                cells += [
                    f"{facts['min_ms']:.2f} / {facts['median_ms']:.2f}", f"{low:.2f}-{high:.2f}",
                    ratio, error,
                ]  # fmt: skip
            else:
                cells += [f"skipped: {facts['missing']}" if "missing" in facts else "failed"]
                cells += ["", "", ""]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Write the page."""
    reports = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    TARGET.write_text("\n".join([HEAD, *(line for r in reports for line in rows(r))]) + "\n")


if __name__ == "__main__":
    main()
